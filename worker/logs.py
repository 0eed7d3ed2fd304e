"""Keeps Celery's lines on each step out of a worker's log."""

import logging
from typing import Any, Final

_EACH_STEP: Final = ("celery.worker.strategy", "celery.app.trace")
"""The loggers that write two lines on each step at INFO: received, and succeeded."""


def quieten(*, loglevel: int, **_: Any) -> None:
    """Leave out Celery's two lines on each step, unless the level is DEBUG. Warnings and failures stay.

    The lines of the job itself say more, and Celery's cost 5 to 9 % of a worker's CPU. This is connected to
    ``after_setup_logger``. Celery reads the levels later, when it builds its tasks, and then does not even
    format the lines.
    """
    if loglevel > logging.DEBUG:
        for name in _EACH_STEP:
            logging.getLogger(name).setLevel(max(loglevel, logging.WARNING))
