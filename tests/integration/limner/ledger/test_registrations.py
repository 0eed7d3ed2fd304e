"""Registrations of workers, and accounts that only other workers serve."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from limner.errors import StoreUnavailable
from limner.ledger.scripts.script import Script
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.errands import ONE, TWO, accept, another_worker, claim, many, of, rest

# Registrations


@contextmanager
def told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Record the names of the scripts that are run."""
    names: list[str] = []
    run = bench.ledger.store.run

    def listen(script: Script[Any]) -> Any:
        names.append(script.NAME)
        return run(script)

    with monkeypatch.context() as patch:
        patch.setattr(bench.ledger.store, "run", listen)
        yield names


def test_limits_are_registered_once_and_not_with_each_claim(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with told(bench, monkeypatch) as names:
        for _ in range(5):
            claim(bench, ONE, TWO)
    assert names == ["register", *["claim"] * 5]


def test_changed_limits_are_registered_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(bench, ONE, TWO)
    with told(bench, monkeypatch) as names:
        for _ in range(3):
            claim(bench, ONE, replace(TWO, creates=7))
    assert names == ["register", *["claim"] * 3]
    assert bench.client.hget(bench.ledger.prefix + "quota:two", "creates") == "7"


def test_workers_register_again_with_an_emptied_ledger(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    claim(bench, ONE)
    bench.client.flushall()
    job_id = bench.submit()
    with told(bench, monkeypatch) as names:
        assert of(claim(bench, ONE)) == []
    assert names == ["claim", "register", "claim", "recall", "claim"]
    # The permits of the last window are not on record any more.
    bench.now += 11
    assert of(claim(bench, ONE)) == [job_id]


def test_hundreds_of_accounts_are_registered_in_parts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with told(bench, monkeypatch) as names:
        claim(bench, *many(250))
    assert names == ["register"] * 3 + ["claim"]
    assert bench.client.scard(bench.ledger.prefix + "accounts") == 250


def test_an_interrupted_registration_is_repeated_from_the_start(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    quotas = many(150)
    claim(bench, *quotas)
    bench.client.flushall()
    run, pieces = bench.ledger.store.run, []

    def once(script: Script[Any]) -> Any:
        if script.NAME == "register":
            pieces.append(script)
            if len(pieces) == 2:
                raise StoreUnavailable("gone")
        return run(script)

    monkeypatch.setattr(bench.ledger.store, "run", once)
    with pytest.raises(StoreUnavailable):
        claim(bench, *quotas)
    job_id = bench.submit("a fox")
    claim(bench, *quotas)
    bench.now += 11
    assert of(claim(bench, *quotas)) == [job_id]
    assert len(bench.ledger.accounts.names()) == 150


def test_limits_are_registered_again_at_intervals(bench: Bench) -> None:
    claim(bench, ONE)
    another_worker(bench).queue.claim(replace(ONE, creates=20))
    assert bench.client.hget(bench.ledger.prefix + "quota:one", "creates") == "20"
    bench.ledger.queue._register_at = 0.0
    claim(bench, ONE)
    assert bench.client.hget(bench.ledger.prefix + "quota:one", "creates") == str(ONE.creates)


def test_a_registration_without_claims_for_an_hour_is_forgotten_and_renewed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim(bench, ONE)
    bench.now += 3601.0
    bench.ledger.queue.maintain()
    assert bench.client.zcard(bench.ledger.prefix + "registrations") == 0
    assert bench.client.keys(bench.ledger.prefix + "registration:*") == []
    job_id = bench.submit(account="one")
    with told(bench, monkeypatch) as names:
        assert of(claim(bench, ONE)) == [job_id]
    assert names == ["claim", "register", "claim"]


# Accounts of other workers


def test_accounts_of_other_workers_are_not_served(bench: Bench) -> None:
    other = another_worker(bench)
    other.queue.claim(TWO)
    rest(bench, ONE)
    theirs, ours = bench.submit("theirs", account="two"), bench.submit("ours", account="one")
    assert of(rest(bench, ONE)) == [ours]
    assert of(other.queue.claim(TWO).steps) == [theirs]


@pytest.mark.parametrize("pinned", [True, False], ids=["of its own", "of the common queue"])
def test_many_accounts_of_other_workers_do_not_starve_ours(bench: Bench, pinned: bool) -> None:
    theirs = many(130, "theirs")
    # Each has a job that nobody takes, so they stay first in the index.
    claim(bench, *theirs)
    claim(bench, ONE)
    rest(bench, ONE)
    for quota in theirs:
        bench.submit(f"fox {quota.account}", account=quota.account)
    bench.now += 1.0
    job_id = bench.submit("ours", account="one" if pinned else None)
    assert bench.client.zcount(bench.ledger.prefix + "active", "-inf", bench.now * 1000) >= 130
    assert of(claim(bench, ONE)) == [job_id]


def test_many_polls_of_other_workers_do_not_starve_ours(bench: Bench) -> None:
    theirs = many(130, "theirs")
    claim(bench, *theirs)
    for quota in theirs:
        bench.submit(f"fox {quota.account}", account=quota.account)
    for step in rest(bench, *theirs):
        accept(bench, step, poll_in=2.0)
    claim(bench, ONE)
    job_id = bench.submit("ours", account="one")
    [step] = rest(bench, ONE)
    accept(bench, step, poll_in=2.5)
    bench.now += 3.0
    # A claim takes a hundred due jobs, including those of other workers. The next claim takes the rest.
    found = [step for _ in range(2) for step in claim(bench, ONE)]
    assert [(step.job_id, step.step) for step in found] == [(job_id, "poll")]


def test_a_claim_that_visited_the_most_accounts_is_followed_by_another_at_once(bench: Bench) -> None:
    quotas = many(120)
    rest(bench, *quotas)
    jobs = [bench.submit(f"fox {quota.account}", account=quota.account) for quota in quotas]
    found: list[str] = []
    for _ in range(3):
        claimed = bench.ledger.queue.claim(*quotas)
        found += of(claimed.steps)
        assert claimed.wait == 0.0 or len(found) == len(jobs)
    assert sorted(found) == sorted(jobs)
