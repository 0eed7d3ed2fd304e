"""The breaker: trouble on the way to the provider closes an account, and a probe and a ramp open it."""

import json
import logging
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from limner.errors import RequestRejected
from limner.ledger import Claim, Closing, Grant, Quota
from limner.status import JobState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.stories import record

GATEWAY = Closing("gateway", 5.0, 300.0, after=3)
UNREACHABLE = Closing("unreachable", 5.0, 300.0, after=3)
FAULTY = Closing("faulty", 5.0, 300.0, after=3)
MAINTENANCE = Closing("maintenance", 5.0, 300.0)
PAGE = {"cause": "not_json", "http_status": 502, "message": "Bad Gateway"}


def creates(bench: Bench, quota: Quota | None = None) -> list[Claim]:
    return [step for step in bench.claim(quota).steps if step.step == "create"]


def send(bench: Bench, step: Claim) -> Grant:
    grant = bench.ledger.jobs.begin(step.job_id, step.lease, f"token {step.job_id}", deadline=900)
    assert isinstance(grant, Grant)
    return grant


def sent(bench: Bench, count: int) -> list[tuple[str, int]]:
    """The jobs and attempts of so many requests on the wire, each sent a millisecond after the other."""
    found = []
    for number in range(count):
        bench.submit(f"fox {number}")
    for step in creates(bench):
        found.append((step.job_id, send(bench, step).attempt))
        bench.now += 0.001
    return found


def pause(bench: Bench) -> dict[str, Any] | None:
    return bench.client.hgetall(bench.ledger.prefix + "pause:main") or None


def left(bench: Bench) -> float:
    found = pause(bench)
    assert found
    return round(int(found["until"]) / 1000 - bench.now, 2)


def doubt(bench: Bench, job_id: str, attempt: int, why: Closing = GATEWAY) -> bool:
    return bench.ledger.jobs.doubt(job_id, attempt, PAGE, grace=900.0, pause=why)


def unsent(bench: Bench, job_id: str, attempt: int, why: Closing = UNREACHABLE, delay: float = 30.0) -> bool:
    error = {"cause": "not_connected", "message": "refused"}
    return bench.ledger.jobs.retry(job_id, attempt, error, delay=delay, pause=why, unsent=True)


def fault(bench: Bench, job_id: str, attempt: int) -> bool:
    error = {"cause": "server_fault", "code": 500}
    return bench.ledger.jobs.retry(job_id, attempt, error, delay=20.0, pause=FAULTY, doubtful=True)


def accept(bench: Bench, job_id: str, attempt: int) -> None:
    bench.ledger.jobs.accepted(job_id, attempt, f"task of {job_id}", poll_in=600.0)


def closed(bench: Bench, why: Closing = GATEWAY) -> None:
    """Three jobs in a row meet trouble, and ten more wait."""
    on_the_wire = sent(bench, 3)
    for number in range(10):
        bench.submit(f"hen {number}")
    for job_id, attempt in on_the_wire:
        doubt(bench, job_id, attempt, why)


def probing(bench: Bench) -> tuple[str, int]:
    """The probe at the end of the pause, on the wire."""
    bench.now += left(bench) + 0.01
    [step] = creates(bench)
    return step.job_id, send(bench, step).attempt


# Closing


@pytest.mark.parametrize("meet", [doubt, unsent, fault])
def test_the_third_job_in_a_row_closes_the_account(bench: Bench, meet: Any) -> None:
    on_the_wire = sent(bench, 3)
    for job_id, attempt in on_the_wire[:2]:
        assert meet(bench, job_id, attempt)
        assert pause(bench) is None
    meet(bench, *on_the_wire[2])
    assert left(bench) == 5.0


def test_the_kinds_of_trouble_count_together(bench: Bench) -> None:
    first, second, third = sent(bench, 3)
    doubt(bench, *first)
    unsent(bench, *second)
    fault(bench, *third)
    found = pause(bench)
    assert found
    assert found["cause"] == "faulty"


def test_an_acceptance_in_between_starts_the_count_anew(bench: Bench) -> None:
    first, second, good, third, fourth = sent(bench, 5)
    doubt(bench, *first)
    doubt(bench, *second)
    accept(bench, *good)
    doubt(bench, *third)
    doubt(bench, *fourth)
    assert pause(bench) is None


