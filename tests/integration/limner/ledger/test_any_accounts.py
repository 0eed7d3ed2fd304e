"""Any interleaving on three accounts, checked by invariants of the keys, and every job ends.

The model (``test_model.py``) predicts each reply, for one account. This test checks less, for several
accounts.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from limner.errors import Cancelled, InDoubt, RequestRejected
from limner.ledger import Claim, Closing, Grant, Ledger, Money, Quota, Step
from limner.ledger.messages import Caps
from limner.models import TextToImage
from limner.status import JobState
from limner.submission import prepare
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import START, Bench
from tests.integration.limner.ledger.model.world import STORIES

ACCOUNTS: Final = {
    "main": Quota(3, 10.0, 4, 1.0, 4, margin=0.5),
    "north": Quota(2, 10.0, 2, 1.0, 3, account="north", key="n"),
    "south": Quota(1, 10.0, 1, 1.0, 2, account="south"),
}
PRICES: Final = {"TURBO": Decimal("3.5"), "BALANCED": Decimal(7), "QUALITY": Decimal(10)}
MONEY: Final = Money(PRICES, Caps(day=Decimal(140), lane=Decimal(70)))
UNCAPPED: Final = Money(PRICES)
CLOSINGS: Final = {
    "rate_limited": Closing("rate_limited", 2.0, 16.0),
    "maintenance": Closing("maintenance", 30.0, 120.0),
    "no_credits": Closing("no_credits", 30.0, 120.0, credits=True),
    "unauthorized": Closing("unauthorized", 30.0, 120.0, key="n"),
}
WEIGHTS: Final = {
    "submit": 2,
    "claim": 4,
    "begin": 6,
    "answer": 6,
    "poll": 6,
    "recover": 3,
    "read_the_balance": 2,
}
SELDOM: Final = ("cancel", "give_back", "crash", "pause", "resume")
"""The rare moves. All of them together are as frequent as a claim."""
OF: Final[dict[str, Step]] = {
    "begin": "create",
    "poll": "poll",
    "recover": "recover",
    "read_the_balance": "credits",
}
"""The kind of step that a worker must hold for a move."""
Draw = Callable[..., Any]
UNSENT, SENT = Cancelled("unsent"), Cancelled("sent", {"charged": "maybe"})


def first(strategy: Any) -> Any:
    """The first value of a strategy, with which all goes well."""
    return strategy.elements[0]


@dataclass(frozen=True)
class Request:
    """An attempt on the wire, with its grant and its time."""

    job_id: str
    grant: Grant
    at: float


class Fleet(RuleBasedStateMachine):
    """Workers that each serve some of three accounts, and a provider that answers at random."""

    def __init__(self, client: Any) -> None:
        super().__init__()
        self.client = client
        self.client.flushall()
        self.now = START
        self.ledger = Ledger(client, clock=lambda: self.now)
        self.jobs: dict[str, str | None] = {}
        """The account that each job names, if any."""
        self.steps: list[Claim] = []
        self.requests: list[Request] = []
        self.sent: dict[str, list[float]] = {name: [] for name in ACCOUNTS}
        # A job may name an account once a worker has served it.
        self.ledger.queue.claim(*ACCOUNTS.values())

    def take(self, kind: Step, draw: Draw) -> Claim:
        step: Claim = draw(st.sampled_from([step for step in self.steps if step.step == kind]))
        self.steps.remove(step)
        return step

    # Hypothesis omits some rules in each run if there are many, and no job gets far without one of these.
    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        held = {step.step for step in self.steps}
        possible = [
            move
            for move, weight in WEIGHTS.items()
            if (self.requests if move == "answer" else move not in OF or OF[move] in held)
            for _ in range(weight)
        ]
        move = data.draw(st.sampled_from([*possible, *["seldom"] * WEIGHTS["claim"]]), label="move")
        getattr(self, move)(data.draw)

    def seldom(self, draw: Draw) -> None:
        getattr(self, draw(st.sampled_from(SELDOM)))(draw)

    # Producers

    def submit(self, draw: Draw) -> None:
        account = draw(st.sampled_from([None, None, *ACCOUNTS]))
        request = TextToImage(prompt="a fox", rendering_speed=draw(st.sampled_from(sorted(PRICES))))
        options: dict[str, Any] = {
            "lane": draw(st.sampled_from([None, "shop", "blog"])),
            "priority": draw(st.sampled_from([0, 5, 9])),
            "expires_in": draw(st.sampled_from([None, None, 15.0])),
        }
        for _ in range(draw(st.integers(1, 4))):
            # By number: the order of ids decides between equals, and must be the same again in a replay.
            job_id = f"job-{len(self.jobs):03}"
            self.ledger.jobs.submit(prepare(request, job_id=job_id, account=account, **options))
            self.jobs[job_id] = account

    def cancel(self, draw: Draw) -> None:
        if self.jobs:
            self.ledger.jobs.cancel(draw(st.sampled_from(list(self.jobs))), UNSENT, SENT)

    # Workers

    def claim(self, draw: Draw) -> None:
        names = draw(st.sets(st.sampled_from(sorted(ACCOUNTS)), min_size=1))
        self.now += draw(st.sampled_from([0.0, 0.3, 1.0, 3.0, 3.0, 11.0, 70.0]))
        claimed = self.ledger.queue.claim(*(ACCOUNTS[name] for name in sorted(names)), money=MONEY)
        for step in claimed.steps:
            if step.step == "create":
                account = self.field(step.job_id, "account")
                assert account in names
                assert self.jobs[step.job_id] in (None, account)
            if step.step == "poll":
                record = self.ledger.jobs.read(step.job_id)
                assert record
                assert record.open_task
                assert record.open_task.account in names
        self.steps += claimed.steps

    def begin(self, draw: Draw) -> None:
        step = self.take("create", draw)
        account = self.field(step.job_id, "account")
        pause = self.client.hgetall(f"{self.ledger.prefix}pause:{account}")
        token = f"{step.job_id} {step.lease}"
        grant = self.ledger.jobs.begin(step.job_id, step.lease, token, deadline=900.0, money=MONEY)
        if not isinstance(grant, Grant):
            return
        assert grant.account == account
        assert not pause or (pause.get("probe") == step.job_id and pause["cause"] != "by_hand"), pause
        self.sent[account].append(self.now)
        self.requests.append(Request(step.job_id, grant, self.now))

    def give_back(self, draw: Draw) -> None:
        if self.steps:
            self.ledger.queue.give_back([self.steps.pop(draw(st.integers(0, len(self.steps) - 1)))])

    def crash(self, _draw: Draw) -> None:
        self.steps.clear()

    # The provider

    def answer(self, draw: Draw) -> None:
        self.now += draw(st.sampled_from([0.1, 0.1, 0.4, 6.0]))
        request = self.requests.pop(draw(st.integers(0, len(self.requests) - 1)))
        job_id, attempt = request.job_id, request.grant.attempt
        answer = draw(st.sampled_from(["accepted"] * 4 + ["none", "never", "later", *CLOSINGS]))
        if answer == "accepted":
            self.ledger.jobs.accepted(job_id, attempt, f"task of {job_id} {attempt}", poll_in=3.0)
        elif answer == "none":
            self.ledger.jobs.doubt(job_id, attempt, {"cause": "timeout"}, grace=5.0)
        elif answer == "never":
            self.ledger.jobs.fail(job_id, RequestRejected("no"), [JobState.SENDING], attempt=attempt)
        else:
            if answer == "rate_limited":
                # What is refused so does not count.
                self.sent[request.grant.account].remove(request.at)
            error = {"cause": answer if answer in CLOSINGS else "server_fault", "message": "no"}
            self.ledger.jobs.retry(job_id, attempt, error, delay=1.0, pause=CLOSINGS.get(answer))

    def poll(self, draw: Draw) -> None:
        step = self.take("poll", draw)
        record = speaking.begin_poll(self.ledger, step.job_id, step.lease)
        if record is None or record.open_task is None:
            return
        if draw(st.sampled_from([True, True, False])):
            task_id = record.open_task.task_id
            speaking.task_succeeded(self.ledger, step.job_id, task_id, ["https://a"], None, ttl=1e6)
        else:
            speaking.polled(self.ledger, step.job_id, step.lease, "generating", poll_in=2.0)

    def read_the_balance(self, draw: Draw) -> None:
        step, balance = self.take("credits", draw), draw(st.sampled_from([Decimal(0), Decimal(100)]))
        self.ledger.accounts.balance_read(step.job_id, step.lease, balance, longest=120.0)

    def recover(self, draw: Draw) -> None:
        step = self.take("recover", draw)
        record = self.ledger.jobs.read(step.job_id)
        assert record
        if record.state is JobState.SENDING:
            self.ledger.jobs.doubt(step.job_id, record.attempt, {"cause": "worker_lost"}, grace=5.0)
        elif record.state is JobState.IN_DOUBT:
            self.ledger.jobs.fail(step.job_id, InDoubt("?"), [JobState.IN_DOUBT], lease=step.lease)
        elif record.finished_at:
            self.ledger.jobs.stored(step.job_id, record.finished_at, ttl=1e6)

    # Operators

    def pause(self, draw: Draw) -> None:
        self.ledger.accounts.pause(
            draw(st.sampled_from(sorted(ACCOUNTS))), seconds=draw(st.sampled_from([None, 5.0]))
        )

    def resume(self, draw: Draw) -> None:
        self.ledger.accounts.resume(draw(st.sampled_from(sorted(ACCOUNTS))))

    # What must hold

    def field(self, job_id: str, name: str) -> str:
        return str(self.client.hget(self.ledger.jobs.key(job_id), name))

    def records(self) -> dict[str, dict[str, str]]:
        return {job_id: self.client.hgetall(self.ledger.jobs.key(job_id)) for job_id in self.jobs}

    def scores(self, key: str) -> dict[str, float]:
        return dict(self.client.zrange(self.ledger.prefix + key, 0, -1, withscores=True))

    @invariant()
    def no_account_sends_more_than_its_quota(self) -> None:
        for name, times in self.sent.items():
            recent = [at for at in times if at > self.now - ACCOUNTS[name].creates_span]
            assert len(recent) <= ACCOUNTS[name].creates, name

    @invariant()
    def every_job_is_in_one_index(self) -> None:
        records = self.records()
        found: Counter[str] = Counter(self.scores("due").keys())
        found.update(self.scores("ready").keys())
        for name in self.scores("over-budget"):
            found.update(self.scores(f"over-budget:{name}").keys())
        for name in ACCOUNTS:
            own = self.scores(f"ready:{name}")
            assert {self.jobs[job_id] for job_id in own} <= {name}
            polled = self.scores(f"ready:polls:{name}")
            assert {records[job_id].get("reader", "main") for job_id in polled} <= {name}
            found.update(own.keys())
            found.update(polled.keys())
        open_ones = {job_id for job_id, record in records.items() if "stored" not in record}
        assert open_ones <= found.keys()
        assert set(found.values()) <= {1}

    @invariant()
    def slots_in_flight_match_the_records(self) -> None:
        records = self.records()
        for name, quota in ACCOUNTS.items():
            held = {job_id for job_id, record in records.items() if record.get("slot") == name}
            assert self.scores(f"in-flight:{name}").keys() == held
            begun = [job_id for job_id in held if records[job_id]["state"] in ("queued", "sending")]
            assert len(begun) <= quota.max_in_flight

    @invariant()
    def the_books_are_the_sum_of_the_records(self) -> None:
        told = {
            what: int(amount)
            for what, amount in self.client.hgetall(self.ledger.prefix + "money:held").items()
        }
        sums: Counter[str] = Counter()
        for record in self.records().values():
            for field, value in record.items():
                kind, _, attempt = field.partition(":")
                if kind not in ("hold", "doubt") or not attempt:
                    continue
                what, account = "held" if kind == "hold" else "doubtful", record[f"account:{attempt}"]
                sums[what] += int(value)
                sums[f"{what}:account:{account}"] += int(value)
                if lane := record.get("lane"):
                    sums[f"{what}:lane:{lane}"] += int(value)
        assert {what: amount for what, amount in told.items() if amount} == dict(sums)

    # What must come about

    def teardown(self) -> None:
        """Check that every job ends within some rounds once nothing fails any more."""
        self.requests.clear()
        for _ in range(40 + 4 * len(self.jobs)):
            if all(self.field(job_id, "stored") != "None" for job_id in self.jobs):
                break
            self.now += 11.0
            for name in ACCOUNTS:
                self.ledger.accounts.resume(name)
            quotas = [replace(quota, key="another") for quota in ACCOUNTS.values()]
            self.steps = list(self.ledger.queue.claim(*quotas, money=UNCAPPED).steps)
            self.finish()
        left = {
            job_id: self.field(job_id, "state")
            for job_id in self.jobs
            if self.field(job_id, "stored") == "None"
        }
        assert not left
        assert not self.client.zcard(self.ledger.prefix + "ready")

    def finish(self) -> None:
        for step in list(self.steps):
            if step.step == "create":
                grant = self.ledger.jobs.begin(
                    step.job_id, step.lease, f"{step}", deadline=1e6, money=UNCAPPED
                )
                if isinstance(grant, Grant):
                    task = f"task of {step.job_id} {grant.attempt}"
                    self.ledger.jobs.accepted(step.job_id, grant.attempt, task, poll_in=3.0)
        for kind, move in (("poll", self.poll), ("recover", self.recover)):
            while any(step.step == kind for step in self.steps):
                move(first)


SETTINGS = settings(STORIES, max_examples=40, stateful_step_count=60)


def test_nothing_breaks_on_several_accounts(bench: Bench) -> None:
    run_state_machine_as_test(lambda: Fleet(bench.client), settings=SETTINGS)  # type: ignore[arg-type]
