"""Any interleaving of what producers, clocks and workers do, on a real ledger and on a model of it."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any, Literal, TypeVar

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from limner.errors import Cancelled, DeadlineExceeded, GenerationFailed, InDoubt, JobFailed, RequestRejected
from limner.ledger import Budget, Claim, Grant, Ledger, Step, Submission
from limner.records import JobState
from tests.integration.ledger.conftest import START, Bench

SETTINGS = settings(
    max_examples=100,
    stateful_step_count=40,
    deadline=None,
    # CI says the same of the same commit; everybody else's runs explore.
    derandomize="CI" in os.environ,
    print_blob=True,
    # A busy machine is slow, and says nothing of the ledger.
    suppress_health_check=[HealthCheck.too_slow],
)

SPAN, LOOK_SPAN = 10_000, 1_000
DEADLINE = 20.0
PAUSE = 60.0  # the server's own clock expires the pause's key, so it must outlast an example
UNSENT, SENT = Cancelled("unsent"), Cancelled("sent")
ERROR = {"cause": "rate_limited", "message": "slow down"}

JOBS = st.integers(0, 4).map("job-{}".format)
WORKERS = st.integers(0, 1)
SELDOM = st.sampled_from([False, False, False, True])
WHICH = st.sampled_from(
    [0, 0, 0, 1, 1, 2, 3]
)  # counted from the newest, so that a failure shrinks to what is current
DELAYS = st.sampled_from([0.0, 0.0, 2.0])
BUDGETS = st.builds(
    Budget,
    st.integers(1, 3),
    st.just(10.0),
    st.sampled_from([1, 1, 2]),
    st.just(1.0),
    st.sampled_from([1, 2, 3, 4, 4]),
)
ENOUGH = Budget(8, 10.0, 8, 1.0, 4)
BEGINNINGS = [
    "",
    "claim",
    "claim begin",
    "claim begin accept",
    "claim begin accept claim",
    "claim begin refuse claim begin",
]
SECONDS = st.sampled_from([0.0, 0.001, 1.0, 5.0, 5.0, 9.999, 10.0, 20.0, 30.0, 30.0, 100_000.0])

Chosen = TypeVar("Chosen")
Played = TypeVar("Played", bound=Callable[..., None])
Place = Literal["due", "line:create", "line:look"]


def newest(of: Sequence[Chosen], which: int) -> Chosen:
    return of[-1 - which % len(of)]


@dataclass
class Life:
    """What the model knows of a job. Times are in milliseconds."""

    job_id: str
    digest: str
    priority: int
    turn: int
    state: JobState = JobState.QUEUED
    place: Place | None = "line:create"
    due: int = 0
    lease: int = 0
    held: bool = False
    """Whether the newest claim still owns the job's next step: it has not run out, and was not used."""
    in_flight: bool = False
    token: str | None = None
    grant: Grant | None = None
    deadline: int | None = None
    task_id: str | None = None
    outcome: dict[str, Any] | None = None
    finished: int | None = None
    cancelled_as: JobState | None = None
    pardoned: int = 0

    @property
    def attempt(self) -> int:
        return self.grant.attempt if self.grant else 0

    def move(self, state: JobState, due: int, **changes: Any) -> None:
        """Into a state in which something is due at that time; the newest claim is used up."""
        self.state, self.place, self.due, self.held = state, "due", due, False
        for name, value in changes.items():
            setattr(self, name, value)


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


MOVES: dict[str, Move] = {}


def move(
    *, weight: int = 1, when: Callable[[Any], object] = bool, **arguments: Any
) -> Callable[[Played], Played]:
    def register(play: Played) -> Played:
        MOVES[play.__name__] = Move(play, st.fixed_dictionaries(arguments), when, weight)
        return play

    return register


