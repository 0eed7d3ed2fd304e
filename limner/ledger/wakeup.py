"""The wake-up of a sleeping dispatcher."""

from typing import Any

from limner._connection import store_errors


class WakeUp:
    """Waits until somebody makes something due. For one thread.

    Redis ends a BLPOP by its own time-out only when its timer ticks, up to 100 ms late on an idle server
    (measured on Valkey 9.1), which is a hundredth of a quota's window. So the wait for the answer is timed
    here, and a call that has had none stays on its connection for the next wait.
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
        """Give the connection up, and with it a call that is not answered yet."""
        connection, self._connection, self._asked = self._connection, None, False
        if connection is not None:
            connection.disconnect()
            self._client.connection_pool.release(connection)
