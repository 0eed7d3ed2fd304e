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
NEAR: Final = 3
"""The number of renewals after which Redis counts as far away, and not the machine as slow."""
NOISE: Final = 0.025
"""Seconds beyond the quickest renewal within which a request goes out to a Redis that is far away."""
FARTHEST: Final = 0.5
"""Seconds of a round trip to a Redis that may be far away, at most."""


class Leave:
    """The permission to send a request; ``stopwatch`` was started before it was asked for.

    ``renew`` asks the ledger to count the request from now, and returns False if it must not go out.
    """

    def __init__(self, renew: Callable[[], bool], stopwatch: Stopwatch) -> None:
        self._renew = renew
        self._stopwatch = stopwatch

    def __call__(self) -> bool:
        """True if the request may go out now.

        No renewal is quicker than the way to a Redis that is far away. Each request waits as long for its
        answer there, which moves the window and does not make it fuller. So one that is about as quick as the
        quickest of several is good enough.
        """
        way = FARTHEST
        for number in range(RENEWALS):
            if self._stopwatch.elapsed() <= self._moment(number, way):
                return True
            began = Stopwatch()
            try:
                if not self._renew():
                    return False
            except (StoreUnavailable, redis.RedisError, RecordUnreadable) as error:
                logger.warning("a request is not sent: %s", error)
                return False
            self._stopwatch = began
            way = min(way, began.elapsed())
        return self._stopwatch.elapsed() <= self._moment(RENEWALS, way)

    @staticmethod
    def _moment(renewals: int, way: float) -> float:
        return max(MOMENT, way + NOISE) if renewals >= NEAR else MOMENT
