"""Estimates of the time at which a job is sent, and of its end."""

from datetime import UTC, datetime

import pytest

from limner.ledger import Closing
from limner.ledger.durations import kind_of
from limner.ledger.estimates import Estimate
from limner.models import TextToImage
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.stories import in_doubt, record


def estimate(bench: Bench, job_id: str) -> Estimate:
    return bench.ledger.store.ask(bench.ledger.estimates.of(record(bench, job_id)))


def median(bench: Bench, job_id: str) -> float:
    """The median duration of tasks of this job's kind, in seconds."""
    kind = kind_of(TextToImage.model_validate(record(bench, job_id).request))
    return bench.ledger.durations.of(kind).median


def test_a_job_that_can_be_sent_starts_now_and_ends_after_a_usual_duration(bench: Bench) -> None:
    bench.claim()
    job_id = bench.submit()
    now = datetime.fromtimestamp(bench.now, UTC)
    told = estimate(bench, job_id)
    assert told.starts_at == now
    assert told.ends_at is not None
    assert (told.ends_at - now).total_seconds() == pytest.approx(median(bench, job_id))


def test_a_task_under_way_has_less_left_the_longer_it_runs(bench: Bench) -> None:
    job_id = bench.generating()
    first = estimate(bench, job_id)
    bench.now += median(bench, job_id) / 2
    second = estimate(bench, job_id)
    assert first.starts_at is second.starts_at is None
    assert first.ends_at is not None
    assert second.ends_at is not None
    before = first.ends_at.timestamp() - (bench.now - median(bench, job_id) / 2)
    assert 0 < second.ends_at.timestamp() - bench.now < before


def test_nobody_can_tell_the_end_of_a_doubt_or_of_what_has_ended(bench: Bench) -> None:
    assert estimate(bench, in_doubt(bench)) == Estimate()
    job_id = bench.generating("a hen")
    bench.succeed(job_id)
    assert estimate(bench, job_id) == Estimate()


def test_a_pause_of_every_account_is_told_by_its_cause(bench: Bench) -> None:
    job_id, grant = bench.sending()
    closing = Closing("maintenance", 30.0, 60.0)
    assert bench.ledger.jobs.retry(job_id, grant.attempt, {"cause": "maintenance"}, delay=1.0, pause=closing)
    assert estimate(bench, job_id).paused == "maintenance"


def test_without_a_worker_no_start_is_told(bench: Bench) -> None:
    assert estimate(bench, bench.submit()) == Estimate()
