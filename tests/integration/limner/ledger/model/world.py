"""The world of the model: its time, its jobs, and the steps that workers hold."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from limner.errors import JobFailed
from limner.ledger import Claim, Ledger, Quota, Step
from limner.status import JobState
from tests.integration.limner.ledger.conftest import START
from tests.integration.limner.ledger.model.account import Account, ms
from tests.integration.limner.ledger.model.following import AHEAD, Index
from tests.integration.limner.ledger.model.life import Life
from tests.integration.limner.ledger.model.turns import Turns

STORIES: Final = settings(
    deadline=None,
    # CI gives the same result for the same commit; all other runs explore.
    derandomize="CI" in os.environ,
    print_blob=True,
    # A busy machine is slow, which is no fault of the ledger.
    suppress_health_check=[HealthCheck.too_slow],
)
"""The settings of all Hypothesis runs."""

ENOUGH: Final = Quota(20, 10.0, 20, 1.0, 4)
MOST_COPIES: Final = 2
"""The room for copies of a worker."""
ERROR: Final = {"cause": "maintenance", "message": "later"}

JOBS = st.integers(0, 4).map("job-{}".format)
WORKERS = st.integers(0, 1)
SELDOM = st.sampled_from([False, False, False, True])
DELAYS = st.sampled_from([0.0, 0.0, 2.0])
# Counted from the newest, so that a failing example shrinks towards the newest ones.
WHICH = st.sampled_from([0, 0, 0, 1, 1, 2, 3])

Chosen = TypeVar("Chosen")
Played = TypeVar("Played", bound=Callable[..., None])


def newest(of: Sequence[Chosen], which: int) -> Chosen:
    return of[-1 - which % len(of)]


@dataclass(frozen=True)
class InHand:
    """A step that a worker holds in memory and loses when it crashes."""

    worker: int
    step: Claim
    what: Literal["message", "sent", "too late", "begun"]
    attempt: int = 0


@dataclass(frozen=True)
class Move:
    """An event with its strategies and its precondition."""

    play: Callable[..., None]
    arguments: st.SearchStrategy[dict[str, Any]]
    possible: Callable[[Any], object]
    weight: int


MOVES: Final[dict[str, Move]] = {}


def move(
    *, weight: int = 1, when: Callable[[Any], object] = bool, **arguments: Any
) -> Callable[[Played], Played]:
    """Register a move of the world. A rarer move has a smaller weight."""

    def register(play: Played) -> Played:
        MOVES[play.__name__] = Move(play, st.fixed_dictionaries(arguments), when, weight)
        return play

    return register


class World(RuleBasedStateMachine):
    """An empty ledger, a clock that the test sets, and a model of both."""

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__()
        self.client: Any = client
        self.client.flushall()
        self.now = ms(START)
        self.elapsed = 0
        """The time that has passed."""
        self.ledger = Ledger(client, clock=lambda: self.now / 1000)
        self.lives: dict[str, Life] = {}
        self.keys: dict[str, str] = {}
        self.hands: list[InHand] = []
        self.secrets: dict[tuple[str, int], str] = {}
        """The token that a worker drew for each lease."""
        self.grants: list[tuple[str, int, str]] = []
        """The job, attempt and token of each request that was sent."""
        self.heard: set[tuple[str, str]] = set()
        """Pairs of job and task, for each task that the provider made and named to us."""
        self.stored_images = 0
        self.cancels = 0
        self.pauses = 0
        self.account = Account()
        self.turns = Turns()
        self.sends: list[tuple[int, int]] = []
        self.ends: dict[str, tuple[str, str | None, str | None]] = {}
        self.counts: Counter[str] = Counter()
        self.owners: dict[str, str] = {}

    def messages(self, kind: Step) -> list[InHand]:
        return [held for held in self.hands if held.what == "message" and held.step.step == kind]

    def requests(self) -> list[InHand]:
        return [held for held in self.hands if held.what == "sent"]

    def verdicts(self) -> list[InHand]:
        return [held for held in self.hands if held.what == "too late"]

    def at(self, seconds: float) -> int:
        return self.now + ms(seconds)

    def task_of(self, job_id: str, attempt: int) -> str:
        """The task that the provider makes of an attempt if it accepts it."""
        return f"task {attempt} of {job_id}"

    def queue(self, index: Index) -> list[str]:
        order: Callable[[Life], tuple[int, Any]] = (
            (lambda life: (-life.priority, (life.turn, life.job_id)))
            if index == "ready"
            else (lambda life: (life.due, life.job_id))
        )
        return [life.job_id for life in sorted(self.lives.values(), key=order) if life.index == index]

    def granted(self, quota: Quota) -> list[tuple[str, str]]:
        """The steps that a claim must grant, in order."""
        self.expire()
        steps = []
        late = [life for life in self.lives.values() if life.index == "due" and life.due <= self.now]
        for life in sorted(late, key=lambda life: (life.due, life.job_id)):
            if life.state is JobState.QUEUED:
                life.take_back(self.now)
                life.enqueue(life.due)
            elif life.state is JobState.GENERATING:
                life.queue_poll()
            elif life.stored:
                life.index, life.due, life.owned = "ready:polls:main", self.now + AHEAD, False
            else:
                steps.append((life.job_id, "recover"))
        copies = [(life.copy_due, life.job_id) for life in self.lives.values() if life.copy_due is not None]
        steps += [(job_id, "copy") for due, job_id in sorted(copies)[:MOST_COPIES] if due <= self.now]
        opens = self.account.opens(self.now)
        if opens is not None and opens <= self.now and self.account.asks():
            steps.append(("main", "credits"))
        create = self.queue("ready")[: self.free_creates(quota, opens)]
        poll = self.queue("ready:polls:main")[: self.account.free_reads(self.now, quota)]
        return steps + [(job_id, "create") for job_id in create] + [(job_id, "poll") for job_id in poll]

    def expire(self) -> None:
        """Expire the jobs that were not sent in time, and stop watching those that were."""
        late = [life for life in self.lives.values() if life.watched and (life.expires or 0) <= self.now]
        for life in late:
            life.watched = False
            if life.state is JobState.QUEUED:
                life.expire(self.now)

    def free_creates(self, quota: Quota, opens: int | None) -> int:
        slots = quota.max_in_flight - sum(life.in_flight for life in self.lives.values())
        free = max(0, min(quota.creates - self.account.counted(self.now), slots))
        ramp = self.account.ramp
        if ramp and self.account.ramps(self.now):
            free = min(free, ramp.left)
        if opens is None:
            return free
        # A pause ends with a probe, or with a check of the balance.
        return 0 if opens > self.now or self.account.asks() else min(free, 1)

    def fail_by_lease(self, life: Life, lease: int, error: JobFailed, come_from: JobState) -> None:
        held, outcome = life.holds(lease, come_from), {"error": error.to_json()}
        record = self.ledger.jobs.fail(life.job_id, error, [come_from], lease=lease)
        if (life.state, life.outcome) == (JobState.FAILED, outcome):
            assert record
            assert record.finished_at
            assert ms(record.finished_at.timestamp()) == life.finished
            return
        assert held is None or held == (record is not None)
        if record is not None:
            life.finish(self.now, JobState.FAILED, outcome, ms(self.ledger.leases.store))