def test_one_job_that_always_meets_trouble_does_not_close_the_account(bench: Bench) -> None:
    bench.submit("a prompt that a firewall dislikes")
    for _ in range(10):
        [step] = creates(bench)
        unsent(bench, step.job_id, send(bench, step).attempt)
        bench.now += 30.0
    assert pause(bench) is None


def test_a_worker_that_vanished_is_no_trouble(bench: Bench) -> None:
    for job_id, attempt in sent(bench, 5):
        bench.ledger.jobs.doubt(job_id, attempt, {"cause": "worker_lost"}, grace=900.0)
    assert pause(bench) is None


def test_a_job_that_fails_for_good_counts_as_well(bench: Bench) -> None:
    for job_id, attempt in sent(bench, 3):
        error = RequestRejected("fault")
        bench.ledger.jobs.fail(job_id, error, [JobState.SENDING], attempt=attempt, pause=FAULTY)
    assert pause(bench)


def test_the_pause_shows_the_last_answers(bench: Bench) -> None:
    closed(bench)
    found = pause(bench)
    assert found
    answers = json.loads(found["answers"])
    assert [answer["error"] for answer in answers] == [PAGE] * 3
    [status] = bench.ledger.accounts.statuses()
    assert status.pause
    assert status.pause.answers == ("HTTP 502, Bad Gateway",) * 3


