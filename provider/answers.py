"""The possible meanings of an answer of the provider: one frozen dataclass for each.

A createTask ends in a :data:`CreateAnswer`, a recordInfo in a :data:`RecordAnswer`. The tables in
:mod:`provider.codes` map wire answers to these classes; a job's next step depends on these classes alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from limner.errors import (
    AttemptsExhausted,
    FeatureDisabled,
    GenerationFailed,
    InsufficientCredits,
    JobFailed,
    ModerationRefused,
    RequestRejected,
    Unauthorized,
)


class Trouble(StrEnum):
    """The part of the way to the provider's workers that an answer, or its absence, shows to be broken.

    Trouble says nothing about the request. Several jobs in a row that meet it close the account.
    """

    UNREACHABLE = "unreachable"
    """No connection, or no answer in time: DNS, TCP, TLS, a proxy, or a time-out."""
    GATEWAY = "gateway"
    """An intermediary answered in place of the API: a page, a challenge, a redirect."""
    FAULTY = "faulty"
    """The API answered, with a fault of its own."""


class Disposition(StrEnum):
    """The consequence of a refusal for the job and the fleet."""

    AGAIN = "again"
    """The request was not sent, or certainly not processed. The job returns to its place in the queue, and
    the attempt does not count."""
    LATER = "later"
    """The request is repeated after a back-off, a few times: a task may exist all the same (contract 1.4)."""
    NEVER = "never"
    """The same request will be refused again: the job ends. No task was started."""
    STOP = "stop"
    """Other requests of this account would be refused as well: the account pauses, its jobs wait. No task was
    started."""


class Cause(StrEnum):
    """The reason for which the provider refused."""

    RATE_LIMITED = "rate_limited"
    TOO_MANY_RUNNING = "too_many_running"
    MAINTENANCE = "maintenance"
    SERVER_FAULT = "server_fault"
    NOT_SENT = "not_sent"
    """This side did not send the request: the permission for it had expired, or the client was closed."""
    NOT_CONNECTED = "not_connected"
    GATEWAY = "gateway"
    """An intermediary answered, and certainly did not pass the request on."""
    NO_CREDITS = "no_credits"
    KEY_CAPPED = "key_capped"
    UNAUTHORIZED = "unauthorized"
    BAD_REQUEST = "bad_request"
    MODERATION = "moderation"
    DISABLED = "disabled"

    @property
    def disposition(self) -> Disposition:
        """The consequence for the job and the fleet."""
        return _REFUSALS[self][0]

    @property
    def error(self) -> type[JobFailed]:
        """The error of a job that ends in this cause."""
        return _REFUSALS[self][1]

    @property
    def trouble(self) -> Trouble | None:
        """The trouble that a refusal for this cause shows, if any."""
        return _TROUBLES.get(self)


_TROUBLES: Final[Mapping[Cause, Trouble]] = {
    Cause.NOT_CONNECTED: Trouble.UNREACHABLE,
    Cause.GATEWAY: Trouble.GATEWAY,
    Cause.SERVER_FAULT: Trouble.FAULTY,
}

_REFUSALS: Final[Mapping[Cause, tuple[Disposition, type[JobFailed]]]] = {
    Cause.RATE_LIMITED: (Disposition.STOP, AttemptsExhausted),
    Cause.TOO_MANY_RUNNING: (Disposition.STOP, AttemptsExhausted),
    Cause.MAINTENANCE: (Disposition.STOP, AttemptsExhausted),
    Cause.SERVER_FAULT: (Disposition.LATER, AttemptsExhausted),
    Cause.NOT_SENT: (Disposition.AGAIN, AttemptsExhausted),
    Cause.NOT_CONNECTED: (Disposition.AGAIN, AttemptsExhausted),
    Cause.GATEWAY: (Disposition.AGAIN, AttemptsExhausted),
    Cause.NO_CREDITS: (Disposition.STOP, InsufficientCredits),
    Cause.KEY_CAPPED: (Disposition.STOP, InsufficientCredits),
    Cause.UNAUTHORIZED: (Disposition.STOP, Unauthorized),
    Cause.BAD_REQUEST: (Disposition.NEVER, RequestRejected),
    Cause.MODERATION: (Disposition.NEVER, ModerationRefused),
    Cause.DISABLED: (Disposition.NEVER, FeatureDisabled),
}


class FailCause(StrEnum):
    """The reason for which an accepted task failed (contract 2.3)."""

    MODERATION = "moderation"
    BAD_INPUT = "bad_input"
    NO_CREDITS = "no_credits"
    KEY_CAPPED = "key_capped"
    PROVIDER_FAULT = "provider_fault"

    @property
    def error(self) -> type[JobFailed]:
        """The error of a job whose task failed for this reason."""
        return _FAILURES[self]


_FAILURES: Final[Mapping[FailCause, type[JobFailed]]] = {
    FailCause.MODERATION: ModerationRefused,
    FailCause.BAD_INPUT: RequestRejected,
    FailCause.NO_CREDITS: InsufficientCredits,
    FailCause.KEY_CAPPED: InsufficientCredits,
    FailCause.PROVIDER_FAULT: GenerationFailed,
}


class Why(StrEnum):
    """The reason for which an answer is inconclusive."""

    NOT_SENT = "not_sent"
    """This side did not send the request."""
    NOT_CONNECTED = "not_connected"
    TIMED_OUT = "timed_out"
    BROKEN_OFF = "broken_off"
    TOO_LONG = "too_long"
    BAD_ENCODING = "bad_encoding"
    NOT_JSON = "not_json"
    NO_CODE = "no_code"
    UNKNOWN_CODE = "unknown_code"
    CONTRADICTORY = "contradictory"
    NO_TASK_ID = "no_task_id"
    BAD_DATA = "bad_data"
    OTHER_TASK = "other_task"
    """The record is that of another task than the one that was asked for."""
    REFUSED = "refused"
    """The read itself was refused; the answer's ``cause`` is the reason."""


