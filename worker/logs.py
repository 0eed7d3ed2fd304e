"""Quiet logs: which of Celery's lines get into a worker's log."""

import logging
from typing import Any, Final

_EACH_STEP: Final = ("celery.worker.strategy", "celery.app.trace")
"""At INFO, these tell of each step that it was received and that it succeeded."""


def quieten(*, loglevel: int, **_: Any) -> None:
    """Leave out Celery's two lines on each step, unless DEBUG is asked for; warnings and failures stay.

    A job's own lines tell what became of it, and Celery's cost 5 to 9 % of a worker's CPU. Connected to
    ``after_setup_logger``: Celery asks for these levels when it takes up its tasks, which is later, and then
    does not even format the lines.
    """
    if loglevel > logging.DEBUG:
        for name in _EACH_STEP:
            logging.getLogger(name).setLevel(max(loglevel, logging.WARNING))
