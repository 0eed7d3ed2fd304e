"""Recording outside events, with patience while Redis is away."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from limner.errors import NotDurable, StoreUnavailable

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

PATIENCE = 120.0
"""The patience in seconds for an answer that nobody else can obtain again."""
SHORT_PATIENCE = 10.0
"""The patience in seconds for a step that a lease repeats. Waiting for a restart of Redis is quicker."""
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

    Until the provider's answer is on record, only this thread has it. Once the patience is used up,
    ``what`` names the lost transition in the log (as critical after the long patience), and StoreUnavailable
    is raised.
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
