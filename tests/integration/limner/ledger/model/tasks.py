"""The moves after the provider has a task: callbacks, polls, and decisions of policies and persons."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from limner.errors import DeadlineExceeded, GenerationFailed, InDoubt
from limner.ledger.messages import Adoption
from limner.ledger.record import TaskEnd
from limner.status import JobState, TaskState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.model.account import ms
from tests.integration.limner.ledger.model.life import Life
from tests.integration.limner.ledger.model.naming import Known
from tests.integration.limner.ledger.model.world import DELAYS, ERROR, SELDOM, WHICH, World, move, newest

TTL, GRACE, ASK_AGAIN, PATIENCE = 86400.0, 5.0, 3600.0, 20.0


class Tasks(World):
    """The moves after the provider has a task."""

    @move(
        weight=2,
        when=lambda world: world.requests(),
        which=WHICH,
        whose=st.sampled_from(["its own", "its own", "another", "known"]),
        poll_in=DELAYS,
    )
    def the_provider_accepts(self, which: int, whose: str, poll_in: float) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        task_id = self.task_of(life.job_id, attempt)
        if whose == "another":
            task_id += " again"
        elif whose == "known" and life.tasks:
            # A callback has named this task, for any attempt.
            task_id = life.tasks[-1].task_id
        told = self.ledger.jobs.accepted(life.job_id, attempt, task_id, poll_in=poll_in)
        self.account.troubles.clear()
        assert told == life.adopt(self.now, attempt, task_id, "answer", delay=ms(poll_in))
        if told in (Adoption.ADOPTED, Adoption.EXPECTED):
            self.owners.setdefault(task_id, life.job_id)
        self.heard.add((life.job_id, task_id))

    # A callback can come any time after the sending: before the answer, after the job's end, and twice.
    @move(
        weight=3,
        when=lambda world: world.grants,
        which=WHICH,
        forged=st.sampled_from([None, None, None, None, 1, 2, 3, 4, 5, 6, 7, 8]),
    )
    def a_callback_comes(self, which: int, forged: int | None) -> None:
        job_id, attempt, token = newest(self.grants, which)
        task_id = f"forged-{forged}" if forged else self.task_of(job_id, attempt)
        life = self.lives[job_id]
        told = self.ledger.jobs.called_back(job_id, token, task_id)
        self.counts[told] += 1
        if token not in life.tokens:
            assert told is Adoption.BAD_TOKEN
            return
        assert told == life.adopt(self.now, attempt, task_id, "callback")
        if told is not Adoption.MISMATCHED and not forged:
            self.heard.add((job_id, task_id))

    @move(when=lambda world: world.grants, which=WHICH)
    def a_callback_cannot_be_read(self, which: int) -> None:
        job_id, attempt, token = newest(self.grants, which)
        life = self.lives[job_id]
        told = self.ledger.jobs.accepted_unnamed(job_id, token)
        self.counts[told] += 1
        assert told == (life.prove(self.now, attempt) if token in life.tokens else Adoption.BAD_TOKEN)

    @move(
        when=lambda world: world.grants, which=WHICH, job=st.sampled_from(["its own", "another", "unknown"])
    )
    def a_callback_is_forged(self, which: int, job: str) -> None:
        job_id, attempt, token = newest(self.grants, which)
        if job == "unknown":
            told = self.ledger.jobs.called_back("nobody", token, "unmatched")
            assert told is Adoption.UNKNOWN_JOB
        else:
            other = next((name for name in self.lives if name != job_id), None)
            told = (
                self.ledger.jobs.called_back(other, token, self.task_of(job_id, attempt))
                if job == "another" and other
                else self.ledger.jobs.called_back(job_id, token[:-1] + "!", self.task_of(job_id, attempt))
            )
            assert told is Adoption.BAD_TOKEN
        self.counts[told] += 1

    # Polls

    @move(
        weight=3,
        when=lambda world: world.messages("poll"),
        which=WHICH,
        off=st.sampled_from([0, 0, 0, 1]),
        delay=DELAYS,
        seen=st.sampled_from(["nothing", "unnamed", "task", "own", "attempt 1", "attempt 2"]),
    )
    def the_task_is_not_ready(self, which: int, off: int, delay: float, seen: str) -> None:
        step = newest(self.messages("poll"), which).step
        life, lease = self.lives[step.job_id], step.lease + off
        task = life.open_task if seen != "nothing" else None
        facts: dict[str, Any] = {"task_id": task.task_id if task else None}
        if task and seen != "unnamed":
            facts |= {"sure": True, "attempt": self.attempt_shown(life, task, seen)}
        expected = life.may_poll(lease)
        assert speaking.polled(self.ledger, life.job_id, lease, "waiting", poll_in=delay, **facts) == expected
        if expected:
            life.polled(self.now, ms(delay), **facts)

    def attempt_shown(self, life: Life, task: Known, seen: str) -> int | None:
        """The attempt that a poll finds in the callback URL, if the provider shows one."""
        shown = {"own": task.attempt, "attempt 1": 1, "attempt 2": 2}.get(seen)
        return shown if shown and shown <= life.attempt else None

    @move(
        weight=2,
        when=lambda world: world.messages("poll"),
        which=WHICH,
        index=st.sampled_from([0, 0, 0, 1]),
        result=st.sampled_from(["succeeded", "free", "failed", "unpaid", "lost", "lost", "foreign"]),
        seen=st.sampled_from(["task", "task", "own", "attempt 1", "attempt 2"]),
        copy=st.sampled_from([None, 0.0, PATIENCE, PATIENCE]),
    )
    def the_task_has_ended(
        self, which: int, index: int, result: str, seen: str, copy: float | None = None
    ) -> None:
        life = self.lives[newest(self.messages("poll"), which).step.job_id]
        task = life.tasks[index % len(life.tasks)]
        told = self.tell_the_end(life, task, result, self.attempt_shown(life, task, seen), copy)
        assert told.at is None or ms(told.at.timestamp()) == life.finished
        assert (told.at is not None) == (told.what in ("ended", "late"))

    def tell_the_end(
        self, life: Life, task: Known, result: str, attempt: int | None, copy: float | None
    ) -> TaskEnd:
        name, store_lease = task.task_id, ms(self.ledger.leases.store)
        facts: dict[str, Any]
        if result in ("lost", "foreign"):
            reason = {"cause": result, "message": "not there"}
            told = speaking.task_lost(self.ledger, life.job_id, name, reason, grace=GRACE, ttl=TTL)
            facts = {
                "result": TaskState.LOST,
                "outcome": {},
                "grace": ms(GRACE),
                "foreign": result == "foreign",
            }
        elif result in ("failed", "unpaid"):
            error, cost = GenerationFailed(f"no to {name}"), Decimal(2 if result == "failed" else 0)
            told = speaking.task_failed(
                self.ledger, life.job_id, name, error, ttl=TTL, grace=GRACE, cost=cost, attempt=attempt
            )
            spent = "2" if cost else None
            facts = {
                "result": TaskState.FAILED,
                "outcome": {"error": error.to_json()},
                "grace": ms(GRACE),
                "spent": spent,
                "attempt": attempt,
            }
        else:
            spent = None if result == "free" else "3.5"
            urls = [f"https://images/{name}-{number}.png" for number in (1, 2)]
            told = speaking.task_succeeded(
                self.ledger,
                life.job_id,
                name,
                urls,
                Decimal(spent) if spent else None,
                ttl=TTL,
                attempt=attempt,
                copy=copy,
            )
            facts = {
                "copy": None if copy is None else ms(copy),
                "result": TaskState.SUCCEEDED,
                "outcome": {"urls": urls, "credits": spent},
                "spent": spent,
                "urls": urls,
                "attempt": attempt,
            }
        assert told.what == life.task_ended(self.now, task, store_lease=store_lease, **facts)
        return told

    @move(when=lambda world: world.messages("poll"), which=WHICH)
    def the_time_is_over(self, which: int) -> None:
        step = newest(self.messages("poll"), which).step
        life = self.lives[step.job_id]
        self.fail_by_lease(life, step.lease, DeadlineExceeded("too slow"), JobState.GENERATING)

    # Recoveries

    @move(
        weight=2,
        when=lambda world: world.messages("recover"),
        which=WHICH,
        policy=st.sampled_from(["fail", "hold", "resubmit"]),
    )
    def recover(self, which: int, policy: str) -> None:
        step = newest(self.messages("recover"), which).step
        life = self.lives[step.job_id]
        if life.state is JobState.SENDING and life.lease == step.lease:
            assert self.ledger.jobs.doubt(life.job_id, life.attempt, ERROR, grace=GRACE)
            life.doubt(self.now, ms(GRACE))
        elif life.state.ended:
            end = datetime.fromtimestamp((life.finished or 0) / 1000, UTC)
            assert self.ledger.jobs.stored(life.job_id, end, ttl=TTL, follow=GRACE, copied=life.copied)
            life.is_stored(self.now, life.ends[-1], ms(GRACE), copied=life.copied)
        elif life.state is JobState.COPYING:
            delivered = self.ledger.copies.deliver(life.job_id, step.lease)
            assert (delivered is not None) == (life.lease == step.lease)
            if delivered:
                assert life.outcome
                life.finish(self.now, JobState.SUCCEEDED, life.outcome, ms(self.ledger.leases.store))
        elif policy == "fail":
            self.fail_by_lease(life, step.lease, InDoubt("unknown"), JobState.IN_DOUBT)
        elif policy == "hold":
            held = life.holds(step.lease, JobState.IN_DOUBT)
            done = self.ledger.jobs.hold(life.job_id, step.lease, ask_again_in=ASK_AGAIN)
            assert held in (None, done)
            if done:
                life.hold(self.now, ms(ASK_AGAIN))
        else:
            held = life.holds(step.lease, JobState.IN_DOUBT)
            times = self.ledger.jobs.resubmit(life.job_id, lease=step.lease)
            assert held is None or bool(times) == (held and not life.resubmitted)
            if times:
                assert not life.resubmitted, "the policy resubmits a job once"
                life.resubmit(self.now)

    @move(
        when=lambda world: any(life.ends for life in world.lives.values()),
        which=WHICH,
        follow=DELAYS,
        old=SELDOM,
        copied=st.booleans(),
    )
    def stored(self, which: int, follow: float, old: bool, copied: bool = True) -> None:
        life = newest([life for life in self.lives.values() if life.ends], which)
        finished = life.ends[0 if old else -1]
        end = datetime.fromtimestamp(finished / 1000, UTC)
        copied = copied and life.copied
        done = self.ledger.jobs.stored(life.job_id, end, ttl=TTL, follow=follow, copied=copied)
        assert done == life.is_stored(self.now, finished, ms(follow), copied=copied)

    # Persons

    @move(when=lambda world: world.lives, which=WHICH, found=st.booleans())
    def a_person_adopts(self, which: int, found: bool) -> None:
        life = newest(list(self.lives.values()), which)
        task_id = self.task_of(life.job_id, life.attempt) if found else "another's"
        told = self.ledger.jobs.adopt(life.job_id, task_id)
        assert told == life.adopt(self.now, life.attempt, task_id, "person")

    @move(
        when=lambda world: world.grants,
        which=WHICH,
        about=st.sampled_from(["the doubt", "the doubt", "the last decision", "attempt 1"]),
    )
    def a_person_resubmits(self, which: int, about: str) -> None:
        life = self.lives[newest(self.grants, which)[0]]
        attempt = {"the doubt": life.doubtful, "the last decision": life.decided}.get(about, 1)
        times = self.ledger.jobs.resubmit(life.job_id, attempt=attempt)
        if life.state is JobState.IN_DOUBT:
            decides = attempt in (None, life.doubtful)
            assert times == (life.resubmitted + 1 if decides else 0)
            if decides:
                life.resubmit(self.now)
        else:
            assert times == (life.resubmitted if attempt and attempt == life.decided else 0)
