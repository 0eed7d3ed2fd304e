"""The moves of producers and dispatchers, and of workers until the provider has a task of the job."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import strategies as st

from limner.errors import Cancelled, DeadlineExceeded, RequestRejected
from limner.ledger import Claim, Closing, Grant, Quota, Submission
from limner.options import SubmitOptions
from limner.status import JobState
from tests.integration.limner.ledger.model.account import SPAN, ms
from tests.integration.limner.ledger.model.costs import MONEY, REQUESTS
from tests.integration.limner.ledger.model.following import AHEAD
from tests.integration.limner.ledger.model.life import SENT, Life
from tests.integration.limner.ledger.model.world import (
    DELAYS,
    ERROR,
    JOBS,
    MOST_COPIES,
    SELDOM,
    WHICH,
    WORKERS,
    InHand,
    World,
    move,
    newest,
)

DEADLINE = 20.0
BUSY = Closing("maintenance", 5.0, 15.0)
TROUBLE = Closing("gateway", 5.0, 15.0, after=2)
FAULTY = Closing("faulty", 5.0, 15.0, after=2)
CAPPED = Closing("key_capped", 60.0, 90.0)
BROKE = Closing("no_credits", 10.0, 30.0, credits=True)
LONGEST = 30.0
UNSENT_ERROR, SENT_ERROR = Cancelled("unsent"), Cancelled("sent")
QUOTAS = st.builds(
    Quota,
    st.integers(1, 3),
    st.just(10.0),
    st.sampled_from([1, 1, 2]),
    st.just(1.0),
    st.sampled_from([1, 2, 3, 4, 4]),
)
SECONDS = st.sampled_from([0.0, 0.001, 1.0, 5.0, 5.0, 9.999, 10.0, 20.0, 30.0, 30.0, 100_000.0])
"""Between two claims. Steps of the clock, which move all times, have tests of their own."""


class Attempts(World):
    """The moves of producers, of dispatchers, and of workers that send."""

    @move(
        job_id=JOBS,
        key=st.sampled_from([None, "k", "l"]),
        prompt=st.sampled_from(["fox", "hen"]),
        priority=st.sampled_from([5, 5, 0, 9]),
        lane=st.sampled_from([None, "shop", "blog"]),
        expires_in=st.sampled_from([None, None, 0.0, 5.0, 30.0]),
        starts_in=st.sampled_from([None, None, None, 5.0, 30.0]),
    )
    def submit(
        self,
        job_id: str,
        key: str | None,
        prompt: str,
        priority: int = 5,
        lane: str | None = None,
        expires_in: float | None = None,
        starts_in: float | None = None,
    ) -> None:
        # Not checked: 0 is no option, and is a job that expires at the moment of its submission.
        options = SubmitOptions.model_construct(priority=priority, lane=lane, expires_in=expires_in)
        new = Submission(job_id, REQUESTS[prompt], prompt, options, key, 86400.0, starts_in)
        answer = self.ledger.jobs.submit(new)
        job_id = self.keys.get(key or "", job_id)
        if job_id in self.lives:
            life = self.lives[job_id]
            expected = "known" if life.digest == prompt else "conflict"
            if expected == "conflict" and life.log[-1] != "conflict":
                life.log.append("conflict")
        else:
            expected = "created"
            life = Life(job_id, prompt, self.account, turns=self.turns, priority=priority, lane=lane, key=key)
            life.owners = self.owners
            life.turn = self.turns.next(life.in_lane)
            life.expires = None if expires_in is None else self.at(expires_in)
            life.watch()
            if starts_in is not None:
                life.wait(self.at(starts_in))
            self.lives[job_id] = life
            if key:
                self.keys[key] = job_id
        assert (answer.outcome, answer.job_id) == (expected, job_id)

    # With more of these, hardly a job would get beyond its first attempt.
    @move(when=lambda world: world.cancels < 2, job_id=JOBS)
    def cancel(self, job_id: str) -> None:
        self.cancels += 1
        found = self.ledger.jobs.cancel(job_id, UNSENT_ERROR, SENT_ERROR)
        life = self.lives.get(job_id)
        if not life or life.state.ended:
            assert found == (life.cancelled_as or life.state if life else None)
            return
        # An earlier attempt that was in doubt, or met a fault, may have been accepted.
        sent = life.state in SENT or life.resubmitted or life.faulted
        if life.state is JobState.COPYING:
            task = life.task(life.task_id or "")
            assert task
            assert life.outcome
            task.urls = tuple(life.outcome["urls"])
        life.cancelled_as = JobState.IN_DOUBT if sent and life.state is JobState.QUEUED else life.state
        assert found == life.cancelled_as
        error = SENT_ERROR if sent else UNSENT_ERROR
        life.finish(self.now, JobState.CANCELLED, {"error": error.to_json()}, 0)

    # Dispatchers

    @move(weight=4, worker=WORKERS, after=SECONDS, quota=QUOTAS, lost=SELDOM)
    def claim(self, worker: int, after: float, quota: Quota, lost: bool) -> None:
        self.now = self.at(after)
        self.elapsed += max(0, ms(after))
        claimed = self.ledger.queue.claim(quota, money=MONEY, copies=MOST_COPIES)
        self.account.register(self.now, quota)
        expected = self.granted(quota)
        assert [(step.job_id, step.step) for step in claimed.steps] == expected
        assert claimed.unreadable == []
        turns: dict[int, int] = {}
        for step in claimed.steps:
            if step.step == "credits":
                self.account.checks += 1
                assert step.lease == self.account.checks
                self.account.check_with(step.lease, self.at(self.ledger.leases.step))
                continue
            life = self.lives[step.job_id]
            if step.step == "copy":
                assert step.lease == life.copy_lease + 1
                life.copy_lease, life.copy_due = step.lease, self.at(self.ledger.leases.copy)
                continue
            assert step.lease == life.lease + 1
            seconds = self.ledger.leases.poll if step.step == "poll" else self.ledger.leases.step
            life.wait(self.at(seconds))
            life.lease, life.owned = step.lease, True
            if step.step == "create":
                life.in_flight = True
                self.account.permits[step.job_id, step.lease] = (self.now, quota.creates)
                if self.account.pause is None:
                    self.account.granted(self.now)
                self.account.probe_with(step.job_id, life.due)
                turns[life.priority] = max(life.turn, turns.get(life.priority, 0))
            if step.step == "poll":
                life.polling = self.now
                self.account.reads[step.job_id, step.lease] = self.now
        self.turns.over(turns)
        if turns:
            assert self.client.zcard(self.ledger.prefix + "in-flight:main") <= quota.max_in_flight
            assert self.account.counted(self.now) <= quota.creates
        if not lost:
            self.hands += [InHand(worker, step, "message") for step in claimed.steps]

    @move()
    def maintain(self) -> None:
        self.ledger.queue.maintain()
        self.account.maintain(self.now)

    @move(when=lambda world: world.hands, which=WHICH)
    def give_back(self, which: int) -> None:
        step = newest(self.hands, which).step
        if step.step == "credits":
            self.give_a_balance_check_back(step)
            return
        life = self.lives[step.job_id]
        if step.step == "copy":
            given = life.may_copy(step.lease)
            assert self.ledger.queue.give_back([step]) == given
            life.copy_due = self.now if given else life.copy_due
            return
        given = life.lease == step.lease and life.index == "due"
        if step.step == "create":
            given = given and life.state is JobState.QUEUED and life.in_flight
        elif step.step == "poll":
            given = given and life.polling is not None
        assert self.ledger.queue.give_back([step]) == given
        if given:
            self.take_back(life, step.lease, step.step)

    def take_back(self, life: Life, lease: int, kind: str) -> None:
        if kind == "create":
            assert lease == life.lease
            life.take_back(self.now)
            life.enqueue(self.now)
        elif kind == "poll":
            # The request may have been made: its permit stays used.
            assert life.polling is not None
            behind = AHEAD if life.state.ended else 0
            life.enqueue_poll(life.polling + behind)
            life.polling = None
        else:
            life.wait(self.now)

    def give_a_balance_check_back(self, step: Claim) -> None:
        pause = self.account.pause
        asked = pause is not None and pause.check == step.lease
        assert self.ledger.queue.give_back([step]) == asked
        if asked and pause:
            pause.check = None

    # Pauses

    @move(when=lambda world: world.pauses < 2, seconds=st.sampled_from([None, 5.0]))
    def a_person_pauses(self, seconds: float | None) -> None:
        self.pauses += 1
        self.ledger.accounts.pause("main", seconds=seconds)
        self.account.close_by_hand(self.now, None if seconds is None else ms(seconds))

    @move(weight=2, when=lambda world: world.account.pause)
    def a_person_resumes(self) -> None:
        assert self.ledger.accounts.resume("main")
        self.account.resume(self.now)

    @move(
        weight=2,
        when=lambda world: world.messages("credits"),
        which=WHICH,
        balance=st.sampled_from([0, 5, 100]),
    )
    def the_balance_is_read(self, which: int, balance: int) -> None:
        lease = newest(self.messages("credits"), which).step.lease
        told = self.ledger.accounts.balance_read("main", lease, Decimal(balance), longest=LONGEST)
        assert told == self.account.balance(self.now, lease, balance * 1_000_000, ms(LONGEST))

    # Attempts

    @move(
        weight=4,
        when=lambda world: world.messages("create"),
        which=WHICH,
        same_token=SELDOM,
        off=st.sampled_from([0, 0, 0, 0, 1, -1]),
        lost=SELDOM,
    )
    def begin(self, which: int, same_token: bool, off: int, lost: bool) -> None:
        message = newest(self.messages("create"), which)
        step = message.step
        life, lease = self.lives[step.job_id], step.lease + off
        mine = (life.job_id, lease)
        token = self.secrets.get(mine) if same_token else None
        if token is None:
            token = self.secrets[mine] = f"secret-{len(self.grants)}-{len(self.secrets)}-{self.elapsed}"
        answer = self.ledger.jobs.begin(life.job_id, lease, token, deadline=DEADLINE, money=MONEY)
        if life.state is JobState.SENDING and life.tokens.get(token) == life.attempt:
            assert answer == life.grant
        elif life.state is not JobState.QUEUED or lease != life.lease or not life.owned:
            assert answer == "stale"
        elif life.deadline is not None and self.now - life.waited(self.now) >= life.deadline:
            assert answer == "late"
            self.hands.append(replace(message, what="too late"))
        elif self.must_wait_again(life):
            assert answer == "stale"
            life.take_back(self.now)
            life.enqueue(self.now)
        else:
            assert isinstance(answer, Grant)
            self.sent(life, answer, token)
        if isinstance(answer, Grant) and not lost:
            self.hands.append(replace(message, what="sent", attempt=answer.attempt))

    def must_wait_again(self, life: Life) -> bool:
        """True if its permit has left the window, the account is closed, or the job has expired."""
        permit = self.account.permits.get((life.job_id, life.lease))
        too_late = life.expires is not None and self.now >= life.expires
        return (
            permit is None or permit[0] <= self.now - SPAN or self.account.holds_up(life.job_id) or too_late
        )

    def sent(self, life: Life, grant: Grant, token: str) -> None:
        life.sent(self.now, grant, token, lease=ms(self.ledger.leases.send), deadline=ms(DEADLINE))
        self.grants.append((life.job_id, grant.attempt, token))
        allowed = self.account.permits[life.job_id, life.lease][1]
        self.sends.append((self.elapsed, allowed))
        recent = [allowed for time, allowed in self.sends if time > self.elapsed - SPAN]
        assert len(recent) <= max(recent), "more requests in a span than any dispatcher allowed"

    @move(
        weight=3,
        when=lambda world: world.requests(),
        which=WHICH,
        delay=DELAYS,
        pause=st.sampled_from([None, None, None, BUSY, CAPPED, BROKE, TROUBLE, FAULTY]),
        uncounted=st.sampled_from([None, None, 3.0]),
        doubtful=SELDOM,
        unsent=SELDOM,
    )
    def the_provider_refuses(
        self,
        which: int,
        delay: float,
        pause: Closing | None,
        uncounted: float | None,
        doubtful: bool,
        unsent: bool,
    ) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        expected = life.is_sending(attempt)
        told = self.ledger.jobs.retry(
            life.job_id,
            attempt,
            {"cause": "maintenance", "message": "no"},
            delay=delay,
            pause=pause,
            uncounted=uncounted,
            unsent=unsent,
            doubtful=doubtful,
        )
        assert told == expected
        if expected:
            if uncounted is None and pause and not doubtful:
                uncounted = delay
            life.refused(
                self.now,
                ms(delay),
                doubtful=doubtful,
                uncounted=None if uncounted is None else ms(uncounted),
                pause=pause,
                unsent=unsent,
            )
        elif life.has_outcome:
            life.refused_in_vain(self.now, attempt, pause=pause, unsent=unsent, doubtful=doubtful)

    @move(
        weight=2,
        when=lambda world: world.requests(),
        which=WHICH,
        grace=DELAYS,
        pause=st.sampled_from([None, TROUBLE]),
    )
    def the_answer_is_lost(self, which: int, grace: float, pause: Closing | None) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        expected = life.is_sending(attempt)
        assert self.ledger.jobs.doubt(life.job_id, attempt, ERROR, grace=grace, pause=pause) == expected
        if expected:
            life.doubt(self.now, ms(grace), pause)

    @move(when=lambda world: world.requests(), which=WHICH)
    def the_attempt_fails(self, which: int) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        error = RequestRejected(f"no to {attempt}")
        record = self.ledger.jobs.fail(life.job_id, error, [JobState.SENDING], attempt=attempt)
        outcome = {"error": error.to_json()}
        if (life.state, life.outcome) == (JobState.FAILED, outcome):
            assert record
            assert record.finished_at
            assert ms(record.finished_at.timestamp()) == life.finished
        elif not life.is_sending(attempt):
            assert record is None
            if life.has_outcome:
                life.owe_nothing(attempt)
        elif life.open_task:
            assert record is None
            life.owe_nothing(attempt)
            life.finally_refused(self.now)
            life.go_on_polling(self.now)
            life.log.append("attempt_failed")
        else:
            assert record
            life.owe_nothing(attempt)
            life.finally_refused(self.now)
            life.finish(self.now, JobState.FAILED, outcome, ms(self.ledger.leases.store))

    @move(when=lambda world: world.verdicts(), which=WHICH)
    def give_up(self, which: int) -> None:
        step = newest(self.verdicts(), which).step
        life = self.lives[step.job_id]
        self.fail_by_lease(life, step.lease, DeadlineExceeded("late"), JobState.QUEUED)

    @move(when=lambda world: len(world.hands) > 4, worker=WORKERS)
    def crash(self, worker: int) -> None:
        self.hands = [held for held in self.hands if held.worker != worker]