class Fleet(RuleBasedStateMachine):
    """Producers, two clocks and two workers whose messages may be lost, late, old and double."""

    def __init__(self, client: "redis.Redis") -> None:
        super().__init__()
        self.client: Any = client
        self.client.flushall()
        self.now = int(START * 1000)
        self.ledger = Ledger(client, clock=lambda: self.now / 1000)
        self.lives: dict[str, Life] = {}
        self.keys: dict[str, str] = {}
        self.hands: list[InHand] = []
        self.tokens = 0
        self.cancels = 0
        self.paused = 0
        # By step: when its permit was given or used, and how many the clock that gave it allowed.
        self.permits: dict[tuple[str, int], tuple[int, int]] = {}
        self.sends: list[tuple[int, int]] = []
        self.looks: list[int] = []
        self.ends: dict[str, tuple[str, str | None, str | None]] = {}

    def messages(self, kind: Step) -> list[InHand]:
        return [held for held in self.hands if held.what == "message" and held.step.step == kind]

    def requests(self) -> list[InHand]:
        return [held for held in self.hands if held.what == "sent"]

    def verdicts(self) -> list[InHand]:
        return [held for held in self.hands if held.what == "too late"]

    def at(self, seconds: float) -> int:
        return self.now + round(seconds * 1000)

    # Of many rules, Hypothesis leaves some out of each run, and no job would get far without one of these.
    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        names = [name for name, move in MOVES.items() for _ in range(move.weight) if move.possible(self)]
        chosen = MOVES[data.draw(st.sampled_from(names), label="move")]
        chosen.play(self, **data.draw(chosen.arguments, label="with"))

    # Producers

    @initialize(lives=st.lists(st.sampled_from(BEGINNINGS), min_size=2, max_size=4))
    def jobs_are_under_way(self, lives: list[str]) -> None:
        plays: dict[str, Callable[[], None]] = {
            "claim": partial(self.claim, 0, 0.0, ENOUGH, lost=False),
            "begin": partial(self.begin, 0, same_token=False, off=0, lost=False),
            "refuse": partial(self.the_provider_refuses, 0, 0.0, stop=False),
            "accept": partial(self.the_provider_accepts, 0, another=False, look_in=0.0),
        }
        # Those that only wait come last, or they would be claimed with the others.
        for number, life in enumerate(sorted(lives, key=len, reverse=True)):
            self.submit(f"job-{number}", None, "fox", 5)
            for play in life.split():
                plays[play]()

    @move(
        job_id=JOBS,
        key=st.sampled_from([None, "k", "l"]),
        prompt=st.sampled_from(["fox", "hen"]),
        priority=st.sampled_from([5, 0, 9]),
    )
    def submit(self, job_id: str, key: str | None, prompt: str, priority: int) -> None:
        new = Submission(job_id, f'{{"prompt": "{prompt}"}}', prompt, "{}", priority, key, 86400.0)
        answer = self.ledger.submit(new)
        if key in self.keys:
            job_id = self.keys[key]
            expected = "known" if self.lives[job_id].digest == prompt else "conflict"
        elif job_id in self.lives:
            expected = "known"
        else:
            expected = "created"
            self.lives[job_id] = Life(job_id, prompt, priority, len(self.lives))
            if key:
                self.keys[key] = job_id
        assert (answer.outcome, answer.job_id) == (expected, job_id)

    # Few, or hardly a job would get beyond its first attempt.
    @move(when=lambda fleet: fleet.cancels < 2, job_id=JOBS)
    def cancel(self, job_id: str) -> None:
        self.cancels += 1
        found = self.ledger.cancel(job_id, UNSENT, SENT)
        life = self.lives.get(job_id)
        assert found == (life.cancelled_as or life.state if life else None)
        if life and not life.state.ended:
            life.cancelled_as = life.state
            error = UNSENT if life.state is JobState.QUEUED else SENT
            self.ended(life, JobState.CANCELLED, {"error": error.to_json()}, store_lease=0.0)

    def ended(self, life: Life, state: JobState, outcome: dict[str, Any], store_lease: float = 10.0) -> None:
        life.move(state, self.at(store_lease), outcome=outcome, finished=self.now, in_flight=False)

    # Clocks

    @move(weight=3, worker=WORKERS, after=SECONDS, budget=BUDGETS, lost=SELDOM)
    def claim(self, worker: int, after: float, budget: Budget, lost: bool) -> None:
        self.now = self.at(after)
        claimed = self.ledger.claim(budget)
        expected = self.granted(budget)
        assert [(step.job_id, step.step) for step in claimed.steps] == expected
        assert claimed.too_new == []
        for step in claimed.steps:
            life = self.lives[step.job_id]
            assert step.lease > life.lease
            seconds = self.ledger.leases.look if step.step == "look" else self.ledger.leases.step
            life.place, life.due, life.lease, life.held = "due", self.at(seconds), step.lease, True
            if step.step == "create":
                life.in_flight = True
                self.permits[step.job_id, step.lease] = (self.now, budget.creates)
                assert self.now >= self.paused
            if step.step == "look":
                self.looks.append(self.now)
        if any(kind == "create" for _, kind in expected):
            assert self.client.scard(self.ledger.prefix + "in-flight") <= budget.max_in_flight
            assert len(self.permits) <= budget.creates
        if not lost:
            self.hands += [InHand(worker, step, "message") for step in claimed.steps]

    def granted(self, budget: Budget) -> list[tuple[str, str]]:
        """What a claim must grant, in order: no more than may be, and no less than can be."""
        steps = []
        late = [life for life in self.lives.values() if life.place == "due" and life.due <= self.now]
        for life in sorted(late, key=lambda life: (life.due, life.job_id)):
            if life.state is JobState.QUEUED:
                life.place, life.held, life.in_flight = "line:create", False, False
            elif life.state is JobState.GENERATING:
                life.place, life.held = "line:look", False
            else:
                steps.append((life.job_id, "settle"))
        # A clock that may not grant does not look at the window, and a permit's end is seen later.
        if self.now >= self.paused:
            start = self.now - SPAN
            self.permits = {step: permit for step, permit in self.permits.items() if permit[0] > start}
        free = min(
            budget.creates - len(self.permits),
            budget.max_in_flight - sum(life.in_flight for life in self.lives.values()),
        )
        create = self.line("line:create")[: max(0, free) if self.now >= self.paused else 0]
        free_looks = budget.looks - sum(time > self.now - LOOK_SPAN for time in self.looks)
        look = self.line("line:look")[: max(0, free_looks)]
        return steps + [(job_id, "create") for job_id in create] + [(job_id, "look") for job_id in look]

    def line(self, place: Place) -> list[str]:
        order: Callable[[Life], tuple[int, Any]] = (
            (lambda life: (-life.priority, life.turn))
            if place == "line:create"
            else (lambda life: (life.due, life.job_id))
        )
        return [life.job_id for life in sorted(self.lives.values(), key=order) if life.place == place]

    # Attempts

    @move(
        weight=3,
        when=lambda fleet: fleet.messages("create"),
        which=WHICH,
        same_token=SELDOM,
        off=st.sampled_from([0, 0, 0, 0, 1, -1]),
        lost=SELDOM,
    )
    def begin(self, which: int, same_token: bool, off: int, lost: bool) -> None:
        message = newest(self.messages("create"), which)
        step = message.step
        life, lease = self.lives[step.job_id], step.lease + off
        if not (same_token and life.token):
            self.tokens += 1
        token = life.token if same_token and life.token else f"secret-{self.tokens}"
        answer = self.ledger.begin(life.job_id, lease, token, deadline=DEADLINE)
        if life.state is JobState.SENDING and token == life.token:
            assert answer == life.grant
        elif life.state is not JobState.QUEUED or lease != life.lease or not life.held:
            assert answer == "stale"
        elif life.deadline is not None and self.now >= life.deadline:
            assert answer == "late"
            self.hands.append(replace(message, what="too late"))
        elif (life.job_id, lease) not in self.permits:
            assert answer == "stale"
            life.place, life.held, life.in_flight = "line:create", False, False
        else:
            assert isinstance(answer, Grant)
            self.sent(life, answer, token)
        if isinstance(answer, Grant) and not lost:
            self.hands.append(replace(message, what="sent", attempt=answer.attempt))

    def sent(self, life: Life, grant: Grant, token: str) -> None:
        assert grant.attempt == life.attempt + 1
        assert grant.tries == grant.attempt - life.pardoned
        life.move(JobState.SENDING, self.at(self.ledger.leases.send), token=token, grant=grant)
        life.deadline = life.deadline or self.at(DEADLINE)
        allowed = self.permits[life.job_id, life.lease][1]
        self.permits[life.job_id, life.lease] = (self.now, allowed)
        self.sends.append((self.now, allowed))
        recent = [allowed for time, allowed in self.sends if time > self.now - SPAN]
        assert len(recent) <= max(recent), "more requests in a span than any clock allowed"

    @move(when=lambda fleet: fleet.requests(), which=WHICH, another=SELDOM, look_in=DELAYS)
    def the_provider_accepts(self, which: int, another: bool, look_in: float) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        task_id = f"task {attempt} of {life.job_id}, {another}"
        done = self.ledger.accepted(life.job_id, attempt, task_id, look_in=look_in)
        if life.state is JobState.GENERATING and life.task_id == task_id:
            assert done
        elif life.state in (JobState.SENDING, JobState.IN_DOUBT) and life.attempt == attempt:
            assert done
            life.move(JobState.GENERATING, self.at(look_in), task_id=task_id)
        else:
            assert not done
            last = self.ledger.log(life.job_id)[-1]
            assert (last.event, last.detail["task_id"]) == ("late_answer", task_id)

    @move(weight=3, when=lambda fleet: fleet.requests(), which=WHICH, delay=DELAYS, stop=SELDOM)
    def the_provider_refuses(self, which: int, delay: float, stop: bool) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        expected = self.is_sending(life, attempt)
        pause = PAUSE if stop else None
        done = self.ledger.retry(life.job_id, attempt, ERROR, delay=delay, pause=pause)
        assert done == expected
        if done:
            life.move(JobState.QUEUED, self.at(delay), in_flight=False)
        if done and stop:
            self.paused = self.at(PAUSE)
            life.pardoned += 1
            life.deadline = None if life.pardoned == attempt else (life.deadline or 0) + int(PAUSE * 1000)

    @move(when=lambda fleet: fleet.requests(), which=WHICH, grace=DELAYS, certain=st.booleans())
    def the_attempt_fails(self, which: int, grace: float, certain: bool) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        sending = self.is_sending(life, attempt)
        if certain:
            error = RequestRejected(f"no to {attempt}")
            ended_at = self.ledger.fail(life.job_id, error, [JobState.SENDING], attempt=attempt)
            self.check_end(life, JobState.FAILED, {"error": error.to_json()}, ended_at, held=sending)
        else:
            assert self.ledger.doubt(life.job_id, attempt, ERROR, grace=grace) == sending
            if sending:
                life.move(JobState.IN_DOUBT, self.at(grace))

    def is_sending(self, life: Life, attempt: int) -> bool:
        return life.state is JobState.SENDING and life.attempt == attempt

    def check_end(
        self, life: Life, state: JobState, outcome: dict[str, Any], ended_at: Any, *, held: bool | None
    ) -> None:
        """``held`` is None for a lease that is over while nobody else has one: both answers will do."""
        if (life.state, life.outcome) == (state, outcome):
            assert ended_at.timestamp() * 1000 == life.finished
            return
        assert held is None or held == (ended_at is not None)
        if ended_at is not None:
            self.ended(life, state, outcome)

    # Looks and settlements

    def holds(self, life: Life, lease: int, state: JobState) -> bool | None:
        if life.state is not state or life.lease != lease:
            return False
        return True if life.held else None

    @move(
        weight=2,
        when=lambda fleet: fleet.messages("look"),
        which=WHICH,
        kind=st.sampled_from(["looked", "looked", "succeed", "free", "fail"]),
        off=st.sampled_from([0, 0, 0, 1]),
        delay=DELAYS,
    )
    def look(self, which: int, kind: str, off: int, delay: float) -> None:
        step = newest(self.messages("look"), which).step
        life, lease = self.lives[step.job_id], step.lease + off
        held = self.holds(life, lease, JobState.GENERATING)
        if kind == "looked":
            done = self.ledger.looked(life.job_id, lease, "waiting", look_in=delay)
            assert held is None or done == held
            if done:
                life.move(JobState.GENERATING, self.at(delay))
        elif kind == "fail":
            error = GenerationFailed("no")
            ended_at = self.ledger.fail(life.job_id, error, [JobState.GENERATING], lease=lease)
            self.check_end(life, JobState.FAILED, {"error": error.to_json()}, ended_at, held=held)
        else:
            cost = None if kind == "free" else Decimal("3.5")
            ended_at = self.ledger.succeed(life.job_id, lease, ["https://images/1.png"], cost)
            outcome = {"urls": ["https://images/1.png"], "credits": None if cost is None else "3.5"}
            self.check_end(life, JobState.SUCCEEDED, outcome, ended_at, held=held)

    @move(
        when=lambda fleet: fleet.messages("settle"),
        which=WHICH,
        kind=st.sampled_from(["doubt", "fail", "stored"]),
    )
    def settle(self, which: int, kind: str) -> None:
        step = newest(self.messages("settle"), which).step
        life = self.lives[step.job_id]
        if kind == "doubt":
            sending = life.state is JobState.SENDING
            assert self.ledger.doubt(life.job_id, life.attempt, ERROR, grace=5.0) == sending
            if sending:
                life.move(JobState.IN_DOUBT, self.at(5.0))
        elif kind == "fail":
            self.fail_by_lease(life, step.lease, InDoubt("unknown"), JobState.IN_DOUBT)
        else:
            self.stored(life.job_id)

    @move(when=lambda fleet: fleet.verdicts(), which=WHICH)
    def give_up(self, which: int) -> None:
        step = newest(self.verdicts(), which).step
        self.fail_by_lease(self.lives[step.job_id], step.lease, DeadlineExceeded("late"), JobState.QUEUED)

    def fail_by_lease(self, life: Life, lease: int, error: JobFailed, come_from: JobState) -> None:
        held = self.holds(life, lease, come_from)
        ended_at = self.ledger.fail(life.job_id, error, [come_from], lease=lease)
        self.check_end(life, JobState.FAILED, {"error": error.to_json()}, ended_at, held=held)

    @move(when=lambda fleet: fleet.ends, job_id=JOBS)
    def stored(self, job_id: str) -> None:
        life = self.lives.get(job_id)
        assert self.ledger.stored(job_id, ttl=86400.0) == bool(life and life.state.ended)
        if life and life.state.ended:
            life.place = None

    @move(when=lambda fleet: len(fleet.hands) > 4, worker=WORKERS)
    def crash(self, worker: int) -> None:
        self.hands = [held for held in self.hands if held.worker != worker]

    # What always holds

    @invariant()
    def the_ledger_is_as_the_model_says(self) -> None:
        prefix, lives = self.ledger.prefix, list(self.lives.values())
        with self.client.pipeline(transaction=False) as pipe:
            pipe.zrange(prefix + "due", 0, -1, withscores=True)
            pipe.zrange(prefix + "line:create", 0, -1)
            pipe.zrange(prefix + "line:look", 0, -1)
            pipe.smembers(prefix + "in-flight")
            for life in lives:
                pipe.hgetall(self.ledger.record_key(life.job_id))
                pipe.lrange(f"{prefix}log:{life.job_id}", 0, -1)
            due, create, look, in_flight, *rest = pipe.execute()
        assert dict(due) == {life.job_id: life.due for life in lives if life.place == "due"}
        assert create == self.line("line:create")
        assert look == self.line("line:look")
        assert in_flight == {life.job_id for life in lives if life.in_flight}
        for life, fields, log in zip(lives, rest[::2], rest[1::2], strict=True):
            self.check_place(life)
            self.check_record(life, fields)
            self.check_log(life, log)

    def check_place(self, life: Life) -> None:
        sent = life.state in (JobState.SENDING, JobState.IN_DOUBT, JobState.GENERATING)
        assert life.in_flight == (sent or (life.state is JobState.QUEUED and life.held))
        assert life.place or life.state.ended

    def check_record(self, life: Life, fields: dict[str, str]) -> None:
        assert (fields["state"], int(fields["attempt"])) == (life.state, life.attempt)
        assert fields.get("task_id") == life.task_id
        end = (fields["state"], fields.get("outcome"), fields.get("finished"))
        if life.state.ended:
            assert self.ends.setdefault(life.job_id, end) == end
            assert json.loads(fields["outcome"]) == life.outcome
            assert end[2] == str(life.finished)
        else:
            assert life.job_id not in self.ends
            assert end[1:] == (None, None)

    def check_log(self, life: Life, log: list[str]) -> None:
        assert len(log) <= 200
        assert "secret-" not in str(log)
        accepted = [text for text in log if '"event":"generating"' in text]
        assert len(accepted) == (life.task_id is not None)

    def teardown(self) -> None:
        """All workers have crashed; one without faults brings every job to its end, and tells no secret."""
        for _ in range(10 + 6 * len(self.lives)):
            claimed = self.ledger.claim(Budget(2, 10.0, 2, 1.0, 3))
            for step in claimed.steps:
                self.do(step)
            self.now = self.at(claimed.wait)
        for job_id in self.lives:
            record = self.ledger.read(job_id)
            assert record
            assert record.state.ended, f"{job_id} is {record.state} for ever"
            assert "secret-" not in str(record)
        left = [self.ledger.prefix + name for name in ("due", "line:create", "line:look", "in-flight")]
        assert self.client.exists(*left) == 0
        assert "secret-" not in str(self.client.xrange(self.ledger.prefix + "events"))

    def do(self, step: Claim) -> None:
        record = self.ledger.read(step.job_id)
        assert record
        job_id, lease, state = step.job_id, step.lease, record.state
        if state is JobState.QUEUED:
            grant = self.ledger.begin(job_id, lease, "secret-last", deadline=DEADLINE)
            if isinstance(grant, Grant):
                assert self.ledger.accepted(job_id, grant.attempt, "last", look_in=1.0)
            elif grant == "late":
                self.ledger.fail(job_id, DeadlineExceeded("late"), [state], lease=lease)
        elif state is JobState.SENDING:
            self.ledger.doubt(job_id, record.attempt, ERROR, grace=5.0)
        elif state is JobState.IN_DOUBT:
            self.ledger.fail(job_id, InDoubt("unknown"), [state], lease=lease)
        elif state is JobState.GENERATING:
            self.ledger.succeed(job_id, lease, [], None)
        self.ledger.stored(job_id, ttl=86400.0)


# When it fails, finding the shortest failing story takes minutes.
@pytest.mark.timeout(600)
def test_no_interleaving_breaks_a_promise(bench: Bench) -> None:
    run_state_machine_as_test(lambda: Fleet(bench.client), settings=SETTINGS)  # type: ignore[arg-type]
