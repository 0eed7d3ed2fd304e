"""Names into addresses, within a bound of time."""

import socket
import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Final

from limner._fetch.deadline import Deadline
from limner._fetch.faults import FetchError, FetchFault

Resolve = Callable[[str], Sequence[str]]
"""A function from a name to all its addresses, as texts; raises OSError."""

AT_ONCE: Final = 64
"""The most lookups at once of one :class:`Lookup`, and so the most threads that a dead name server holds."""


def resolve(name: str) -> list[str]:
    """The addresses of a name, by the resolver of the system."""
    # Bytes: a text would be encoded by IDNA once more.
    found = socket.getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Lookup:
    """Resolves names. Thread-safe."""

    def __init__(self, resolve: Resolve = resolve) -> None:
        self._resolve = resolve
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def addresses(self, name: str, deadline: Deadline) -> list[str]:
        """All addresses of the name; raises FetchError.

        Nothing can interrupt the system's resolver, which tries a dead name server for minutes. It runs in a
        thread that is left behind when time is up. An executor would wait for that thread at the end of the
        process.
        """
        if not self._free.acquire(timeout=deadline.wait()):
            raise deadline.missed("other lookups of names")
        answer: SimpleQueue[list[str] | Exception] = SimpleQueue()

        def look_up() -> None:
            try:
                answer.put(list(self._resolve(name)))
            except Exception as error:
                answer.put(error)
            finally:
                self._free.release()

        try:
            threading.Thread(target=look_up, name="limner-lookup", daemon=True).start()
        except RuntimeError:
            self._free.release()
            raise
        try:
            found = answer.get(timeout=deadline.wait())
        except Empty:
            raise deadline.missed("the lookup of its name") from None
        if isinstance(found, OSError | UnicodeError):
            raise FetchError(FetchFault.UNREACHABLE, "its name cannot be resolved") from found
        if isinstance(found, Exception):
            raise found
        if not found:
            raise FetchError(FetchFault.UNREACHABLE, "its name has no address")
        return found
