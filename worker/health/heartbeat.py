"""The heartbeat of a worker: a file that its consumer touches while it takes tasks."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from celery import bootsteps

BEAT = 5.0
"""Seconds between two beats."""


def touch(path: Path) -> None:
    """Beat once: set the file's time to now."""
    path.touch()
    os.utime(path)


class HeartbeatStep(bootsteps.StartStopStep):
    """The bootstep that beats in the consumer's own loop, so that a hanging loop is noticed."""

    requires = ("celery.worker.consumer:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Start to beat, after the first connection to the broker and after each new one."""
        path = parent.app.settings.heartbeat_file
        touch(path)
        loop = parent.hub or parent.timer
        self._timer = loop.call_repeatedly(BEAT, partial(touch, path))

    def stop(self, _parent: Any) -> None:
        """Stop beating, since the connection is lost or the worker stops."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    shutdown = stop
