"""A worker's heartbeat: a file that its consumer touches while it takes tasks."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from celery import bootsteps

BEAT = 5.0
"""Seconds between two beats."""


def touch(path: Path) -> None:
    """Beat once."""
    path.touch()
    os.utime(path)


class HeartbeatStep(bootsteps.StartStopStep):
    """Beats from within the consumer's own loop, so that a loop that hangs is noticed."""

    requires = ("celery.worker.consumer:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Begin to beat: with the first connection to the broker, and after each lost one."""
        path = parent.app.settings.heartbeat_file
        touch(path)
        loop = parent.hub or parent.timer
        self._timer = loop.call_repeatedly(BEAT, partial(touch, path))

    def stop(self, _parent: Any) -> None:
        """Beat no more: the connection is gone, or the worker stops."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    shutdown = stop
