"""Accounts and money at the command line, against a real server, with jobs driven by the ledger itself."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from limner import InvalidRequest, Limner
from limner._redis import connect
from limner.ledger import Closing, Grant, Ledger, Money, Quota
from tests.integration.limner.ledger import speaking
from tests.repository import ROOT

PATIENCE = 30.0
NORTH = Quota(20, 10.0, 10, 1.0, 100, margin=0.25, account="north")
SOUTH = replace(NORTH, creates=5, account="south")
PRICES = Money({"BALANCED": Decimal(7)})


class Run(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def ledger(valkey_url: str) -> Ledger:
    """A fleet of two accounts."""
    ledger = Ledger(connect(valkey_url))
    ledger.queue.claim(NORTH, SOUTH)
    return ledger


@pytest.fixture
def limner(valkey_url: str) -> Limner:
    return Limner(valkey_url)


def run(url: str, *arguments: str) -> Run:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("LIMNER_")}
    done = subprocess.run(
        [sys.executable, "-m", "limner", *arguments],
        cwd=ROOT,
        env={**environment, "LIMNER_REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


def send(ledger: Ledger, job_id: str, quota: Quota = NORTH) -> int:
    """Begin the job's attempt; returns its number."""
    [step] = [step for step in ledger.queue.claim(quota, money=PRICES).steps if step.job_id == job_id]
    grant = ledger.jobs.begin(job_id, step.lease, "token", deadline=600, money=PRICES)
    assert isinstance(grant, Grant)
    return grant.attempt


def close(ledger: Ledger, limner: Limner, closing: Closing) -> str:
    """The provider closes the account for want of something."""
    job = limner.submit("a fox", account="north")
    error = {"cause": closing.cause, "code": 402, "message": "Top up"}
    assert ledger.jobs.retry(job.id, send(ledger, job.id), error, delay=0, pause=closing)
    return job.id


# quota


def test_before_the_first_worker_there_is_nothing_to_show(valkey_url: str) -> None:
    assert run(valkey_url, "quota") == (0, "no worker has started on this Redis yet\n", "")
    assert run(valkey_url, "quota", "--json") == (0, "", "")


def test_quota_shows_every_account(valkey_url: str, ledger: Ledger, limner: Limner) -> None:
    job = limner.submit("a red kite")
    send(ledger, job.id)
    limner.submit_many(["a fox", "a hen"])
    limner.submit("a goose", account="south")
    shown = run(valkey_url, "quota")
    assert (shown.code, shown.err) == (0, "")
    north, south = shown.out.split("account south")
    assert "1 of 20 requests in 10 s + 0.250 s margin; there is room" in north
    assert "1 of 100 tasks" in north
    assert "2 jobs in the common queue\n" in north
    assert "2 jobs in the common queue, 1 for this account alone" in south
    assert "pause       none" in south


def test_quota_as_json_has_a_line_for_each_account(valkey_url: str, ledger: Ledger) -> None:
    ledger.accounts.pause("south", reason="Invoices first")
    north, south = run(valkey_url, "quota", "--json").objects
    assert (north["account"], north["requests"], north["limit"], north["pause"]) == ("north", 20, 20, None)
    assert (south["account"], south["requests"], south["margin"]) == ("south", 5, 0.25)
    assert (south["pause"]["cause"], south["pause"]["ends_by"]) == ("by_hand", "person")
    assert south["pause"]["message"] == "Invoices first"


# pause, resume


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_an_unknown_account_is_refused_and_the_known_ones_are_named(
    valkey_url: str, ledger: Ledger, command: str
) -> None:
    refused = run(valkey_url, "--json", command, "nroth")
    assert (refused.code, refused.out) == (2, "")
    assert json.loads(refused.err)["message"] == "account: there is no 'nroth'; the fleet has north, south"
    assert not any(account.pause for account in ledger.accounts.statuses())


def test_before_the_first_worker_no_account_is_known(valkey_url: str) -> None:
    refused = run(valkey_url, "pause")
    assert (refused.code, refused.err) == (
        2,
        "limner: account: there is no 'main'; no worker has started yet\n",
    )


@pytest.mark.parametrize(
    ("options", "field"), [(["--seconds", "0"], "seconds"), (["--reason", "x" * 501], "reason")]
)
def test_a_pause_is_checked_before_it_is_made(
    valkey_url: str, ledger: Ledger, options: list[str], field: str
) -> None:
    refused = run(valkey_url, "pause", "north", *options)
    assert refused.code == 2
    assert refused.err.startswith(f"limner: {field}: ")
    assert not any(account.pause for account in ledger.accounts.statuses())


def test_a_paused_account_sends_nothing_until_it_is_resumed(
    valkey_url: str, ledger: Ledger, limner: Limner
) -> None:
    limner.submit("a red kite", account="north")
    paused = run(valkey_url, "pause", "north", "--reason", "Invoices first")
    assert paused == (0, "account north is paused until somebody resumes it\n", "")
    assert ledger.queue.claim(NORTH).steps == []
    assert "by hand since " in run(valkey_url, "quota").out
    assert run(valkey_url, "resume", "north") == (0, "account north is resumed\n", "")
    assert len(ledger.queue.claim(NORTH).steps) == 1
    assert run(valkey_url, "resume", "north") == (0, "account north was not paused\n", "")


