"""The letters of a worker: messages that its consumer refuses are set aside, and told in the log.

The consumer's loop only hands them over. A thread writes them to the ledger, so that a Redis that does not
answer never holds up the loop.
"""

import base64
import json
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from limner._redaction import hidden
from limner.ledger import Unfit
from worker.outages import is_outage, outage

logger = logging.getLogger(__name__)

MOST_WAITING: Final = 1000
"""Letters that wait for the ledger. Beyond, the oldest are only counted."""
MOST_KEPT: Final = 16_384
"""Bytes of a message that wait with it."""
AT_A_TIME: Final = 100
TELL_EVERY: Final = 10.0
"""Seconds between two lines in the log."""
PAUSE: Final = 0.5
"""Seconds between two tries while the ledger is away."""
_ENCODED: Final = re.compile(r"[A-Za-z0-9+/=_-]{40,}")


class _Waiting(NamedTuple):
    why: str
    queue: str
    size: int
    head: bytes


class LetterBox(threading.Thread):
    """Takes messages that are to be set aside, from any thread, and never blocks.

    ``put`` writes them to the ledger. ``secrets`` are hidden in what is kept and told.
    """

    def __init__(self, put: Callable[..., None], secrets: Sequence[str]) -> None:
        super().__init__(name="limner-letters", daemon=True)
        self._put = put
        self._secrets = tuple(secrets)
        self._waiting: deque[_Waiting] = deque()
        self._news = threading.Condition()
        self._begun = self._stopped = False
        self._count, self._lost, self._told_at = 0, 0, -TELL_EVERY
        self._last = ""

    def add(self, why: str, queue: str, item: bytes) -> None:
        """Set a message aside."""
        with self._news:
            if not self._begun:
                # Most workers never meet one.
                self._begun = True
                self.start()
            self._waiting.append(_Waiting(why, queue, len(item), item[:MOST_KEPT]))
            self._count += 1
            if len(self._waiting) > MOST_WAITING:
                self._waiting.popleft()
                self._lost += 1
            self._news.notify()

    def stop(self, timeout: float) -> None:
        """Write those that wait, once, and end."""
        with self._news:
            self._stopped = True
            self._news.notify()
        if self._begun:
            self.join(timeout)

    def run(self) -> None:
        """Write and tell until it is stopped."""
        while True:
            with self._news:
                while not (self._waiting or self._stopped or self._untold):
                    self._news.wait()
                if self._untold and not self._waiting and not self._stopped:
                    self._news.wait(max(0.0, self._told_at + TELL_EVERY - time.monotonic()))
                taken = [self._waiting.popleft() for _ in range(min(AT_A_TIME, len(self._waiting)))]
                stopped = self._stopped
            written = self._write(taken)
            self._tell(at_once=stopped)
            if stopped and (not written or not self._waiting):
                return

    @property
    def _untold(self) -> bool:
        return self._count > 0

    def _write(self, taken: list[_Waiting]) -> bool:
        if not taken:
            return True
        unfit = [self._unfit(each) for each in taken]
        self._last = unfit[-1].why
        try:
            self._put(*unfit)
        except Exception as error:
            # Without its thread, letters would pile up unseen.
            if is_outage(error):
                outage.failed("letters", error)
            else:
                logger.debug("letters wait for the ledger: %s", error)
            with self._news:
                self._waiting.extendleft(reversed(taken))
                self._news.wait_for(lambda: self._stopped, PAUSE)
            return False
        outage.serves("letters")
        return True

    def _unfit(self, waiting: _Waiting) -> Unfit:
        return Unfit(
            why=hidden(waiting.why, self._secrets),
            queue=waiting.queue,
            size=waiting.size,
            head=hidden(_shown(waiting.head), self._secrets),
        )

    def _tell(self, *, at_once: bool) -> None:
        now = time.monotonic()
        if not self._count or (now < self._told_at + TELL_EVERY and not at_once):
            return
        with self._news:
            count, self._count = self._count, 0
            lost, self._lost = self._lost, 0
        self._told_at = now
        uncounted = f", {lost} of them without a letter" if lost else ""
        logger.warning(
            "messages set aside: %d%s, the last one as %s; python -m limner letters lists them",
            count,
            uncounted,
            self._last,
        )


def _shown(item: bytes) -> str:
    """The text of a message as a person reads it: with its body decoded, so that secrets are found there."""
    text = item.decode(errors="replace")
    try:
        message: Any = json.loads(text)
        body = message["body"]
        if message["properties"].get("body_encoding") == "base64":
            body = _decoded(body)
        headers = {name: value for name, value in message["headers"].items() if value is not None}
        message = {"headers": headers, "content-type": message.get("content-type"), "body": body}
        text = json.dumps(message, ensure_ascii=False)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        # What is encoded may contain anything.
        text = _ENCODED.sub(lambda found: f"…{len(found[0])} characters…", text)
    return text


def _decoded(body: str) -> str:
    return base64.b64decode(body, validate=True).decode(errors="replace")
