"""The cost of a job for the server: the commands that its scripts call, as the server counts them.

In a fleet, a script also calls TIME. The clock of these tests replaces that call, so it is added here. The
wake-up list is empty before each script, as with a dispatcher that sleeps on it. The budgets are measured
figures without slack: a change that needs another command raises the number, and one that saves one lowers
it.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final

import pytest

from limner.ledger import COMPLETE, Claim, Grant, Money, Quota, Stored
from limner.ledger.durations import DurationSample, kind_of
from limner.ledger.scripts.reports import BackendResult, Polled, TaskSucceeded
from limner.models import ImageFile, TextToImage
from limner.submission import prepare
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench

MONEY: Final = Money({"TURBO": Decimal("3.5"), "BALANCED": Decimal(7), "QUALITY": Decimal(10)})
"""Prices without caps, as in a fleet without settings about money."""
ROOMY: Final = Quota(10_000, 10.0, 10_000, 1.0, 10_000, margin=0.25, key="k")
OURS: Final = ("evalsha", "config|resetstat", "config", "ping")
"""Commands that the test itself sends; no script calls them."""
BATCH: Final = 20
FILE: Final = ImageFile(
    url="https://cdn/1.png",
    name="1.png",
    sha256="ab" * 32,
    size=1000,
    content_type="image/png",
    width=64,
    height=48,
)

BUDGETS: Final = {
    "submit": 13,
    "claim of 1": 40,
    "begin": 19,
    "accepted": 14,
    "claim of a poll": 34,
    "begin_polls": 8,
    "report polled": 9,
    "report task_succeeded": 30,
    "report task_succeeded, to be copied": 29,
    "claim of copies": 21,
    "begin_copies": 6,
    "plan_copy": 5,
    "report_copies": 25,
    "claim with room for copies": 16,
    "claim of 20": 154,
    "claim of 20 polls": 110,
}
ONE_POLL: Final = 97.2
TWO_POLLS: Final = 119.7
"""The calls of a job by its number of polls, if twenty jobs are claimed at a time."""
MOST: Final = 98
"""The most calls of a job with one poll, whatever the stages cost."""


@dataclass
class Bill:
    """The number of commands that the scripts of each stage have called."""

    client: Any
    wakeup: str
    calls: dict[str, int] = field(default_factory=dict)
    commands: dict[str, Counter[str]] = field(default_factory=dict)

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Counts the one script that the block runs."""
        self.client.delete(self.wakeup)
        self.client.config_resetstat()
        yield
        stats = self.client.info("commandstats")
        called = Counter({name.removeprefix("cmdstat_"): told["calls"] for name, told in stats.items()})
        scripts = called["evalsha"]
        for name in OURS:
            del called[name]
        called["time"] += scripts
        self.calls[stage], self.commands[stage] = called.total(), called


def submit(bench: Bench, number: int) -> str:
    # A typical job has the defaults of a request and no lane.
    return bench.ledger.jobs.submit(prepare(TextToImage(prompt=f"fox {number}"))).job_id


def claim(bench: Bench) -> list[Claim]:
    return bench.ledger.queue.claim(ROOMY, money=MONEY).steps


def begin(bench: Bench, step: Claim) -> Grant:
    grant = bench.ledger.jobs.begin(
        step.job_id, step.lease, f"token {step.job_id}", deadline=900, money=MONEY
    )
    assert isinstance(grant, Grant)
    return grant


def accept(bench: Bench, job_id: str) -> None:
    bench.ledger.jobs.accepted(job_id, 1, f"task of {job_id}", poll_in=2.0)


def polled(step: Claim) -> Polled:
    """The report of a task that is not ready, for a job with one confirmed task."""
    return Polled(job_id=step.job_id, lease=step.lease, answer="generating", poll_in=2.0)


def succeeded(bench: Bench, step: Claim) -> TaskSucceeded:
    """The report of a task that succeeded, with the result backend beside the ledger."""
    kind = kind_of(TextToImage(prompt="a fox"))
    result = BackendResult(
        key=f"celery-task-meta-{step.job_id}",
        head="{",
        tail="}",
        expires=86_400,
        attempt=1,
        ttl=86_400,
        follow=5.0,
    )
    return TaskSucceeded(
        job_id=step.job_id,
        task_id=f"task of {step.job_id}",
        urls=["https://files/a.png"],
        cost=Decimal(7),
        ttl=86_400,
        sample=DurationSample.of(kind, 16.0),
        result=result,
    )


