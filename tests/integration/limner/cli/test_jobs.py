"""``status``, ``wait``, ``cancel`` and ``explain`` on a real ledger."""

import pytest

from tests.integration.limner.cli.conftest import Run


@pytest.fixture
def job_id(limner_cli: Run) -> str:
    return str(limner_cli("submit", "a fox")[0]["job_id"])


def test_what_is_wrong_with_one_job_keeps_no_other_from_its_turn(limner_cli: Run, job_id: str) -> None:
    told = limner_cli("status", "unknown", job_id, code=4)
    assert [(each["job_id"], each["state"]) for each in told] == [(job_id, "queued")]


def test_a_wait_is_over_when_its_time_is(limner_cli: Run, job_id: str) -> None:
    assert limner_cli("wait", job_id, job_id, "--timeout", "0", code=3) == []


def test_a_cancelling_may_be_repeated(limner_cli: Run, job_id: str) -> None:
    told = [limner_cli("cancel", job_id)[0]["cancellation"] for _ in range(2)]
    assert told == ["before_sending"] * 2


def test_a_cancelled_job_that_was_waited_for_has_failed(limner_cli: Run, job_id: str) -> None:
    limner_cli("cancel", job_id)
    [told] = limner_cli("wait", job_id, code=1)
    assert (told["state"], told["error"]["type"]) == ("cancelled", "Cancelled")


def test_a_story_has_the_log_and_an_outcome_once_there_is_one(limner_cli: Run, job_id: str) -> None:
    [before] = limner_cli("explain", job_id)
    limner_cli("cancel", job_id)
    [after] = limner_cli("explain", job_id)
    assert [entry["event"] for entry in after["log"]] == ["submitted", "cancelled"]
    assert (before["outcome"], after["outcome"]["state"]) == (None, "cancelled")
