"""The permission to send one request, which is good for a moment only.

The windows of an account's quota count a request from the time at which its step began on the ledger. A
worker that is stopped between that and the sending (a suspended machine, a CPU limit, a slow connection)
would send at a time at which another request has taken its place, or after its lease.
"""

import logging
from collections.abc import Callable
from typing import Final

import redis

from limner.errors import RecordUnreadable, StoreUnavailable
from tasks.stopwatch import Stopwatch

logger = logging.getLogger(__name__)

MOMENT: Final = 0.1
"""Seconds after which a permission has to be renewed before the request goes out."""
RENEWALS: Final = 10
"""The number of renewals before the request is given up: the machine is too slow at the moment."""


class Leave:
    """The permission to send a request; ``stopwatch`` was started before it was asked for.

    ``renew`` asks the ledger to count the request from now, and returns False if it must not go out.
    """

    def __init__(self, renew: Callable[[], bool], stopwatch: Stopwatch) -> None:
        self._renew = renew
        self._stopwatch = stopwatch

    def __call__(self) -> bool:
        """True if the request may go out now."""
        for _ in range(RENEWALS):
            if self._stopwatch.elapsed() <= MOMENT:
                return True
            began = Stopwatch()
            try:
                if not self._renew():
                    return False
            except (StoreUnavailable, redis.RedisError, RecordUnreadable) as error:
                logger.warning("a request is not sent: %s", error)
                return False
            self._stopwatch = began
        return self._stopwatch.elapsed() <= MOMENT
