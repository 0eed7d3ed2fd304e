"""The wake-up of a sleeping dispatcher."""

from typing import Any

from limner._connection import store_errors


class WakeUp:
    """Sleeps until a script notifies the dispatchers. For use by one thread.

    Redis checks the time-out of BLPOP only when its timer ticks, so on an idle server BLPOP returns up to 100
    ms late (measured on Valkey 9.1). That is a hundredth of a quota's window. So this class limits the wait
    itself, and leaves an unanswered call open on its connection for the next wait.
    """

    def __init__(self, client: Any, key: str) -> None:
        self._client = client
        self._key = key
        self._connection: Any = None
        self._asked = False

    def wait(self, timeout: float) -> bool:
        """Sleep for at most ``timeout`` seconds; returns True if notified. Raises StoreUnavailable."""
        with store_errors(self._client):
            if self._connection is None:
                self._connection = self._client.connection_pool.get_connection()
            if not self._asked:
                self._connection.send_command("BLPOP", self._key, 0)
                self._asked = True
            if not self._connection.can_read(timeout):
                return False
            self._asked = False
            self._connection.read_response()
            return True

    def close(self) -> None:
        """Close the connection, and with it an unanswered call."""
        connection, self._connection, self._asked = self._connection, None, False
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)
