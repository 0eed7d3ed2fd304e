"""Everything that can go wrong, one class a cause.

A :class:`JobFailed` travels through Celery's result backend as its class name and its two arguments, so its
constructor takes exactly those: a message and a JSON object of details.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

__all__ = [
    "AttemptsExhausted",
    "Cancelled",
    "ConfigurationError",
    "DeadlineExceeded",
    "Expired",
    "FeatureDisabled",
    "GenerationFailed",
    "IdempotencyConflict",
    "ImagesNotSaved",
    "InDoubt",
    "InsufficientCredits",
    "InvalidRequest",
    "InvalidState",
    "JobFailed",
    "LimnerError",
    "MessageTooOld",
    "ModerationRefused",
    "NoImages",
    "NotDurable",
    "OverBudget",
    "RecordTooNew",
    "RecordUnreadable",
    "RepeatedMessage",
    "RequestRejected",
    "StoreUnavailable",
    "Unauthorized",
    "UnknownJob",
    "WaitTimeout",
]

Charged = Literal["no", "maybe", "yes"]


class LimnerError(Exception):
    """The root of all of Limner's errors."""


class ConfigurationError(LimnerError, ValueError):
    """A setting or an argument of a client is wrong or missing; the message names it and shows no secret."""


class InvalidRequest(LimnerError, ValueError):
    """A request, or an option of it, is wrong; the message names the field. Nothing was stored or sent."""


class InvalidState(LimnerError):
    """The job does not stand where it would have to for this. Nothing was changed."""


class IdempotencyConflict(LimnerError):
    """The idempotency key, or the task id, already belongs to a job with another request.

    The attributes are None where they are not known. Nothing was changed, and nothing of the second request
    was stored or sent.
    """

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, dict(details or {}))

    @property
    def job_id(self) -> str | None:
        """The job that has the key or id."""
        return self._details.get("job_id")

    @property
    def digest(self) -> str | None:
        """The digest of that job's request."""
        return self._details.get("digest")

    @property
    def created_at(self) -> datetime | None:
        """The time at which that job was submitted."""
        return self._time("created_at")

    @property
    def other_digest(self) -> str | None:
        """The digest of the request that was refused."""
        return self._details.get("other_digest")

    @property
    def refused_at(self) -> datetime | None:
        """The time at which it was refused."""
        return self._time("refused_at")

    @property
    def _details(self) -> dict[str, Any]:
        return dict(self.args[1])

    def _time(self, name: str) -> datetime | None:
        text = self._details.get(name)
        return None if text is None else datetime.fromisoformat(text)

    def __str__(self) -> str:
        return str(self.args[0])


class RepeatedMessage(LimnerError):
    """A Celery message came again whose job had ended, and the job's result is no longer kept.

    Nothing was bought again. The first delivery has had its result.
    """


class MessageTooOld(LimnerError):
    """A Celery message is older than LIMNER_MESSAGE_SECONDS, for which ids of messages are remembered.

    It may be the second delivery of a message whose images were paid for, so nothing was bought.
    """


class StoreUnavailable(LimnerError, ConnectionError):
    """Redis cannot be reached, or did not answer in time. The message names the server and the setting."""


class NotDurable(StoreUnavailable):
    """Redis took a write, and did not confirm in time that it is as durable as LIMNER_DURABILITY asks for."""


class RecordUnreadable(LimnerError):
    """A job's record is damaged, or an older version of Limner wrote it. It stays as it is."""


class RecordTooNew(RecordUnreadable):
    """A job's record was written by a newer version of Limner than this one."""


class UnknownJob(LimnerError, LookupError):
    """There is no job of that id: it never existed, or its result was kept long enough and has expired."""


