"""The exit codes of commands."""

from enum import IntEnum
from typing import Final, Self

import redis

from limner.errors import (
    ConfigurationError,
    IdempotencyConflict,
    ImagesNotSaved,
    InvalidRequest,
    InvalidState,
    JobFailed,
    RecordUnreadable,
    StoreUnavailable,
    UnknownJob,
    WaitTimeout,
)


class ExitCode(IntEnum):
    """A command's exit code; of several jobs, the largest."""

    OK = 0, "done"
    JOB_FAILED = (
        1,
        "a job that was waited for has failed, expired or was cancelled; `doctor` or `check` found a failure",
    )
    BAD_INPUT = 2, "bad input; the message names the field, and nothing was stored"
    TIMEOUT = 3, "the time to wait is over, and the job goes on"
    UNKNOWN_JOB = 4, "no such job: it never was, or its result has expired"
    STORE_UNAVAILABLE = 5, "Redis cannot be reached, or refuses"
    RECORD_TOO_NEW = 6, "the job's record cannot be read: a newer or older version wrote it, or it is damaged"
    NOT_SAVED = 7, "an image could not be saved; the others were"
    FAULT = 70, "a fault of Limner itself; please report it"
    INTERRUPTED = 130, "Ctrl-C; jobs go on"
    PIPE_CLOSED = 141, "the reader of the output has gone"

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member


_CODES: Final[tuple[tuple[type[Exception], ExitCode], ...]] = (
    (JobFailed, ExitCode.JOB_FAILED),
    (InvalidRequest, ExitCode.BAD_INPUT),
    (InvalidState, ExitCode.BAD_INPUT),
    (ConfigurationError, ExitCode.BAD_INPUT),
    (IdempotencyConflict, ExitCode.BAD_INPUT),
    (ImagesNotSaved, ExitCode.NOT_SAVED),
    (WaitTimeout, ExitCode.TIMEOUT),
    (UnknownJob, ExitCode.UNKNOWN_JOB),
    (StoreUnavailable, ExitCode.STORE_UNAVAILABLE),
    (redis.RedisError, ExitCode.STORE_UNAVAILABLE),
    (RecordUnreadable, ExitCode.RECORD_TOO_NEW),
)


def exit_code(error: Exception) -> ExitCode:
    """The code with which a command ends on this error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), ExitCode.FAULT)
