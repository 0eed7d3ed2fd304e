"""Producers, clocks and attempts: what happens to a job until the provider has a task of it."""

from dataclasses import replace

from hypothesis import strategies as st

from limner.errors import Cancelled, DeadlineExceeded, RequestRejected
from limner.ledger import Grant, Quota, Submission
from limner.records import JobState
from tests.integration.ledger.model.following import AHEAD
from tests.integration.ledger.model.life import SENT, Life
from tests.integration.ledger.model.world import (
    DELAYS,
    ERROR,
    JOBS,
    SELDOM,
    SPAN,
    WHICH,
    WORKERS,
    InHand,
    World,
    move,
    ms,
    newest,
)

DEADLINE = 20.0
PAUSE = 60.0  # the server's own clock expires the pause's key, so it must outlast an example
UNSENT_ERROR, SENT_ERROR = Cancelled("unsent"), Cancelled("sent")
QUOTAS = st.builds(
    Quota,
    st.integers(1, 3),
    st.just(10.0),
    st.sampled_from([1, 1, 2]),
    st.just(1.0),
    st.sampled_from([1, 2, 3, 4, 4]),
)
SECONDS = st.sampled_from([0.0, 0.001, 1.0, 5.0, 5.0, 9.999, 10.0, 20.0, 30.0, 30.0, 100_000.0, -0.5, -5.0])