def life(bench: Bench, bill: Bill, number: int, polls: int) -> None:
    """Run one job from its submission to its stored result."""
    # The update of the registration, every five seconds, falls outside the measurement.
    claim(bench)
    with bill.of("submit"):
        job_id = submit(bench, number)
    with bill.of("claim of 1"):
        [step] = claim(bench)
    with bill.of("begin"):
        begin(bench, step)
    bench.now += 0.5
    with bill.of("accepted"):
        accept(bench, job_id)
    for turn in range(polls):
        bench.now += 2.0
        with bill.of("claim of a poll"):
            [step] = claim(bench)
        with bill.of("begin_polls"):
            assert speaking.begin_poll(bench.ledger, step.job_id, step.lease)
        bench.now += 0.3
        if turn < polls - 1:
            with bill.of("report polled"):
                assert speaking.report(bench.ledger, polled(step)).what == "held"
        else:
            with bill.of("report task_succeeded"):
                assert speaking.report(bench.ledger, succeeded(bench, step)).what == "ended"


def copies(bench: Bench, bill: Bill) -> None:
    """Copy the two images of a job, whose result is stored with the last of them."""
    step = generated(bench)
    told = replace(succeeded(bench, step), urls=["https://a", "https://b"], copy=30.0)
    with bill.of("report task_succeeded, to be copied"):
        assert speaking.report(bench.ledger, told).what == "copying"
    with bill.of("claim of copies"):
        [step] = bench.ledger.queue.claim(ROOMY, money=MONEY, copies=8).steps
    with bill.of("begin_copies"):
        begun = bench.ledger.copies.begin(step.job_id, step.lease)
    assert begun
    stored = {number: Stored(FILE, objects=2, bytes=1024) for number in (1, 2)}
    with bill.of("plan_copy"):
        assert bench.ledger.copies.plan(step.job_id, begun.copy_lease, 1, FILE)
    with bill.of("report_copies"):
        what, _ = bench.ledger.copies.report(
            step.job_id, begun.copy_lease, stored, COMPLETE, ttl=86_400, result=told.result
        )
    assert what == "noted"
    assert bench.indexes(step.job_id) == []


def generated(bench: Bench) -> Claim:
    """The poll of a job whose task has ended."""
    job_id = submit(bench, 200)
    [step] = claim(bench)
    begin(bench, step)
    accept(bench, job_id)
    bench.now += 2.0
    [step] = claim(bench)
    assert speaking.begin_poll(bench.ledger, step.job_id, step.lease)
    return step


def crowd(bench: Bench, bill: Bill) -> None:
    """Run twenty jobs that are claimed together and polled together."""
    claim(bench)
    for number in range(BATCH):
        submit(bench, 1000 + number)
    with bill.of(f"claim of {BATCH}"):
        steps = claim(bench)
    assert len(steps) == BATCH
    for step in steps:
        begin(bench, step)
    bench.now += 0.5
    for step in steps:
        accept(bench, step.job_id)
    bench.now += 2.0
    with bill.of(f"claim of {BATCH} polls"):
        steps = claim(bench)
    assert len(steps) == BATCH
    for step in steps:
        speaking.begin_poll(bench.ledger, step.job_id, step.lease)
        speaking.report(bench.ledger, succeeded(bench, step))


@pytest.fixture
def bill(bench: Bench) -> Bill:
    """The bill of a job with two polls, and of claims of twenty, on a server with learned data."""
    wakeup = bench.ledger.prefix + "wakeup"
    # After these jobs there are durations, a day's money and a learned margin.
    for number in range(3):
        life(bench, Bill(bench.client, wakeup), number, polls=2)
    bill = Bill(bench.client, wakeup)
    life(bench, bill, 100, polls=2)
    crowd(bench, bill)
    copies(bench, Bill(bench.client, wakeup))
    copies(bench, bill)
    with bill.of("claim with room for copies"):
        assert bench.ledger.queue.claim(ROOMY, money=MONEY, copies=8).steps == []
    return bill


def total(bill: Bill, polls: int) -> float:
    """The calls of a job, if twenty are claimed at a time."""
    calls = bill.calls
    claims = calls[f"claim of {BATCH}"] + polls * calls[f"claim of {BATCH} polls"]
    polling = polls * calls["begin_polls"] + (polls - 1) * calls["report polled"]
    rest = sum(calls[stage] for stage in ("submit", "begin", "accepted", "report task_succeeded"))
    return claims / BATCH + polling + rest


def shown(bill: Bill) -> str:
    """The bill by command, which shows what has become more expensive."""
    lines = [
        f"{stage}: {bill.calls[stage]} = "
        + ", ".join(f"{count} {command}" for command, count in commands.most_common())
        for stage, commands in bill.commands.items()
    ]
    return "\n".join(lines)


def test_each_script_keeps_within_its_budget(bill: Bill) -> None:
    assert bill.calls == BUDGETS, shown(bill)


def test_a_job_with_one_poll_costs_what_was_measured(bill: Bill) -> None:
    assert total(bill, 1) == pytest.approx(ONE_POLL), shown(bill)


def test_a_job_with_two_polls_costs_what_was_measured(bill: Bill) -> None:
    assert total(bill, 2) == pytest.approx(TWO_POLLS), shown(bill)


def test_a_job_with_one_poll_costs_no_more_than_98_calls(bill: Bill) -> None:
    assert total(bill, 1) <= MOST, shown(bill)
