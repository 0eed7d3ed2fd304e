"""The receiver of callbacks, for any web framework."""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import redis
from pydantic import SecretStr

from limner._redis import connect
from limner.callbacks.payload import is_id, task_ids_of
from limner.callbacks.refusal import Refusal
from limner.callbacks.signature import check
from limner.configuration import prefix_of_env, redis_url_of_env
from limner.errors import ConfigurationError, RecordUnreadable, StoreUnavailable
from limner.ledger import Adoption, Ledger

logger = logging.getLogger(__name__)

QUIET_SECONDS: Final = 60.0
"""The time in which a warning is not repeated. Whoever reaches the receiver could fill the log otherwise."""

LONG_BODY: Final = 65_536
"""Bytes. Nearly all bodies are shorter."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~-]{1,100}")


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a callback: an HTTP status, a body in JSON, and the time after which to try again."""

    status: int
    body: bytes
    retry_after: int | None = None
    """Seconds, for the header Retry-After."""


SUCCESS: Final = Reply(200, b'{"code":200,"msg":"success"}')
"""The answer to every callback, good or bad, so that a sender learns nothing from it."""
AGAIN: Final = Reply(503, b'{"code":503,"msg":"try again"}', retry_after=10)
"""Makes the provider deliver the callback again (contract 3.3)."""
_REFUSED: Final = {
    Refusal.OVERSIZED: Reply(413, b'{"code":413,"msg":"too large"}'),
    Refusal.SLOW: Reply(408, b'{"code":408,"msg":"too slow"}'),
}

_NOTES: Final[Mapping[Adoption | Refusal, tuple[int, str]]] = {
    Adoption.ADOPTED: (logging.INFO, "its task is adopted"),
    Adoption.EXPECTED: (logging.DEBUG, "its task is polled now"),
    Adoption.REPEATED: (logging.DEBUG, "the end of its task was known"),
    Adoption.MISMATCHED: (logging.WARNING, "ignored: it names another task than the attempt's"),
    Adoption.UNNAMED: (logging.WARNING, "accepted, id unknown: look in the log of the provider"),
    Adoption.BAD_TOKEN: (logging.WARNING, "ignored: no attempt of the job has its token"),
    Adoption.UNKNOWN_JOB: (logging.WARNING, "kept for a person: there is no such job, or none any more"),
    Refusal.MALFORMED: (logging.WARNING, "ignored: it does not look like one of the provider's"),
    Refusal.BAD_SIGNATURE: (
        logging.WARNING,
        "ignored: its signature is missing or wrong; LIMNER_CALLBACK_HMAC_KEY must be the account's key",
    ),
    Refusal.STALE: (logging.WARNING, "ignored: it was signed long ago, or this machine's clock is wrong"),
    Refusal.OVERSIZED: (logging.WARNING, "refused: its body is too long"),
    Refusal.SLOW: (logging.WARNING, "refused: its body did not arrive in time"),
}