def test_pause_and_resume_as_json(valkey_url: str, ledger: Ledger) -> None:
    assert run(valkey_url, "pause", "south", "--seconds", "60", "--json").objects == [
        {"account": "south", "seconds": 60.0, "reason": ""}
    ]
    facts = {"account": "south", "resumed": True, "probing": False}
    assert run(valkey_url, "resume", "south", "--json").objects == [facts]
    assert run(valkey_url, "resume", "south", "--json").objects == [{**facts, "resumed": False}]
    assert not any(account.pause for account in ledger.accounts.statuses())


def test_resume_says_that_a_request_is_tried_first(valkey_url: str, ledger: Ledger, limner: Limner) -> None:
    close(ledger, limner, Closing("maintenance", 60.0, 900.0))
    told = "account north tries one request now; the others follow if the provider takes it\n"
    assert run(valkey_url, "resume", "north") == (0, told, "")


def test_tail_tells_of_accounts(valkey_url: str, ledger: Ledger, limner: Limner) -> None:
    job_id = close(ledger, limner, Closing("no_credits", 60.0, 900.0, credits=True))
    ledger.accounts.resume("north")
    tail = run(valkey_url, "tail", "--from-start", "--count", "5")
    told = [line.partition("Z  ")[2] for line in tail.out.splitlines()]
    assert told == [
        f"{job_id}  submitted",
        f"{job_id}  attempt 1: sending the request, account north",
        f"account north is paused for 60.0 s: no_credits (code 402): Top up (job {job_id})",
        f"{job_id}  refused: no_credits (code 402): Top up; its account is paused for 60.0 s",
        "account north is resumed by a person: one request is tried first, and then all goes on",
    ]
    facts = run(valkey_url, "tail", "--from-start", "--count", "5", "--json").objects
    assert [(fact["event"], fact["job_id"]) for fact in facts][2:] == [
        ("paused", None),
        ("refused", job_id),
        ("resuming", None),
    ]
    assert facts[2]["detail"]["account"] == "north"


# submit, status


def test_submit_takes_lane_account_and_expiry(valkey_url: str, ledger: Ledger) -> None:
    options = ["--lane", "tenant-42", "--account", "south", "--expires-in", "30"]
    submitted = run(valkey_url, "submit", "a red kite", *options)
    assert (submitted.code, submitted.err) == (0, "")
    [facts] = run(valkey_url, "status", "--json", submitted.out.strip()).objects
    assert (facts["lane"], facts["account"], facts["position"]) == ("tenant-42", "south", 1)
    assert facts["expires_at"] > facts["created_at"]
    assert facts["ends_at"] > facts["starts_at"]
    line = run(valkey_url, "status", submitted.out.strip()).out
    assert "number 1 in the queue, about 0 s to start, 16 s to the end, expires in " in line


def test_submit_refuses_an_unknown_account(valkey_url: str, ledger: Ledger) -> None:
    refused = run(valkey_url, "submit", "a red kite", "--account", "nroth")
    assert (refused.code, refused.out) == (2, "")
    assert "there is no 'nroth'; the fleet has north, south" in refused.err
    assert [account.waiting_own for account in ledger.accounts.statuses()] == [0, 0]


def test_a_job_that_has_expired_is_told_as_such(valkey_url: str, ledger: Ledger, limner: Limner) -> None:
    job = limner.submit("a red kite", expires_in=0.001)
    while not job.status().state.ended:
        ledger.queue.claim(NORTH)
    waited = run(valkey_url, "wait", job.id, "--json")
    assert waited.code == 1
    [facts] = waited.objects
    assert (facts["state"], facts["error"]["type"], facts["error"]["charged"]) == ("expired", "Expired", "no")
    story = run(valkey_url, "explain", job.id).out
    assert "expired: it was not sent in time, and costs nothing" in story
    assert "credits: none were charged" in story


# spend


def test_spend_tells_days_and_what_may_come(valkey_url: str, ledger: Ledger, limner: Limner) -> None:
    job = limner.submit("a red kite", lane="tenant-42")
    ledger.jobs.accepted(job.id, send(ledger, job.id), "t1", poll_in=60)
    speaking.task_succeeded(ledger, job.id, "t1", ["https://a"], Decimal("3.5"), ttl=60)
    send(ledger, limner.submit("a fox").id, SOUTH)
    spent = run(valkey_url, "spend", "--days", "2")
    before, today, held, doubtful = spent.out.splitlines()
    assert before.endswith("         0 credits       0 tasks")
    assert today.endswith("       3.5 credits       1 tasks  account north 3.5  lane tenant-42 3.5")
    assert held == "held                 7 credits  account south 7"
    assert doubtful == "doubtful             0 credits"
    *days, standing = run(valkey_url, "spend", "--json").objects
    assert len(days) == 7
    assert (days[-1]["spent"], days[-1]["tasks"]) == ("3.5", 1)
    assert days[-1]["by_lane"] == {"tenant-42": "3.5"}
    assert (standing["held"], standing["held_by_account"]) == ("7", {"south": "7"})


@pytest.mark.parametrize("days", ["0", "401"])
def test_only_days_that_are_kept_can_be_asked_for(valkey_url: str, limner: Limner, days: str) -> None:
    refused = run(valkey_url, "spend", "--days", days)
    assert refused.code == 2
    assert "--days" in refused.err
    with pytest.raises(InvalidRequest, match=r"^days: "):
        limner.spend(int(days))


def test_what_programs_read_is_what_people_see(ledger: Ledger, limner: Limner) -> None:
    limner.pause("north", seconds=60, reason="Invoices first")
    [pause] = [account.pause for account in limner.accounts() if account.pause]
    assert (pause.cause, pause.message) == ("by_hand", "Invoices first")
    assert limner.resume("north")
    assert not limner.resume("north")