_WHY_TROUBLES: Final[Mapping[Why, Trouble]] = {
    Why.NOT_CONNECTED: Trouble.UNREACHABLE,
    Why.TIMED_OUT: Trouble.UNREACHABLE,
    Why.BROKEN_OFF: Trouble.UNREACHABLE,
    Why.TOO_LONG: Trouble.GATEWAY,
    Why.BAD_ENCODING: Trouble.GATEWAY,
    Why.NOT_JSON: Trouble.GATEWAY,
    Why.NO_CODE: Trouble.GATEWAY,
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """The task exists and will be charged."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider refused, or never had the request.

    No task was started, for certain, unless the cause is SERVER_FAULT. ``retry_after`` is in seconds, None if
    the provider named no time.
    """

    cause: Cause
    code: int | None
    http_status: int | None
    message: str
    retry_after: float | None = None

    @property
    def trouble(self) -> Trouble | None:
        """The trouble that the refusal shows, if any."""
        return self.cause.trouble


@dataclass(frozen=True, slots=True)
class Unknown:
    """The task may have been started: the request must not be sent again blindly (contract 1.6)."""

    why: Why
    code: int | None
    http_status: int | None
    message: str
    task_ids: tuple[str, ...] = ()
    """Whatever in the answer can be the id of the task. A poll has to confirm it."""
    retry_after: float | None = None
    """Seconds, None if the answer named no time."""

    @property
    def trouble(self) -> Trouble:
        """The trouble that the answer shows."""
        return _WHY_TROUBLES.get(self.why, Trouble.FAULTY)


CreateAnswer = Accepted | Refused | Unknown


# The request as the provider stored it, not parsed. Its callback URL holds a secret, so repr() omits it.
_PARAM: Final[Any] = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """The task is not finished. An undocumented state counts as unfinished."""

    state: str
    known_state: bool
    param: object = _PARAM


@dataclass(frozen=True, slots=True)
class Done:
    """The task succeeded; with no usable URL, ``urls`` is empty. Times are in epoch milliseconds."""

    urls: tuple[str, ...]
    credits: Decimal | None
    created_ms: int | None
    completed_ms: int | None
    param: object = _PARAM
    relative: int = 0
    """The number of URLs that were relative, and are resolved against the API's host."""
    withheld: str = ""
    """The provider's words if it says that it withheld the images; otherwise empty."""
    raw: str = field(default="", repr=False, compare=False)
    """The beginning of the answer's data as it was sent, without secrets, for a person."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The task ended without images. ``code`` is the provider's: a number, a word, or None."""

    cause: FailCause
    code: int | str | None
    message: str
    param: object = _PARAM
    transient: bool = False
    """True if the failure names a fault that may be over: the same request can be bought once more."""


@dataclass(frozen=True, slots=True)
class NoRecord:
    """The provider knows no such task, or does not know it yet (contract 2.4)."""

    code: int
    message: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An answer that says nothing about the task. ``cause`` is set if the read was refused."""

    why: Why
    code: int | None
    http_status: int | None
    message: str
    cause: Cause | None = None
    retry_after: float | None = None


RecordAnswer = Pending | Done | Failed | NoRecord | Unreadable