class Receiver:
    """Takes callbacks, and reports to the ledger those that are proven.

    The token in the URL proves which attempt of which job was accepted. With ``hmac_key``, the provider's
    signature is required too, for the id of a task; the token alone counts if no id can be read. ``now``
    returns the seconds since the epoch. Threads may share a receiver.
    """

    def __init__(
        self, ledger: Ledger, hmac_key: SecretStr | None = None, now: Callable[[], float] = time.time
    ) -> None:
        """Raises ConfigurationError for an empty key, which everybody could sign with."""
        if hmac_key is not None and not hmac_key.get_secret_value():
            raise ConfigurationError("hmac_key: is empty; leave it out if the account has none")
        self._ledger = ledger
        self._key = hmac_key
        self._now = now
        self._warnings = _Seldom(now)
        self._outage = _Outage()
        self._long = threading.Lock()

    @classmethod
    def from_env(cls) -> Self:
        """The receiver for ``LIMNER_REDIS_URL``.

        Also, if they are set, for ``LIMNER_PREFIX`` and ``LIMNER_CALLBACK_HMAC_KEY``.

        It connects to nothing. Raises ConfigurationError, which names the variable.
        """
        url = redis_url_of_env()
        key = os.environ.get("LIMNER_CALLBACK_HMAC_KEY", "")
        return cls(Ledger(connect(url), prefix=prefix_of_env()), SecretStr(key) if key else None)

    def handle(
        self, job_id: str, token: str, headers: Mapping[str, str], body: bytes, *, cut: Refusal | None = None
    ) -> Reply:
        """Act on one callback; the job's id and the token are those of its path, decoded.

        ``cut`` is the reason for which the body was not read to its end. What was read may name the task.

        It blocks for up to four calls to Redis, usually two, and raises nothing when Redis is away: the
        provider is asked to deliver the callback again.
        """
        return self._answer(job_id, cut, lambda: self._outcome(job_id, token, headers, body, cut))

    def expects(self, job_id: str, token: str) -> bool:
        """True if the token is right, so that a long body is worth reading. It blocks for a call to Redis."""
        try:
            return self._is_path(job_id, token) and bool(self._ledger.jobs.attempt_of(job_id, token))
        except (StoreUnavailable, RecordUnreadable, redis.RedisError):
            return False

    def _outcome(
        self, job_id: str, token: str, headers: Mapping[str, str], body: bytes, cut: Refusal | None
    ) -> Adoption | Refusal:
        if not self._is_path(job_id, token):
            return self._counted(cut or Refusal.MALFORMED)
        if cut and self._ledger.jobs.attempt_of(job_id, token) == 0:
            return self._counted(cut)
        task_ids = self._task_ids(body)
        if task_ids:
            task_id = self._signed(task_ids, headers)
            if isinstance(task_id, Refusal):
                return self._counted(task_id)
            return self._ledger.jobs.called_back(job_id, token, task_id)
        # No signature can be verified without the id, so the token alone counts.
        if not self._ledger.jobs.attempt_of(job_id, token):
            return self._counted(cut or Refusal.MALFORMED)
        return self._ledger.jobs.accepted_unnamed(job_id, token)

    def _task_ids(self, body: bytes) -> tuple[str, ...]:
        if len(body) <= LONG_BODY:
            return task_ids_of(body)
        # A document takes many times the memory of its text, so that only one long one is read at a time.
        with self._long:
            return task_ids_of(body)

    def _signed(self, task_ids: Sequence[str], headers: Mapping[str, str]) -> str:
        """The id that the signature is for, without a key the most likely one; a Refusal if there is none."""
        if self._key is None:
            return task_ids[0]
        named, now = {name.lower(): value for name, value in headers.items()}, self._now()
        faults = {task_id: check(self._key, task_id, named, now) for task_id in task_ids}
        for task_id, fault in faults.items():
            if fault is None:
                return task_id
        return Refusal.STALE if Refusal.STALE in faults.values() else Refusal.BAD_SIGNATURE

    @staticmethod
    def _is_path(job_id: str, token: str) -> bool:
        return is_id(job_id) and _TOKEN.fullmatch(token) is not None

    def _counted(self, refusal: Refusal) -> Refusal:
        self._ledger.journal.count_callback(refusal)
        return refusal

    def _answer(self, job_id: str, cut: Refusal | None, act: Callable[[], Adoption | Refusal]) -> Reply:
        try:
            outcome = act()
        except RecordUnreadable as error:
            self._note(job_id, type(error).__name__, logging.WARNING, f"put off: {error}")
            return AGAIN
        except (StoreUnavailable, redis.RedisError) as error:
            self._outage.failed(error)
            return AGAIN
        except Exception:
            # An answer of a broken server may make any code stumble. The callback must not be lost by that.
            if (left_out := self._warnings.due("stumbled")) is not None:
                logger.exception("callback for job %.200r: put off (%d like it not logged)", job_id, left_out)
            return AGAIN
        self._outage.serves()
        self._note(job_id, outcome, *_NOTES[outcome])
        if isinstance(outcome, Refusal):
            return _REFUSED.get(outcome, SUCCESS)
        # Delivered again, the body may arrive in time and name the task.
        return _REFUSED[cut] if cut is Refusal.SLOW and outcome is Adoption.UNNAMED else SUCCESS

    def _note(self, job_id: str, kind: str, level: int, text: str) -> None:
        if level < logging.WARNING:
            logger.log(level, "callback for job %.200r: %s", job_id, text)
        elif (left_out := self._warnings.due(kind)) is not None:
            logger.log(level, "callback for job %.200r: %s (%d like it not logged)", job_id, text, left_out)


class _Outage:
    """Tells an outage of the ledger: when it begins, once in QUIET_SECONDS, and when it ends."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._began: float | None = None
        self._told, self._count = 0.0, 0

    def failed(self, error: Exception) -> None:
        """Report a callback that the ledger could not take."""
        now = self._monotonic()
        with self._lock:
            self._count += 1
            if self._began is None:
                self._began = self._told = now
                logger.error("an outage begins: callbacks are put off: %s", error)
            elif now >= self._told + QUIET_SECONDS:
                self._told = now
                logger.error(
                    "the outage lasts for %.0f s, %d callbacks were put off: %s",
                    now - self._began,
                    self._count,
                    error,
                )

    def serves(self) -> None:
        """Report a callback that the ledger has taken."""
        if self._began is None:
            return
        with self._lock:
            began, self._began, count, self._count = self._began, None, self._count, 0
        if began is not None:
            lasted = self._monotonic() - began
            logger.error("the outage is over after %.0f s, %d callbacks were put off", lasted, count)


class _Seldom:
    """Lets each kind through once in QUIET_SECONDS."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kinds: dict[str, tuple[float, int]] = {}

    def due(self, kind: str) -> int | None:
        """The number of warnings omitted since the last one that was logged; None omits this one."""
        now = self._now()
        with self._lock:
            quiet_until, left_out = self._kinds.get(kind, (now, 0))
            # A clock that was set back must not silence it for longer.
            if quiet_until - QUIET_SECONDS <= now < quiet_until:
                self._kinds[kind] = (quiet_until, left_out + 1)
                return None
            self._kinds[kind] = (now + QUIET_SECONDS, 0)
            return left_out
