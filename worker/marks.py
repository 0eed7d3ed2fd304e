"""The mark on the messages that the fleet sends to itself, which nobody else can make.

It is an HMAC-SHA256 over the task's name, the message's id and its body. The key is in the ledger, which
producers of plain Celery messages cannot read if the broker is another server or they have another user.
"""

import hmac
from collections.abc import Callable


class Marks:
    """Makes and checks marks. One is shared by the dispatcher and the consumer of a worker.

    The ledger's key counts. When the ledger was emptied, the first worker that notices makes a new key. Until
    all have read it, which takes seconds, the former one is accepted as well, so that the steps of running
    workers are not taken for forgeries.
    """

    def __init__(self) -> None:
        self._keys: tuple[bytes, ...] = ()

    @property
    def known(self) -> bool:
        """True if there is a key."""
        return bool(self._keys)

    def renew(self, read: Callable[[], str]) -> None:
        """Read the key. Raises what ``read`` raises."""
        key = read().encode()
        if self._keys[:1] != (key,):
            self._keys = (key, *self._keys[:1])

    def of(self, task: str, task_id: str, body: bytes) -> str:
        """The mark of a message."""
        return _digest(self._keys[0], task, task_id, body)

    def valid(self, mark: object, task: str, task_id: str, body: bytes) -> bool:
        """True if the fleet has made this mark for this message."""
        return isinstance(mark, str) and any(
            hmac.compare_digest(_digest(key, task, task_id, body).encode(), mark.encode(errors="replace"))
            for key in self._keys
        )


def _digest(key: bytes, task: str, task_id: str, body: bytes) -> str:
    # The lengths keep the end of one part from being the beginning of the next.
    head = f"{len(task)}:{task}{len(task_id)}:{task_id}".encode(errors="surrogatepass")
    return hmac.digest(key, head + body, "sha256").hex()
