"""Keeps the lease of a step while the step does something that takes long."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from limner.errors import LimnerError

logger = logging.getLogger(__name__)


class Lifeline:
    """Renews a lease every ``every`` seconds, for ``longest`` seconds at most, in a thread of its own.

    A worker that is killed renews nothing, and the step is another one's when the lease is over. So is a step
    that hangs for longer than ``longest``.
    """

    def __init__(self, renew: Callable[[], bool], *, every: float, longest: float) -> None:
        self._renew = renew
        self._every = every
        self._left = int(longest / every)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="limner-lifeline", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()

    def _run(self) -> None:
        while self._left > 0 and not self._over.wait(self._every):
            self._left -= 1
            try:
                if not self._renew():
                    return
            except LimnerError as error:
                # The lease is longer than a few renewals.
                logger.debug("a lease was not renewed: %s", error)
