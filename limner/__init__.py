"""Limner: submit a prompt, get the images' URLs.

>>> from limner import Limner, TextToImage
>>> job = Limner(redis_url).submit(TextToImage(prompt="a red kite over a salt flat"))  # doctest: +SKIP
>>> job.result(timeout=300).urls  # doctest: +SKIP
"""

from limner.accounts import AccountStatus
from limner.client import Limner
from limner.errors import (
    IdempotencyConflict,
    InvalidRequest,
    JobFailed,
    LimnerError,
    RecordTooNew,
    StoreUnavailable,
    UnknownJob,
)
from limner.job import Cancellation, Job
from limner.models import Images, TextToImage
from limner.pauses import Pause
from limner.spending import DaySpend, Spending, Standing
from limner.status import JobState, JobStatus, LogEntry

__all__ = [
    "AccountStatus",
    "Cancellation",
    "DaySpend",
    "IdempotencyConflict",
    "Images",
    "InvalidRequest",
    "Job",
    "JobFailed",
    "JobState",
    "JobStatus",
    "Limner",
    "LimnerError",
    "LogEntry",
    "Pause",
    "RecordTooNew",
    "Spending",
    "Standing",
    "StoreUnavailable",
    "TextToImage",
    "UnknownJob",
]
