"""The world of the model: its time, its jobs, and what workers hold in their hands."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from limner.errors import JobFailed
from limner.ledger import Claim, Ledger, Quota, Step
from limner.records import JobState
from tests.integration.ledger.conftest import START
from tests.integration.ledger.model.following import AHEAD, Place
from tests.integration.ledger.model.life import Life

SPAN, LOOK_SPAN = 10_000, 1_000
ENOUGH: Final = Quota(20, 10.0, 20, 1.0, 4)
ERROR: Final = {"cause": "rate_limited", "message": "slow down"}

JOBS = st.integers(0, 4).map("job-{}".format)
WORKERS = st.integers(0, 1)
SELDOM = st.sampled_from([False, False, False, True])
DELAYS = st.sampled_from([0.0, 0.0, 2.0])
# Counted from the newest, so that a failure shrinks to what is current.
WHICH = st.sampled_from([0, 0, 0, 1, 1, 2, 3])

Chosen = TypeVar("Chosen")
Played = TypeVar("Played", bound=Callable[..., None])


def newest(of: Sequence[Chosen], which: int) -> Chosen:
    return of[-1 - which % len(of)]


def ms(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(frozen=True)
class InHand:
    """What a worker knows of a step, and forgets when it crashes."""

    worker: int
    step: Claim
    what: Literal["message", "sent", "too late"]
    attempt: int = 0


@dataclass(frozen=True)
class Move:
    """Something that may happen, with what it is drawn from and whether it can happen now."""

    play: Callable[..., None]
    arguments: st.SearchStrategy[dict[str, Any]]
    possible: Callable[[Any], object]
    weight: int


MOVES: Final[dict[str, Move]] = {}


def move(
    *, weight: int = 1, when: Callable[[Any], object] = bool, **arguments: Any
) -> Callable[[Played], Played]:
    """A move of the world; the rarer it is, the smaller its weight."""

    def register(play: Played) -> Played:
        MOVES[play.__name__] = Move(play, st.fixed_dictionaries(arguments), when, weight)
        return play

    return register


class World(RuleBasedStateMachine):
    """An empty ledger, a clock that is turned by hand, and a model of both."""

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__()
        self.client: Any = client
        self.client.flushall()
        self.now = ms(START)
        self.elapsed = 0
        """The time that has really passed: clocks are set back now and then."""
        self.ledger = Ledger(client, clock=lambda: self.now / 1000)
        self.lives: dict[str, Life] = {}
        self.keys: dict[str, str] = {}
        self.hands: list[InHand] = []
        self.secrets: dict[tuple[str, int], str] = {}
        """The token that a worker drew for each lease."""
        self.grants: list[tuple[str, int, str]] = []
        """Job, attempt and token of each request that was ever sent."""
        self.heard: set[tuple[str, str]] = set()
        """The tasks that the provider really made and told us of, by job."""
        self.cancels = 0
        self.paused = 0
        # By step: when its permit was given or used, and how many the clock that gave it allowed.
        self.permits: dict[tuple[str, int], tuple[int, int]] = {}
        self.reads: dict[tuple[str, int], int] = {}
        self.sends: list[tuple[int, int]] = []
        self.ends: dict[str, tuple[str, str | None, str | None]] = {}
        self.counts: Counter[str] = Counter()

    def messages(self, kind: Step) -> list[InHand]:
        return [held for held in self.hands if held.what == "message" and held.step.step == kind]

    def requests(self) -> list[InHand]:
        return [held for held in self.hands if held.what == "sent"]

    def verdicts(self) -> list[InHand]:
        return [held for held in self.hands if held.what == "too late"]

    def at(self, seconds: float) -> int:
        return self.now + ms(seconds)

    def task_of(self, job_id: str, attempt: int) -> str:
        """What the provider makes of an attempt, if it takes it."""
        return f"task {attempt} of {job_id}"

    def line(self, place: Place) -> list[str]:
        order: Callable[[Life], tuple[int, Any]] = (
            (lambda life: (-life.priority, life.turn))
            if place == "line:create"
            else (lambda life: (life.due, life.job_id))
        )
        return [life.job_id for life in sorted(self.lives.values(), key=order) if life.place == place]

    def granted(self, quota: Quota) -> list[tuple[str, str]]:
        """What a claim must grant, in order: no more than may be, and no less than can be."""
        steps = []
        late = [life for life in self.lives.values() if life.place == "due" and life.due <= self.now]
        for life in sorted(late, key=lambda life: (life.due, life.job_id)):
            if life.state is JobState.QUEUED:
                life.queue_up()
            elif life.state is JobState.GENERATING:
                life.place, life.owned = "line:look", False
            elif life.stored:
                life.place, life.due, life.owned = "line:look", self.now + AHEAD, False
            else:
                steps.append((life.job_id, "settle"))
        create = self.line("line:create")[: self.free_creates(quota)]
        self.reads = {step: time for step, time in self.reads.items() if time > self.now - LOOK_SPAN}
        look = self.line("line:look")[: max(0, quota.looks - len(self.reads))]
        return steps + [(job_id, "create") for job_id in create] + [(job_id, "look") for job_id in look]

    def free_creates(self, quota: Quota) -> int:
        # A clock that may not grant does not look at the window, and a permit's end is seen later.
        if self.now < self.paused:
            return 0
        start = self.now - SPAN
        self.permits = {step: permit for step, permit in self.permits.items() if permit[0] > start}
        room = quota.max_in_flight - sum(life.in_flight for life in self.lives.values())
        return max(0, min(quota.creates - len(self.permits), room))

    def fail_by_lease(self, life: Life, lease: int, error: JobFailed, come_from: JobState) -> None:
        held, outcome = life.holds(lease, come_from), {"error": error.to_json()}
        ended_at = self.ledger.fail(life.job_id, error, [come_from], lease=lease)
        if (life.state, life.outcome) == (JobState.FAILED, outcome):
            assert ended_at
            assert ms(ended_at.timestamp()) == life.finished
            return
        assert held is None or held == (ended_at is not None)
        if ended_at is not None:
            life.finish(self.now, JobState.FAILED, outcome, ms(self.ledger.leases.store))