class Attempts(World):
    """What producers and clocks do, and workers that send."""

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
            self.lives[job_id] = Life(job_id, prompt, priority, len(self.lives), key)
            if key:
                self.keys[key] = job_id
        assert (answer.outcome, answer.job_id) == (expected, job_id)

    # Few, or hardly a job would get beyond its first attempt.
    @move(when=lambda world: world.cancels < 2, job_id=JOBS)
    def cancel(self, job_id: str) -> None:
        self.cancels += 1
        found = self.ledger.cancel(job_id, UNSENT_ERROR, SENT_ERROR)
        life = self.lives.get(job_id)
        if not life or life.state.ended:
            assert found == (life.cancelled_as or life.state if life else None)
            return
        # An earlier attempt that was in doubt, or met a fault, may have been accepted.
        sent = life.state in SENT or life.resubmitted or life.faulted
        life.cancelled_as = JobState.IN_DOUBT if sent and life.state is JobState.QUEUED else life.state
        assert found == life.cancelled_as
        error = SENT_ERROR if sent else UNSENT_ERROR
        life.finish(self.now, JobState.CANCELLED, {"error": error.to_json()}, 0)

    # Clocks

    @move(weight=4, worker=WORKERS, after=SECONDS, quota=QUOTAS, lost=SELDOM)
    def claim(self, worker: int, after: float, quota: Quota, lost: bool) -> None:
        self.now = self.at(after)
        self.elapsed += max(0, ms(after))
        claimed = self.ledger.claim(quota)
        expected = self.granted(quota)
        assert [(step.job_id, step.step) for step in claimed.steps] == expected
        assert claimed.too_new == []
        for step in claimed.steps:
            life = self.lives[step.job_id]
            assert step.lease == life.lease + 1
            seconds = self.ledger.leases.look if step.step == "look" else self.ledger.leases.step
            life.wait(self.at(seconds))
            life.lease, life.owned = step.lease, True
            if step.step == "create":
                life.in_flight = True
                self.permits[step.job_id, step.lease] = (self.now, quota.creates)
                assert self.now >= self.paused
            if step.step == "look":
                life.looking = self.now
                self.reads[step.job_id, step.lease] = self.now
        if any(kind == "create" for _, kind in expected):
            assert self.client.scard(self.ledger.prefix + "in-flight") <= quota.max_in_flight
            assert len(self.permits) <= quota.creates
        if not lost:
            self.hands += [InHand(worker, step, "message") for step in claimed.steps]

    @move(when=lambda world: world.hands, which=WHICH)
    def give_back(self, which: int) -> None:
        step = newest(self.hands, which).step
        life = self.lives[step.job_id]
        given = life.lease == step.lease and life.place == "due"
        if step.step == "create":
            given = given and life.state is JobState.QUEUED and life.in_flight
        elif step.step == "look":
            given = given and life.looking is not None
        assert self.ledger.give_back([step]) == given
        if given:
            self.take_back(life, step.lease, step.step)

    def take_back(self, life: Life, lease: int, kind: str) -> None:
        if kind == "create":
            self.permits.pop((life.job_id, lease), None)
            life.queue_up()
        elif kind == "look":
            # The request may have been made: its permit stays used.
            assert life.looking is not None
            behind = AHEAD if life.state.ended else 0
            life.place, life.due, life.owned = "line:look", life.looking + behind, False
            life.looking = None
        else:
            life.wait(self.now)

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
        answer = self.ledger.begin(life.job_id, lease, token, deadline=DEADLINE)
        if life.state is JobState.SENDING and life.tokens.get(token) == life.attempt:
            assert answer == life.grant
        elif life.state is not JobState.QUEUED or lease != life.lease or not life.owned:
            assert answer == "stale"
        elif life.deadline is not None and self.now >= life.deadline:
            assert answer == "late"
            self.hands.append(replace(message, what="too late"))
        elif mine not in self.permits:
            assert answer == "stale"
            life.queue_up()
        else:
            assert isinstance(answer, Grant)
            self.sent(life, answer, token)
        if isinstance(answer, Grant) and not lost:
            self.hands.append(replace(message, what="sent", attempt=answer.attempt))

    def sent(self, life: Life, grant: Grant, token: str) -> None:
        life.sent(self.now, grant, token, lease=ms(self.ledger.leases.send), deadline=ms(DEADLINE))
        self.grants.append((life.job_id, grant.attempt, token))
        allowed = self.permits[life.job_id, life.lease][1]
        self.permits[life.job_id, life.lease] = (self.now, allowed)
        self.sends.append((self.elapsed, allowed))
        recent = [allowed for time, allowed in self.sends if time > self.elapsed - SPAN]
        assert len(recent) <= max(recent), "more requests in a span than any clock allowed"

    @move(
        weight=3,
        when=lambda world: world.requests(),
        which=WHICH,
        delay=DELAYS,
        stop=SELDOM,
        pardon=st.sampled_from([None, None, 3.0]),
        cause=st.sampled_from(["rate_limited", "rate_limited", "server_fault"]),
    )
    def the_provider_refuses(
        self, which: int, delay: float, stop: bool, pardon: float | None, cause: str
    ) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        expected = life.is_sending(attempt)
        error, pause = {"cause": cause, "message": "no"}, PAUSE if stop else None
        told = self.ledger.retry(life.job_id, attempt, error, delay=delay, pause=pause, pardon=pardon)
        assert told == expected
        if not expected:
            return
        pardon = pause if pardon is None else pardon
        pardoned = None if pardon is None else ms(pardon)
        life.refused(self.now, ms(delay), cause=cause, pardon=pardoned, pause=stop)
        if stop:
            self.paused = max(self.paused, self.at(PAUSE))

    @move(weight=2, when=lambda world: world.requests(), which=WHICH, grace=DELAYS)
    def the_answer_is_lost(self, which: int, grace: float) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        expected = life.is_sending(attempt)
        assert self.ledger.doubt(life.job_id, attempt, ERROR, grace=grace) == expected
        if expected:
            life.doubt(self.now, ms(grace))

    @move(when=lambda world: world.requests(), which=WHICH)
    def the_attempt_fails(self, which: int) -> None:
        request = newest(self.requests(), which)
        life, attempt = self.lives[request.step.job_id], request.attempt
        error = RequestRejected(f"no to {attempt}")
        ended_at = self.ledger.fail(life.job_id, error, [JobState.SENDING], attempt=attempt)
        outcome = {"error": error.to_json()}
        if (life.state, life.outcome) == (JobState.FAILED, outcome):
            assert ended_at
            assert ms(ended_at.timestamp()) == life.finished
        elif not life.is_sending(attempt):
            assert ended_at is None
        elif life.open_task:
            assert ended_at is None
            life.go_on_looking(self.now)
            life.log.append("attempt_failed")
        else:
            assert ended_at
            life.finish(self.now, JobState.FAILED, outcome, ms(self.ledger.leases.store))

    @move(when=lambda world: world.verdicts(), which=WHICH)
    def give_up(self, which: int) -> None:
        step = newest(self.verdicts(), which).step
        life = self.lives[step.job_id]
        self.fail_by_lease(life, step.lease, DeadlineExceeded("late"), JobState.QUEUED)

    @move(when=lambda world: len(world.hands) > 4, worker=WORKERS)
    def crash(self, worker: int) -> None:
        self.hands = [held for held in self.hands if held.worker != worker]