def test_only_the_fleet_s_first_and_last_change_is_an_error(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    closed(bench)
    accept(bench, *probing(bench))
    assert ["is closed" in record.message for record in caplog.records] == [True, False]


def test_trouble_of_all_accounts_is_told_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    quotas = [Quota(20, 10.0, 10, 1.0, 100, account=name) for name in ("north", "south")]
    for number in range(3):
        for quota in quotas:
            bench.submit(f"fox {number}", account=quota.account)
    bench.ledger.queue.claim(*quotas)
    bench.now += 0.1
    for step in bench.ledger.queue.claim(*quotas).steps or []:
        unsent(bench, step.job_id, send(bench, step).attempt)
    waiting = [step for step in bench.ledger.queue.claim(*quotas).steps if step.step == "create"]
    for step in waiting:
        unsent(bench, step.job_id, send(bench, step).attempt)
    levels = [record.levelname for record in caplog.records if "is closed" in record.message]
    assert levels in ([], ["ERROR", "INFO"])


# Jobs meanwhile


def test_what_was_not_sent_keeps_its_place_its_attempts_and_its_time(bench: Bench) -> None:
    on_the_wire = sent(bench, 3)
    bench.now += 5.0
    for job_id, attempt in on_the_wire:
        unsent(bench, job_id, attempt)
    bench.submit("later")
    bench.now += 3600.0
    [step] = creates(bench)
    assert step.job_id == on_the_wire[0][0]
    grant = send(bench, step)
    assert (grant.attempt, grant.tries) == (2, 1)
    found = record(bench, step.job_id)
    assert found.deadline
    assert found.deadline.timestamp() == pytest.approx(bench.now + 900.0)
    assert bench.client.zcard(bench.ledger.prefix + "window:create:main") == 1


def test_a_fault_is_on_the_books_as_doubtful(bench: Bench) -> None:
    [(job_id, attempt)] = sent(bench, 1)
    fault(bench, job_id, attempt)
    bench.now += 20.0
    [step] = creates(bench)
    grant = send(bench, step)
    assert (grant.tries, grant.faults) == (2, 1)
    assert record(bench, job_id).faulted == 1


def test_what_may_be_the_task_is_followed_unconfirmed(bench: Bench) -> None:
    [(job_id, attempt)] = sent(bench, 1)
    bench.ledger.jobs.doubt(job_id, attempt, PAGE, grace=900.0, pause=GATEWAY, task_ids=["T", "U"])
    found = record(bench, job_id)
    assert found.state is JobState.GENERATING
    assert {task.task_id for task in found.tasks} == {"T", "U"}
    assert not any(task.confirmed for task in found.tasks)


# The way out


def test_one_probe_a_pause_and_each_pause_is_twice_as_long(bench: Bench) -> None:
    closed(bench)
    lengths = []
    for _ in range(8):
        lengths.append(left(bench))
        job_id, attempt = probing(bench)
        assert creates(bench) == []
        doubt(bench, job_id, attempt)
    assert lengths == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def test_another_kind_of_trouble_continues_the_pause(bench: Bench) -> None:
    closed(bench)
    unsent(bench, *probing(bench))
    found = pause(bench)
    assert found
    assert (found["cause"], left(bench)) == ("unreachable", 10.0)


def test_requests_that_were_on_the_wire_do_not_lengthen_the_pause(bench: Bench) -> None:
    on_the_wire = sent(bench, 8)
    for job_id, attempt in on_the_wire[:3]:
        doubt(bench, job_id, attempt)
    bench.now += 2.0
    for job_id, attempt in on_the_wire[3:]:
        doubt(bench, job_id, attempt)
    assert left(bench) == 3.0


def test_after_the_probe_the_requests_become_more_by_and_by(bench: Bench) -> None:
    closed(bench)
    for number in range(30):
        bench.submit(f"cow {number}")
    accept(bench, *probing(bench))
    rounds = []
    for _ in range(4):
        steps = creates(bench)
        rounds.append(len(steps))
        for step in steps:
            accept(bench, step.job_id, send(bench, step).attempt)
        bench.now += 10.1
    assert rounds[:4] == [1, 2, 4, 8]


def test_the_first_trouble_on_the_ramp_closes_the_account_again(bench: Bench) -> None:
    closed(bench)
    accept(bench, *probing(bench))
    [step] = creates(bench)
    doubt(bench, step.job_id, send(bench, step).attempt)
    assert left(bench) == 5.0


def test_a_ramp_without_answers_is_forgotten(bench: Bench) -> None:
    closed(bench)
    accept(bench, *probing(bench))
    [step] = creates(bench)
    send(bench, step)
    assert creates(bench) == []
    bench.now += 60.1
    assert len(creates(bench)) > 1


def test_a_grant_on_the_ramp_that_is_given_back_is_not_lost(bench: Bench) -> None:
    closed(bench)
    accept(bench, *probing(bench))
    bench.ledger.queue.give_back(creates(bench))
    assert len(creates(bench)) == 1


def test_a_refusal_for_good_shows_that_the_way_is_open(bench: Bench) -> None:
    closed(bench)
    job_id, attempt = probing(bench)
    bench.ledger.jobs.fail(job_id, RequestRejected("not this one"), [JobState.SENDING], attempt=attempt)
    assert pause(bench) is None
    assert len(creates(bench)) == 1


def test_a_confirmed_task_shows_that_its_attempt_met_no_trouble(bench: Bench) -> None:
    on_the_wire = sent(bench, 3)
    for job_id, attempt in on_the_wire:
        bench.ledger.jobs.doubt(job_id, attempt, PAGE, grace=900.0, pause=GATEWAY, task_ids=[f"of {job_id}"])
    assert pause(bench)
    for step in bench.claim().steps:
        speaking.begin_poll(bench.ledger, step.job_id, step.lease)
        speaking.polled(
            bench.ledger,
            step.job_id,
            step.lease,
            "waiting",
            poll_in=600.0,
            task_id=f"of {step.job_id}",
            sure=True,
        )
    assert pause(bench) is None


# Maintenance


def test_a_stray_455_is_disproved_by_a_request_that_was_sent_later(bench: Bench) -> None:
    first, refused, later = sent(bench, 3)
    bench.ledger.jobs.retry(*refused, {"cause": "maintenance"}, delay=0.0, pause=MAINTENANCE)
    accept(bench, *first)
    assert pause(bench)
    accept(bench, *later)
    assert pause(bench) is None
    assert [step.job_id for step in creates(bench)] == [refused[0]]


def test_a_request_that_was_sent_before_the_last_refused_one_disproves_nothing(bench: Bench) -> None:
    refused, accepted, last = sent(bench, 3)
    for each in (refused, last):
        bench.ledger.jobs.retry(*each, {"cause": "maintenance"}, delay=0.0, pause=MAINTENANCE)
    accept(bench, *accepted)
    assert pause(bench)


# The balance


BROKE = Closing("no_credits", 5.0, 20.0, credits=True)
REFUSED_KEY = Closing("unauthorized", 5.0, 20.0, key="k")
KEY = Quota(20, 10.0, 10, 1.0, 100, key="k")


def checks(bench: Bench) -> list[Claim]:
    return [step for step in bench.claim(KEY).steps if step.step == "credits"]


@pytest.mark.parametrize("why", [BROKE, REFUSED_KEY], ids=["402", "401"])
def test_a_balance_that_cannot_be_read_leads_to_a_probe_in_the_end(bench: Bench, why: Closing) -> None:
    bench.quota = KEY
    for number in range(3):
        bench.submit(f"fox {number}")
    [step, *others] = creates(bench, KEY)
    bench.ledger.queue.give_back(others)
    grant = send(bench, step)
    bench.ledger.jobs.retry(step.job_id, grant.attempt, {"cause": why.cause}, delay=0.0, pause=why)
    lengths = []
    while left(bench) > 0:
        lengths.append(left(bench))
        bench.now += left(bench)
        [check] = checks(bench)
        assert bench.ledger.accounts.balance_read("main", check.lease, None, longest=20.0, error="null")
    assert lengths == [5.0, 10.0, 20.0]
    assert len(creates(bench, KEY)) == 1


def test_a_good_balance_shows_that_a_refused_key_is_good(bench: Bench) -> None:
    bench.quota = KEY
    bench.submit("fox")
    [step] = creates(bench, KEY)
    grant = send(bench, step)
    error = {"cause": "unauthorized"}
    bench.ledger.jobs.retry(step.job_id, grant.attempt, error, delay=0.0, pause=REFUSED_KEY)
    bench.now += 5.0
    [check] = checks(bench)
    bench.ledger.accounts.balance_read("main", check.lease, Decimal(3), longest=20.0)
    [step] = creates(bench, KEY)
    accept(bench, step.job_id, send(bench, step).attempt)
    assert pause(bench) is None


def test_a_balance_that_contradicts_the_refusals_does_not_keep_the_pause_short(bench: Bench) -> None:
    bench.quota = KEY
    bench.submit("fox")
    [step] = creates(bench, KEY)
    lengths = []
    for _ in range(3):
        grant = send(bench, step)
        error = {"cause": "no_credits"}
        bench.ledger.jobs.retry(step.job_id, grant.attempt, error, delay=0.0, pause=BROKE)
        lengths.append(left(bench))
        bench.now += left(bench)
        [check] = checks(bench)
        bench.ledger.accounts.balance_read("main", check.lease, Decimal(1000), longest=20.0)
        [step] = creates(bench, KEY)
    assert lengths == [5.0, 10.0, 20.0]


# The permit of a moment


def test_a_request_that_goes_out_late_counts_from_then(bench: Bench) -> None:
    [(job_id, attempt)] = sent(bench, 1)
    bench.now += 8.0
    assert bench.ledger.jobs.renew(job_id, attempt, f"token {job_id}")
    [(_, at)] = bench.client.zrange(bench.ledger.prefix + "window:create:main", 0, -1, withscores=True)
    assert at == round(bench.now * 1000)
    assert bench.client.zscore(bench.ledger.prefix + "due", job_id) == round(bench.now * 1000) + 30_000


@pytest.mark.parametrize(
    ("seconds", "token"), [(10.1, None), (0.2, "another's")], ids=["permit gone", "not its attempt"]
)
def test_a_request_whose_time_is_over_does_not_go_out(
    bench: Bench, seconds: float, token: str | None
) -> None:
    [(job_id, attempt)] = sent(bench, 1)
    bench.now += seconds
    assert not bench.ledger.jobs.renew(job_id, attempt, token or f"token {job_id}")


def test_a_request_does_not_go_out_into_a_pause(bench: Bench) -> None:
    on_the_wire = sent(bench, 4)
    for job_id, attempt in on_the_wire[:3]:
        doubt(bench, job_id, attempt)
    job_id, attempt = on_the_wire[3]
    assert not bench.ledger.jobs.renew(job_id, attempt, f"token {job_id}")


def test_a_request_after_its_lease_does_not_go_out(bench: Bench) -> None:
    [(job_id, attempt)] = sent(bench, 1)
    bench.ledger.jobs.doubt(job_id, attempt, {"cause": "worker_lost"}, grace=0.0)
    assert not bench.ledger.jobs.renew(job_id, attempt, f"token {job_id}")


# A provider that does not answer


def test_no_more_is_sent_while_nothing_is_answered(bench: Bench) -> None:
    slow = Quota(4, 2.0, 10, 1.0, 100, margin=6.0)
    for number in range(20):
        bench.submit(f"fox {number}")
    on_the_wire = [(step.job_id, send(bench, step).attempt) for step in creates(bench, slow)]
    assert len(on_the_wire) == 4
    bench.now += 6.0
    bench.claim(replace(slow, creates=8))
    bench.now += 0.5
    assert creates(bench, replace(slow, creates=8)) == []
    accept(bench, *on_the_wire[0])
    bench.now += 1.0
    assert len(creates(bench, replace(slow, creates=8))) > 0
