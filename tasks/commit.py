"""Putting on record what has already happened outside."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from limner.errors import NotDurable, StoreUnavailable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

PATIENCE = 120.0
"""Seconds, for what nobody else can find out again."""
SHORT_PATIENCE = 10.0
"""For what a lease repeats: waiting out a restart of Redis is quicker than the lease."""
PAUSE = 0.25


def patiently(
    transition: Callable[[], Result],
    what: str,
    *,
    patience: float = PATIENCE,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Result:
    """Repeat a transition while Redis is away, for up to ``patience`` seconds.

    What the provider said is in this thread's hands alone until it is on record. ``what`` names it in the
    log should the patience end, for a person if it was the long one; StoreUnavailable is raised then.
    """
    deadline = monotonic() + patience
    while True:
        try:
            return transition()
        except NotDurable:
            raise
        except StoreUnavailable:
            if monotonic() >= deadline:
                level = logging.CRITICAL if patience >= PATIENCE else logging.WARNING
                logger.log(level, "not on record, because Redis has been away for too long: %s", what)
                raise
            sleep(PAUSE)
