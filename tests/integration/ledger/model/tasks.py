"""Tasks: what the provider tells of them, what looks find, and what policies and persons decide."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from limner.errors import DeadlineExceeded, GenerationFailed, InDoubt
from limner.records import JobState, TaskState
from limner.terms import Adoption, TaskEnd
from tests.integration.ledger.model.following import Known
from tests.integration.ledger.model.life import Life
from tests.integration.ledger.model.world import DELAYS, ERROR, SELDOM, WHICH, World, move, ms, newest

TTL, GRACE, ASK_AGAIN = 86400.0, 5.0, 3600.0


class Tasks(World):
    """What comes after the provider has a task."""

    @move(weight=2, when=lambda world: world.requests(), which=WHICH, another=SELDOM, look_in=DELAYS)
    def the_provider_accepts(self, which: int, another: bool, look_in: float) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        task_id = self.task_of(life.job_id, attempt) + (" again" if another else "")
        told = self.ledger.accepted(life.job_id, attempt, task_id, look_in=look_in)
        assert told == life.adopt(self.now, attempt, task_id, sure=True, delay=ms(look_in))
        self.heard.add((life.job_id, task_id))

    # As long as the attempt has been sent, ever: before its answer, after its job's end, and twice.
    @move(
        weight=3,
        when=lambda world: world.grants,
        which=WHICH,
        forged=st.sampled_from([None, None, None, None, 1, 2, 3, 4, 5]),
    )
    def a_callback_comes(self, which: int, forged: int | None) -> None:
        job_id, attempt, token = newest(self.grants, which)
        task_id = f"forged-{forged}" if forged else self.task_of(job_id, attempt)
        life = self.lives[job_id]
        told = self.ledger.called_back(job_id, token, task_id)
        assert told == life.adopt(self.now, attempt, task_id, sure=False)
        self.counts[told] += 1
        if told is not Adoption.MISMATCHED and not forged:
            self.heard.add((job_id, task_id))

    @move(
        when=lambda world: world.grants, which=WHICH, job=st.sampled_from(["its own", "another", "unknown"])
    )
    def a_callback_is_forged(self, which: int, job: str) -> None:
        job_id, attempt, token = newest(self.grants, which)
        if job == "unknown":
            told = self.ledger.called_back("nobody", token, "stray")
            assert told is Adoption.UNKNOWN_JOB
        else:
            other = next((name for name in self.lives if name != job_id), None)
            told = (
                self.ledger.called_back(other, token, self.task_of(job_id, attempt))
                if job == "another" and other
                else self.ledger.called_back(job_id, token[:-1] + "!", self.task_of(job_id, attempt))
            )
            assert told is Adoption.BAD_TOKEN
        self.counts[told] += 1

    # Looks

    @move(
        weight=3,
        when=lambda world: world.messages("look"),
        which=WHICH,
        off=st.sampled_from([0, 0, 0, 1]),
        delay=DELAYS,
        confirmed=st.booleans(),
    )
    def the_task_is_not_ready(self, which: int, off: int, delay: float, confirmed: bool) -> None:
        step = newest(self.messages("look"), which).step
        life, lease = self.lives[step.job_id], step.lease + off
        task = life.open_task.task_id if confirmed and life.open_task else None
        expected = life.may_look(lease)
        assert self.ledger.looked(life.job_id, lease, "waiting", look_in=delay, confirmed=task) == expected
        if expected:
            life.looked(self.now, ms(delay), task)

    @move(
        weight=2,
        when=lambda world: world.messages("look"),
        which=WHICH,
        place=st.sampled_from([0, 0, 0, 1]),
        result=st.sampled_from(["succeeded", "free", "failed", "failed", "lost", "lost", "foreign"]),
    )
    def the_task_has_ended(self, which: int, place: int, result: str) -> None:
        life = self.lives[newest(self.messages("look"), which).step.job_id]
        task = life.tasks[place % len(life.tasks)]
        told = self.tell_the_end(life, task, result)
        assert told.at is None or ms(told.at.timestamp()) == life.finished
        assert (told.at is not None) == (told.what in ("ended", "late"))

    def tell_the_end(self, life: Life, task: Known, result: str) -> TaskEnd:
        name, store_lease = task.task_id, ms(self.ledger.leases.store)
        facts: dict[str, Any]
        if result in ("lost", "foreign"):
            reason = {"cause": result, "message": "not there"}
            told = self.ledger.task_lost(life.job_id, name, reason, grace=GRACE, ttl=TTL)
            facts = {
                "result": TaskState.LOST,
                "outcome": {},
                "grace": ms(GRACE),
                "foreign": result == "foreign",
            }
        elif result == "failed":
            error = GenerationFailed(f"no to {name}")
            told = self.ledger.task_failed(life.job_id, name, error, ttl=TTL, grace=GRACE, cost=Decimal(2))
            outcome: dict[str, Any] = {"error": error.to_json()}
            facts = {"result": TaskState.FAILED, "outcome": outcome, "grace": ms(GRACE), "spent": "2"}
        else:
            spent = None if result == "free" else "3.5"
            urls = [f"https://images/{name}.png"]
            cost = None if spent is None else Decimal(spent)
            told = self.ledger.task_succeeded(life.job_id, name, urls, cost, ttl=TTL)
            outcome = {"urls": urls, "credits": spent}
            facts = {"result": TaskState.SUCCEEDED, "outcome": outcome, "spent": spent, "urls": urls}
        assert told.what == life.task_ended(self.now, task, store_lease=store_lease, **facts)
        return told

    @move(when=lambda world: world.messages("look"), which=WHICH)
    def the_time_is_over(self, which: int) -> None:
        step = newest(self.messages("look"), which).step
        life = self.lives[step.job_id]
        self.fail_by_lease(life, step.lease, DeadlineExceeded("too slow"), JobState.GENERATING)

    # Settlements

    @move(
        weight=2,
        when=lambda world: world.messages("settle"),
        which=WHICH,
        policy=st.sampled_from(["fail", "hold", "resubmit"]),
    )
    def settle(self, which: int, policy: str) -> None:
        step = newest(self.messages("settle"), which).step
        life = self.lives[step.job_id]
        if life.state is JobState.SENDING and life.lease == step.lease:
            assert self.ledger.doubt(life.job_id, life.attempt, ERROR, grace=GRACE)
            life.doubt(self.now, ms(GRACE))
        elif life.state.ended:
            end = datetime.fromtimestamp((life.finished or 0) / 1000, UTC)
            assert self.ledger.stored(life.job_id, end, ttl=TTL, follow=GRACE)
            life.is_stored(self.now, life.ends[-1], ms(GRACE))
        elif policy == "fail":
            self.fail_by_lease(life, step.lease, InDoubt("unknown"), JobState.IN_DOUBT)
        elif policy == "hold":
            held = life.holds(step.lease, JobState.IN_DOUBT)
            done = self.ledger.hold(life.job_id, step.lease, ask_again_in=ASK_AGAIN)
            assert held in (None, done)
            if done:
                life.hold(self.now, ms(ASK_AGAIN))
        else:
            held = life.holds(step.lease, JobState.IN_DOUBT)
            times = self.ledger.resubmit(life.job_id, lease=step.lease)
            assert held is None or bool(times) == (held and not life.resubmitted)
            if times:
                assert not life.resubmitted, "the policy resubmits a job once"
                life.resubmit(self.now)

    @move(
        when=lambda world: any(life.ends for life in world.lives.values()),
        which=WHICH,
        follow=DELAYS,
        old=SELDOM,
    )
    def stored(self, which: int, follow: float, old: bool) -> None:
        life = newest([life for life in self.lives.values() if life.ends], which)
        finished = life.ends[0 if old else -1]
        end = datetime.fromtimestamp(finished / 1000, UTC)
        done = self.ledger.stored(life.job_id, end, ttl=TTL, follow=follow)
        assert done == life.is_stored(self.now, finished, ms(follow))

    # Persons

    @move(when=lambda world: world.lives, which=WHICH, found=st.booleans())
    def a_person_adopts(self, which: int, found: bool) -> None:
        life = newest(list(self.lives.values()), which)
        task_id = self.task_of(life.job_id, life.attempt) if found else "another's"
        told = self.ledger.adopt(life.job_id, task_id)
        assert told == life.adopt(self.now, life.attempt, task_id, sure=False)

    @move(when=lambda world: world.grants, which=WHICH)
    def a_person_resubmits(self, which: int) -> None:
        life = self.lives[newest(self.grants, which)[0]]
        expected = life.resubmitted + 1 if life.state is JobState.IN_DOUBT else 0
        assert self.ledger.resubmit(life.job_id) == expected
        if expected:
            life.resubmit(self.now)
