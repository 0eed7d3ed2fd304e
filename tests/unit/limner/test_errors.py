"""Errors travel, and say what to do."""

import inspect
import json
import pickle
from datetime import UTC, datetime

import pytest

from limner import errors
from limner.errors import JobFailed

CAUSES = [cause for _, cause in inspect.getmembers(errors, inspect.isclass) if issubclass(cause, JobFailed)]


@pytest.mark.parametrize("cause", CAUSES)
def test_an_error_survives_the_ledger_and_pickling(cause: type[JobFailed]) -> None:
    error = cause("it went wrong", {"job_id": "j", "task_id": "t", "code": 429, "attempts": 3})
    for copy in (
        JobFailed.from_json(json.loads(json.dumps(error.to_json()))),
        pickle.loads(pickle.dumps(error)),  # noqa: S301 - our own bytes
        cause(*json.loads(json.dumps(error.args))),
    ):
        assert type(copy) is cause
        assert (copy.job_id, copy.task_id, copy.code, str(copy)) == ("j", "t", 429, str(error))


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause is not JobFailed])
def test_every_cause_is_public_and_advises(cause: type[JobFailed]) -> None:
    assert cause.__name__ in errors.__all__
    assert cause.advice
    assert cause.__doc__


def test_an_error_of_a_newer_version_is_still_a_failure() -> None:
    error = JobFailed.from_json({"type": "Unheard", "message": "m", "details": {"job_id": "j"}})
    assert type(error) is JobFailed
    assert error.job_id == "j"


@pytest.mark.parametrize("cause", [errors.RepeatedMessage, errors.MessageTooOld, errors.IdempotencyConflict])
def test_an_answer_to_a_message_travels_by_its_arguments(cause: type[errors.LimnerError]) -> None:
    error = cause("task_id: no")
    copy = cause(*json.loads(json.dumps(error.args)))
    assert (str(copy), copy.args) == ("task_id: no", error.args)
    assert cause.__name__ in errors.__all__


def test_a_conflict_has_both_digests_and_both_times() -> None:
    details = {
        "job_id": "j",
        "digest": "d1",
        "created_at": "2026-11-01T00:00:00+00:00",
        "other_digest": "d2",
        "refused_at": "2026-11-02T00:00:00+00:00",
    }
    for error in (
        errors.IdempotencyConflict("no", details),
        pickle.loads(pickle.dumps(errors.IdempotencyConflict("no", details))),  # noqa: S301 - our own bytes
    ):
        assert (error.job_id, error.digest, error.other_digest) == ("j", "d1", "d2")
        assert error.created_at == datetime(2026, 11, 1, tzinfo=UTC)
        assert error.refused_at == datetime(2026, 11, 2, tzinfo=UTC)
    assert errors.IdempotencyConflict("no").created_at is None


def test_what_may_be_charged_is_not_safe_to_resend() -> None:
    assert not errors.InDoubt("?").safe_to_resend
    assert not errors.DeadlineExceeded("?").safe_to_resend
    assert errors.DeadlineExceeded("?", {"charged": "no"}).safe_to_resend
    assert errors.AttemptsExhausted("?").safe_to_resend
    assert not errors.NoImages("?").safe_to_resend
