"""The wake-up of a sleeping dispatcher."""

import time
from collections.abc import Callable
from typing import Any, Final

from limner._redis import store_errors

HOLD: Final = 4
"""Seconds for which the server holds a call that it cannot answer. Then it answers with nothing, so that a
connection which a middlebox has forgotten is noticed, and one in use is not forgotten."""
_GRACE: Final = 1.0
"""Seconds that this answer may be late."""


class WakeUp:
    """Sleeps until a script notifies the dispatchers. For use by one thread.

    Redis checks the time-out of BLPOP only when its timer ticks, so on an idle server BLPOP returns up to 100
    ms late (measured on Valkey 9.1). That is a hundredth of a quota's window. So this class limits the wait
    itself, and leaves an unanswered call open on its connection for the next wait.
    """

    def __init__(self, client: Any, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._key = key
        self._clock = clock
        self._connection: Any = None
        self._asked_at: float | None = None

    def wait(self, timeout: float) -> bool:
        """Sleep for at most ``timeout`` seconds; returns True if notified. Raises StoreUnavailable."""
        until = self._clock() + timeout
        with store_errors(self._client):
            while True:
                asked_at = self._ask()
                left = min(until, asked_at + HOLD + _GRACE) - self._clock()
                if self._connection.can_read(max(0.0, left)):
                    self._asked_at = None
                    if self._connection.read_response() is not None:
                        return True
                elif self._clock() >= asked_at + HOLD + _GRACE:
                    self.close()
                if self._clock() >= until:
                    return False

    def _ask(self) -> float:
        """Ask for a notice, unless a call is open; returns the time of the call."""
        if self._connection is None:
            self._connection = self._client.connection_pool.get_connection()
        if self._asked_at is None:
            self._connection.send_command("BLPOP", self._key, HOLD)
            self._asked_at = self._clock()
        return self._asked_at

    def close(self) -> None:
        """Close the connection, and with it an unanswered call."""
        connection, self._connection, self._asked_at = self._connection, None, None
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)
