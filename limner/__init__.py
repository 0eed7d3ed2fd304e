"""Limner: submit a prompt, get the images' URLs.

>>> from limner import Limner, TextToImage
>>> job = Limner(redis_url).submit(TextToImage(prompt="a red kite over a salt flat"))  # doctest: +SKIP
>>> job.result(timeout=300).urls  # doctest: +SKIP
"""

from typing import TYPE_CHECKING

from limner.accounts import AccountStatus
from limner.client import Limner
from limner.configuration import Durability
from limner.errors import (
    AttemptsExhausted,
    Cancelled,
    ConfigurationError,
    DeadlineExceeded,
    Expired,
    FeatureDisabled,
    GenerationFailed,
    IdempotencyConflict,
    ImagesNotSaved,
    InDoubt,
    InsufficientCredits,
    InvalidRequest,
    InvalidState,
    JobFailed,
    LimnerError,
    MessageTooOld,
    ModerationRefused,
    NoImages,
    NotDurable,
    OverBudget,
    RecordTooNew,
    RecordUnreadable,
    RepeatedMessage,
    RequestRejected,
    StoreUnavailable,
    Unauthorized,
    UnknownJob,
    WaitTimeout,
)
from limner.job import Cancellation, Job
from limner.models import ImageFile, Images, TextToImage
from limner.pauses import EndsBy, Pause
from limner.spending import DaySpend, Spending, Standing
from limner.status import (
    BrokenRecord,
    Contradiction,
    Copy,
    Doubt,
    Event,
    JobState,
    JobStatus,
    Letter,
    LogEntry,
    PendingCopy,
    Task,
    TaskState,
    UnmatchedCallback,
)

__all__ = [
    "AccountStatus",
    "AttemptsExhausted",
    "BrokenRecord",
    "Cancellation",
    "Cancelled",
    "ConfigurationError",
    "Contradiction",
    "Copy",
    "DaySpend",
    "DeadlineExceeded",
    "Doubt",
    "Durability",
    "EndsBy",
    "Event",
    "Expired",
    "FeatureDisabled",
    "GenerationFailed",
    "IdempotencyConflict",
    "ImageFile",
    "Images",
    "ImagesNotSaved",
    "InDoubt",
    "InsufficientCredits",
    "InvalidRequest",
    "InvalidState",
    "Job",
    "JobFailed",
    "JobState",
    "JobStatus",
    "Letter",
    "Limner",
    "LimnerError",
    "LogEntry",
    "MessageTooOld",
    "ModerationRefused",
    "NoImages",
    "NotDurable",
    "OverBudget",
    "Pause",
    "PendingCopy",
    "RecordTooNew",
    "RecordUnreadable",
    "RepeatedMessage",
    "RequestRejected",
    "Spending",
    "Standing",
    "StoreUnavailable",
    "Task",
    "TaskState",
    "TextToImage",
    "Unauthorized",
    "UnknownJob",
    "UnmatchedCallback",
    "WaitTimeout",
    "__version__",
]

if TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        # Read only on access, because reading it touches the disk and few callers need it.
        if name != "__version__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("limner")
        except PackageNotFoundError:
            return "0+unknown"
