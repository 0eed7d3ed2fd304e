"""``doubts``, ``resolve`` and ``callbacks`` on a real ledger."""

import pytest

from limner._redis import connect
from limner.ledger import Grant, Ledger, Quota
from tests.integration.limner.cli.conftest import Run


@pytest.fixture
def ledger(valkey_url: str) -> Ledger:
    return Ledger(connect(valkey_url))


@pytest.fixture
def in_doubt(ledger: Ledger, limner_cli: Run) -> str:
    """A job whose first attempt was not answered."""
    job_id = str(limner_cli("submit", "a fox")[0]["job_id"])
    [step] = ledger.queue.claim(Quota(20, 10.0, 10, 1.0, 100)).steps
    grant = ledger.jobs.begin(job_id, step.lease, "token", deadline=900)
    assert isinstance(grant, Grant)
    assert ledger.jobs.doubt(job_id, grant.attempt, {"cause": "timeout", "message": "no answer"}, grace=600.0)
    return job_id


def test_a_doubt_is_listed_with_the_prompt_by_which_it_can_be_found(limner_cli: Run, in_doubt: str) -> None:
    [told] = limner_cli("doubts")
    assert (told["job_id"], told["attempt"], told["request"]["prompt"]) == (in_doubt, 1, "a fox")


def test_a_job_that_ended_in_doubt_is_only_listed_among_all(limner_cli: Run, in_doubt: str) -> None:
    [told] = limner_cli("resolve", in_doubt, "--fail")
    assert told == {"job_id": in_doubt, "decision": "failed"}
    assert limner_cli("doubts") == []
    assert [each["job_id"] for each in limner_cli("doubts", "--all")] == [in_doubt]


def test_an_adopted_task_is_followed(limner_cli: Run, in_doubt: str) -> None:
    limner_cli("resolve", in_doubt, "--adopt", "t1")
    [told] = limner_cli("status", in_doubt)
    assert (told["state"], told["task_id"]) == ("generating", "t1")


@pytest.mark.parametrize(
    "decision",
    [(), ("--fail", "--resubmit"), ("--adopt", "t1", "--fail"), ("--adopt", "t1", "--attempt", "1")],
)
def test_a_decision_that_is_not_clear_changes_nothing(
    limner_cli: Run, in_doubt: str, decision: tuple[str, ...]
) -> None:
    limner_cli("resolve", in_doubt, *decision, code=2)
    assert [each["job_id"] for each in limner_cli("doubts")] == [in_doubt]


def test_callbacks_are_counted_and_those_of_unknown_jobs_listed(limner_cli: Run, ledger: Ledger) -> None:
    ledger.journal.keep_unmatched("gone", "t1")
    count, unmatched = limner_cli("callbacks")
    assert count == {"outcome": "unknown_job", "count": 1}
    assert (unmatched["job_id"], unmatched["task_id"]) == ("gone", "t1")


@pytest.fixture
def unreadable(ledger: Ledger, limner_cli: Run) -> str:
    """A job that a worker has set apart."""
    job_id = str(limner_cli("submit", "a fox")[0]["job_id"])
    with ledger.store.client() as client:
        client.hset(ledger.jobs.key(job_id), "attempt", "x")
    ledger.queue.claim(Quota(20, 10.0, 10, 1.0, 100))
    return job_id


def test_a_broken_record_is_listed_with_its_fault(limner_cli: Run, unreadable: str) -> None:
    [told] = limner_cli("broken")
    assert told["job_id"] == unreadable
    assert "its field attempt is no number that can be" in str(told["fault"])


@pytest.mark.parametrize("decision", ["retried", "dropped"])
def test_a_broken_record_is_decided_about(limner_cli: Run, unreadable: str, decision: str) -> None:
    option = {"retried": "--retry", "dropped": "--drop"}[decision]
    assert limner_cli("broken", unreadable, option) == [{"job_id": unreadable, "decision": decision}]
    assert limner_cli("broken") == []
    limner_cli("broken", unreadable, option, code=2)


@pytest.mark.parametrize("options", [(), ("--retry", "--drop")])
def test_a_decision_about_a_broken_record_has_to_be_clear(
    limner_cli: Run, unreadable: str, options: tuple[str, ...]
) -> None:
    limner_cli("broken", unreadable, *options, code=2)
    assert [each["job_id"] for each in limner_cli("broken")] == [unreadable]


def test_a_decision_needs_a_broken_record(limner_cli: Run) -> None:
    limner_cli("broken", "--retry", code=2)