class WaitTimeout(LimnerError, TimeoutError):
    """The wait for a job's end has timed out. The job continues, and can be waited for again."""

    def __init__(self, message: str, *, job_id: str | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id
        """The job that was waited for."""


class ImagesNotSaved(LimnerError):
    """Some images of a job could not be saved into the folder; the message has the reasons.

    What was saved stays, and is found there when the images are saved again.
    """

    def __init__(
        self,
        message: str,
        *,
        job_id: str = "",
        reasons: Mapping[int, str] | None = None,
        saved: Sequence[Path] = (),
        retryable: bool = False,
    ) -> None:
        super().__init__(message)
        self.job_id = job_id
        """The job whose images they are."""
        self.reasons = dict(reasons or {})
        """The reason for each image that is missing, by its number. The first image has number 1."""
        self.saved = list(saved)
        """The files of the other images."""
        self.retryable = retryable
        """True if saving again, without a change of anything, has a chance."""


class JobFailed(LimnerError):
    """A job ended without images. The subclass names the cause.

    Its details hold ``job_id`` and, where known, ``task_id`` and ``code`` (the provider's), ``attempts``,
    ``last_error``, and ``charged`` where it is not as usual for the class.
    """

    retryable: ClassVar[bool] = False
    """True if a new job with the same request has a chance."""
    usually_charged: ClassVar[Charged] = "no"
    """The charge in such a case, unless the details say otherwise."""
    advice: ClassVar[str] = ""
    """Advice on the next step."""

    def __init__(self, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message, dict(details or {}))

    @property
    def message(self) -> str:
        """The event, in one sentence."""
        return str(self.args[0])

    @property
    def details(self) -> dict[str, Any]:
        """The facts behind the message, as plain JSON values."""
        return dict(self.args[1])

    @property
    def job_id(self) -> str | None:
        """Limner's id of the job."""
        return self.details.get("job_id")

    @property
    def task_id(self) -> str | None:
        """The provider's id of the task, if one is known."""
        return self.details.get("task_id")

    @property
    def code(self) -> int | str | None:
        """The provider's code for the failure, if it gave one."""
        return self.details.get("code")

    @property
    def charged(self) -> Charged:
        """The charge for the failed job: yes, no or maybe."""
        charged: Charged = self.details.get("charged", self.usually_charged)
        return charged

    @property
    def safe_to_resend(self) -> bool:
        """True if a new job cannot lead to paying twice for the same images."""
        return self.charged == "no"

    def __str__(self) -> str:
        parts = [self.message, f"[job {self.job_id}]" if self.job_id else ""]
        if self.task_id:
            parts.append(f"[provider task {self.task_id}]")
        return " ".join(part for part in [*parts, self.advice] if part)

    def with_details(self, **details: Any) -> Self:
        """The same error with more facts."""
        return type(self)(self.message, {**self.details, **details})

    def to_json(self) -> dict[str, Any]:
        """The error as stored on a job's record."""
        return {"type": type(self).__name__, "message": self.message, "details": self.details}

    @staticmethod
    def from_json(stored: Mapping[str, Any]) -> "JobFailed":
        """The error that :meth:`to_json` stored; a class this version does not know becomes JobFailed."""
        cause = _CAUSES.get(stored.get("type", ""), JobFailed)
        return cause(stored.get("message", ""), stored.get("details"))


class RequestRejected(JobFailed):
    """The provider refused the request itself."""

    advice = "Correct the request and submit it as a new job."


class Unauthorized(JobFailed):
    """The provider refused the API key."""

    retryable = True
    advice = "Check LIMNER_API_KEY and the key's address allow-list, then submit again."


class InsufficientCredits(JobFailed):
    """The account has no credits left, or the key has reached its spending cap."""

    retryable = True
    advice = "Top up the account or raise the key's cap, then submit again."


class FeatureDisabled(JobFailed):
    """The provider has switched the model off."""

    retryable = True
    advice = "Wait until the provider offers the model again."


class AttemptsExhausted(JobFailed):
    """The provider met a fault of its own in every attempt, as many as LIMNER_FAULT_ATTEMPTS allows.

    ``charged`` is "maybe" if one of them met a server fault, behind which a task may have been made.
    """

    retryable = True
    advice = "Look first in the provider's log for a task of it; then submit again."


class InDoubt(JobFailed):
    """The provider may have accepted the request, so it was not sent again."""

    usually_charged: ClassVar[Charged] = "maybe"
    advice = "Look for the task in the provider's log before submitting again: it may have been paid for."


class ModerationRefused(JobFailed):
    """The provider's content policy refused the prompt or the images."""

    advice = "Change the prompt and submit it as a new job."


class GenerationFailed(JobFailed):
    """The provider accepted the task and failed to make the images; it returns the credits."""

    retryable = True
    advice = "Submit again."


class NoImages(JobFailed):
    """The provider says that the task succeeded, and delivered no image."""

    usually_charged: ClassVar[Charged] = "yes"
    advice = (
        "The images are charged for all the same. `python -m limner explain` shows the provider's answer; "
        "`python -m limner resolve --reread` reads it again."
    )


class DeadlineExceeded(JobFailed):
    """The job had not ended by LIMNER_JOB_DEADLINE_SECONDS after its first attempt."""

    usually_charged: ClassVar[Charged] = "maybe"
    retryable = True
    advice = "Submit again; if a provider task is named, look first whether its images have arrived there."


class Expired(JobFailed):
    """The job was not sent within its ``expires_in`` seconds, and is not sent any more."""

    retryable = True
    advice = (
        "See with `python -m limner quota` and `spend` whether an account was paused or a cap reached. "
        "Submitted again with a higher priority, or on an account with more room, it is sent sooner."
    )


class OverBudget(JobFailed):
    """The job would have broken a cap on the credits of a day, and LIMNER_OVER_BUDGET is "refuse"; or it
    costs more than the whole cap."""

    retryable = True
    advice = (
        "Submit again tomorrow (UTC); or, if it costs more than a whole cap, raise LIMNER_CREDITS_PER_DAY or "
        "LIMNER_CREDITS_PER_LANE_DAY."
    )


class Cancelled(JobFailed):
    """The job was cancelled; if that was before its request was sent, it cost nothing."""

    usually_charged: ClassVar[Charged] = "maybe"
    advice = "Nothing more happens to it."


_CAUSES: dict[str, type[JobFailed]] = {cause.__name__: cause for cause in JobFailed.__subclasses__()}
