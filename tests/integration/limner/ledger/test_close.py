"""The pause of an account for a trouble that a worker has met without a job, as at its start."""

from dataclasses import replace

import pytest

from limner.ledger import Closing, Grant
from limner.pauses import EndsBy
from tests.integration.limner.ledger.conftest import Bench

GATEWAY = Closing("gateway", 5.0, 300.0)
ERROR = {
    "cause": "gateway",
    "code": None,
    "http_status": 302,
    "message": "is redirected to https://kie.ai/login",
}


def test_an_account_that_no_worker_has_served_starts_closed(bench: Bench) -> None:
    assert bench.ledger.accounts.close("main", GATEWAY, ERROR)
    bench.submit()
    assert bench.claim().steps == []
    [status] = bench.ledger.accounts.statuses()
    assert status.pause
    assert (status.pause.cause, status.pause.message) == ("gateway", ERROR["message"])
    assert status.pause.until
    assert status.pause.until.timestamp() == bench.now + 5.0


def test_a_closed_account_opens_by_itself(bench: Bench) -> None:
    bench.ledger.accounts.close("main", GATEWAY, ERROR)
    first, second = bench.submit("a fox"), bench.submit("a hen")
    assert bench.claim().wait <= 5.0
    bench.now += 5.0
    [probe] = bench.claim().steps
    assert probe.job_id == first
    grant = bench.ledger.jobs.begin(first, probe.lease, "token", deadline=900)
    assert isinstance(grant, Grant)
    bench.ledger.jobs.accepted(first, grant.attempt, "task", poll_in=600)
    bench.now += 5.0
    assert [step.job_id for step in bench.claim().steps] == [second]


def test_an_account_that_is_paused_already_stays_as_it_is(bench: Bench) -> None:
    bench.claim()
    bench.ledger.accounts.close("main", GATEWAY, ERROR)
    before = bench.client.hgetall(f"{bench.ledger.prefix}pause:main")
    assert not bench.ledger.accounts.close("main", Closing("unreachable", 60.0, 300.0), ERROR)
    assert bench.client.hgetall(f"{bench.ledger.prefix}pause:main") == before


def test_a_pause_by_hand_stays_and_one_that_is_over_does_not_count(bench: Bench) -> None:
    bench.claim()
    bench.ledger.accounts.pause("main", seconds=10)
    assert not bench.ledger.accounts.close("main", GATEWAY, ERROR)
    bench.now += 10.0
    assert bench.ledger.accounts.close("main", GATEWAY, ERROR)
    [status] = bench.ledger.accounts.statuses()
    assert status.pause
    assert (status.pause.cause, status.pause.ends_by) == ("gateway", EndsBy.PROBE)


def test_another_account_goes_on(bench: Bench) -> None:
    bench.ledger.accounts.close("main", GATEWAY, ERROR)
    bench.submit()
    other = replace(bench.quota, account="north")
    assert [step.step for step in bench.claim(other).steps] == ["create"]


def test_the_stream_tells_of_it_without_a_job(bench: Bench) -> None:
    bench.ledger.accounts.close("main", GATEWAY, ERROR)
    [event] = bench.ledger.journal.events("0")
    assert (event.event, event.job_id) == ("paused", "")
    assert event.detail["account"] == "main"
    assert event.detail["cause"] == "gateway"
    assert event.detail["error"]["message"] == ERROR["message"]


@pytest.mark.parametrize("account", ["main", "north"])
def test_only_the_account_that_is_named_is_closed(bench: Bench, account: str) -> None:
    bench.ledger.queue.claim(bench.quota, replace(bench.quota, account="north"))
    bench.ledger.accounts.close(account, GATEWAY, ERROR)
    assert [each.account for each in bench.ledger.accounts.statuses() if each.pause] == [account]
