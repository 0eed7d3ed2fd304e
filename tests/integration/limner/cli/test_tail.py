"""``tail`` on a real ledger."""

import pytest

from tests.integration.limner.cli.conftest import Run


@pytest.fixture
def jobs(limner_cli: Run) -> list[str]:
    return [limner_cli("submit", prompt)[0]["job_id"] for prompt in ("a fox", "a hen", "an owl")]


def test_the_oldest_event_comes_first(jobs: list[str], limner_cli: Run) -> None:
    told = limner_cli("tail", "--from-start", "--count", "3")
    assert [event["job_id"] for event in told] == jobs


def test_it_stops_after_as_many_events_as_were_asked_for(jobs: list[str], limner_cli: Run) -> None:
    assert len(limner_cli("tail", "--from-start", "--count", "2")) == 2


def test_only_the_jobs_that_are_named_are_told_and_counted(jobs: list[str], limner_cli: Run) -> None:
    told = limner_cli("tail", "--from-start", "--count", "2", "--job", jobs[0], "--job", jobs[2])
    assert [event["job_id"] for event in told] == [jobs[0], jobs[2]]
