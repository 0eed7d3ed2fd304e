"""A call of each script, with all of its arguments, at a moment at which it makes its transition."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import pytest

from limner.errors import Cancelled, GenerationFailed, JobFailed, RecordUnreadable
from limner.ledger import (
    COMPLETE,
    BackendResult,
    Caps,
    Claim,
    Closing,
    Ledger,
    Money,
    Polled,
    Quota,
    Shortfall,
    Stored,
    Submission,
    TaskFailed,
    TaskLost,
    TaskSucceeded,
)
from limner.ledger.durations import DurationSample
from limner.ledger.layout.keys import EPOCH, JOB
from limner.ledger.queue import ShiftClock
from limner.ledger.scripts.script import Script
from limner.models import ImageFile
from limner.status import JobState
from tests.integration.limner.ledger.conftest import Bench, new

TROUBLE: Final = Closing("gateway", 5.0, 60.0, after=1)
MONEY: Final = Money(
    {"TURBO": Decimal("3.5"), "BALANCED": Decimal(7), "QUALITY": Decimal(10)},
    Caps(day=Decimal(10_000), lane=Decimal(5000), lanes={"a": Decimal(4000)}, refuse=True),
)
QUOTA: Final = Quota(20, 10.0, 10, 1.0, 100, margin=0.25, key="k")
ERROR: Final = {"cause": "unavailable", "message": "try later", "code": 455}
RESULT: Final = BackendResult(
    key="celery-task-meta-x", head="{", tail="}", expires=86_400, attempt=1, ttl=86_400, follow=5.0
)
FILE: Final = ImageFile(
    url="https://cdn/1.png",
    name="1.png",
    sha256="ab" * 32,
    size=1000,
    content_type="image/png",
    width=64,
    height=48,
)
ALL: Final = {number: Stored(FILE, objects=1, bytes=1000) for number in (1, 2)}
LATER: Final = Shortfall({"cause": "storage", "message": "away"}, 5.0, overdue=True)
GIVEN_UP: Final = replace(LATER, give_up=True)
SAMPLE: Final = DurationSample.of("TURBO", 16.0)

Act = Callable[[Bench], object]


class Caught(Exception):
    """A script on its way to the server."""


def caught(bench: Bench, act: Act) -> Script[Any]:
    """The script that a call would run."""

    def catch(script: Script[Any]) -> Any:
        raise Caught(script)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.ledger.store, "run", catch)
        patch.setattr(bench.ledger.store, "run_durably", catch)
        with pytest.raises(Caught) as told:
            act(bench)
    script: Script[Any] = told.value.args[0]
    return script


def claim(bench: Bench) -> list[Claim]:
    return bench.ledger.queue.claim(QUOTA, money=MONEY).steps


def submit(bench: Bench, prompt: str = "a fox") -> str:
    options = {"lane": "a", "expires_in": 600.0, "idempotency_key": prompt, "metadata": {"order": 7}}
    return bench.ledger.jobs.submit(new(prompt, **options)).job_id


def later() -> Submission:
    """A job of a plain Celery message, with a start and with links."""
    return replace(new("later", idempotency_key="later"), starts_in=5.0, celery='{"chain":[]}')


def claimed(bench: Bench) -> Claim:
    claim(bench)
    submit(bench)
    [step] = claim(bench)
    return step


def begin(bench: Bench, step: Claim) -> object:
    return bench.ledger.jobs.begin(step.job_id, step.lease, f"token {step.lease}", deadline=900, money=MONEY)


def sending(bench: Bench) -> str:
    step = claimed(bench)
    begin(bench, step)
    bench.now += 0.5
    return step.job_id


def generating(bench: Bench) -> str:
    job_id = sending(bench)
    bench.ledger.jobs.accepted(job_id, 1, "t1", poll_in=2.0)
    bench.now += 2.0
    return job_id


def poll_claimed(bench: Bench) -> Claim:
    generating(bench)
    [step] = claim(bench)
    bench.now += 0.5
    return step


def polling(bench: Bench) -> Claim:
    step = poll_claimed(bench)
    bench.ledger.jobs.begin_polls([step])
    return step


def in_doubt(bench: Bench) -> Claim:
    job_id = sending(bench)
    bench.ledger.jobs.doubt(job_id, 1, ERROR, grace=5.0)
    bench.now += 5.0
    [step] = claim(bench)
    assert step.job_id == job_id
    return step


def two_tasks(bench: Bench) -> Claim:
    """A job with a task, and an attempt in doubt."""
    step = in_doubt(bench)
    bench.ledger.jobs.adopt(step.job_id, "t1")
    [step] = claim(bench)
    bench.ledger.jobs.begin_polls([step])
    return step


def paused(bench: Bench, *, broke: bool = True) -> str:
    """An account that is paused, and whose probe is on the wire."""
    job_id = sending(bench)
    closing = Closing("no_credits" if broke else "unavailable", 5.0, 60.0, credits=broke)
    bench.ledger.jobs.retry(job_id, 1, ERROR, delay=1.0, pause=closing)
    bench.now += 6.0
    return job_id


def gone_back(bench: Bench, *, emptied: bool = False) -> Script[Any]:
    """The ledger has lost the beginning of an attempt, or everything."""
    step = claimed(bench)
    lost = bench.client.dump(JOB(bench.ledger.prefix, step.job_id))
    begin(bench, step)
    if emptied:
        bench.client.delete(EPOCH(bench.ledger.prefix))
        Ledger(bench.client, clock=lambda: bench.now).queue.claim(QUOTA, money=MONEY)
    else:
        bench.client.restore(JOB(bench.ledger.prefix, step.job_id), 0, lost, replace=True)
        bench.client.hset(EPOCH(bench.ledger.prefix), "attempts", 0)
    return caught(bench, lambda it: it.ledger.queue.losses.recall(MONEY))


def probing(bench: Bench) -> str:
    job_id = paused(bench, broke=False)
    [step] = claim(bench)
    begin(bench, step)
    return job_id


def ended(bench: Bench) -> str:
    step = polling(bench)
    bench.ledger.jobs.fail(step.job_id, GenerationFailed("no"), [JobState.GENERATING])
    return step.job_id


def late(bench: Bench) -> Claim:
    """The late poll of a job that has ended."""
    job_id = ended(bench)
    record = bench.ledger.jobs.read(job_id)
    assert record
    assert record.finished_at
    bench.ledger.jobs.stored(job_id, record.finished_at, ttl=60, follow=1.0)
    bench.now += 90.0
    [step] = [step for _ in range(2) for step in claim(bench)]
    bench.ledger.jobs.begin_polls([step])
    return step


def stored(bench: Bench) -> Script[Any]:
    job_id = ended(bench)
    record = bench.ledger.jobs.read(job_id)
    assert record
    finished = record.finished_at
    assert finished
    return caught(bench, lambda it: it.ledger.jobs.stored(job_id, finished, ttl=60, follow=1.0))


def claims(bench: Bench) -> Script[Any]:
    """A claim that has jobs to send, to poll, to expire, and to recover."""
    step = claimed(bench)
    begin(bench, step)
    bench.ledger.jobs.accepted(step.job_id, 1, "t1", poll_in=2.0)
    submit(bench, "expires")
    bench.now += 590.0
    for prompt in ("in doubt", "to be sent"):
        submit(bench, prompt)
    bench.now += 11.0
    return caught(bench, claim)


def checks(bench: Bench) -> Claim:
    paused(bench)
    [step] = claim(bench)
    assert step.step == "credits"
    return step


def refused(bench: Bench, *, cause: str = "unavailable", pause: Closing | None = None) -> Script[Any]:
    job_id = probing(bench)
    error = {**ERROR, "cause": cause}
    return caught(
        bench,
        lambda it: it.ledger.jobs.retry(job_id, 2, error, delay=1.0, pause=pause, uncounted=2.0, unsent=True),
    )


def reported(bench: Bench, make: Callable[[Claim], Any], before: Callable[[Bench], Claim]) -> Script[Any]:
    step = before(bench)
    return caught(bench, lambda it: it.ledger.jobs.report_polls([make(step)]))


def polled(step: Claim) -> Polled:
    return Polled(
        job_id=step.job_id,
        lease=step.lease,
        answer="waiting",
        poll_in=2.0,
        task_id="t1",
        sure=True,
        attempt=1,
        too_often=True,
    )


def succeeded(step: Claim) -> TaskSucceeded:
    return TaskSucceeded(
        job_id=step.job_id,
        task_id="t1",
        urls=["https://a"],
        cost=Decimal(7),
        ttl=60,
        attempt=1,
        sample=SAMPLE,
        result=RESULT,
    )


def failed(step: Claim) -> TaskFailed:
    error = GenerationFailed("no", {"task_id": "t1"})
    return TaskFailed(
        job_id=step.job_id, task_id="t1", error=error, ttl=60, grace=5, cost=Decimal(7), owed=True, attempt=1
    )


def imageless(step: Claim) -> Polled:
    return replace(polled(step), too_often=False, imageless=True, raw="{}")


def transient(step: Claim) -> TaskFailed:
    return replace(failed(step), cost=None, owed=False, again=1.0, pause=CLOSING, raw="{}")


def imageless_ended(bench: Bench) -> str:
    """A job that has failed without images, and whose result is stored."""
    step = polling(bench)
    bench.ledger.jobs.report_polls([failed(step)])
    record = bench.ledger.jobs.read(step.job_id)
    assert record
    assert record.finished_at
    bench.ledger.jobs.stored(step.job_id, record.finished_at, ttl=60)
    return step.job_id


def paid(step: Claim) -> TaskSucceeded:
    return replace(succeeded(step), urls=["https://a", "https://b"], result=None, copy=30.0)


def awaiting(bench: Bench) -> str:
    """A job that waits for the copies of its images."""
    step = polling(bench)
    bench.ledger.jobs.report_polls([paid(step)])
    return step.job_id


def copy_claimed(bench: Bench) -> Claim:
    awaiting(bench)
    [step] = bench.ledger.queue.claim(QUOTA, money=MONEY, copies=8).steps
    assert step.step == "copy"
    return step


def copy_begun(bench: Bench) -> Claim:
    step = copy_claimed(bench)
    begun = bench.ledger.copies.begin(step.job_id, step.lease)
    assert begun
    return replace(step, lease=begun.copy_lease)


def overdue(bench: Bench) -> Claim:
    """A job whose images are not copied yet, and that has waited for long enough."""
    awaiting(bench)
    bench.now += 30.0
    [step] = claim(bench)
    assert step.step == "recover"
    return step


def not_copied(bench: Bench) -> str:
    """A job whose copies have failed."""
    step = copy_begun(bench)
    copies_reported(bench, step.job_id, step.lease, {}, GIVEN_UP)
    return step.job_id


def copies_reported(
    bench: Bench, job_id: str, lease: int, stored: dict[int, Stored], left: Shortfall
) -> object:
    return bench.ledger.copies.report(job_id, lease, stored, left, ttl=60, result=RESULT)


def late_copies(bench: Bench) -> Claim:
    """The copies of a job that has succeeded without them."""
    step = overdue(bench)
    bench.ledger.copies.deliver(step.job_id, step.lease)
    record = bench.ledger.jobs.read(step.job_id)
    assert record
    assert record.finished_at
    bench.ledger.jobs.stored(step.job_id, record.finished_at, ttl=60)
    [step] = bench.ledger.queue.claim(QUOTA, money=MONEY, copies=8).steps
    return step


def lost(step: Claim) -> TaskLost:
    return TaskLost(job_id=step.job_id, task_id="t1", reason={"cause": "foreign"}, ttl=60, grace=5)


def of_job(
    before: Callable[[Bench], Claim | str], act: Callable[[Bench, str, int], object]
) -> Callable[[Bench], Script[Any]]:
    """A call about a job in that state."""

    def make(bench: Bench) -> Script[Any]:
        found = before(bench)
        job_id, lease = (found, 0) if isinstance(found, str) else (found.job_id, found.lease)
        return caught(bench, lambda it: act(it, job_id, lease))

    return make


def given_back(before: Callable[[Bench], Claim]) -> Callable[[Bench], Script[Any]]:
    def make(bench: Bench) -> Script[Any]:
        step = before(bench)
        return caught(bench, lambda it: it.ledger.queue.give_back([step]))

    return make


def of_main(before: Callable[[Bench], object], act: Act) -> Callable[[Bench], Script[Any]]:
    """A call about an account in that state."""

    def make(bench: Bench) -> Script[Any]:
        before(bench)
        return caught(bench, act)

    return make


FAULT: Final = RecordUnreadable("its field request is no JSON")


def apart(bench: Bench) -> str:
    job_id = generating(bench)
    bench.ledger.jobs.set_apart(job_id, FAULT)
    return job_id


def shifted(bench: Bench) -> Script[Any]:
    """The clock was set back, with jobs in every index, and a pause."""
    claims(bench)
    bench.ledger.accounts.pause("main", seconds=60, reason="a test")
    bench.now -= 3600
    call = ShiftClock(registration=bench.ledger.queue._registration, expected=None)
    return caught(bench, lambda it: it.ledger.store.run(call))


def maintained(bench: Bench) -> None:
    generating(bench)
    bench.now += 61.0


NO: Final[JobFailed] = GenerationFailed("no")
UNSENT, SENT = Cancelled("unsent"), Cancelled("sent", {"charged": "maybe"})
CLOSING: Final = Closing("unavailable", 5.0, 60.0, at_least=7.0, key="k", credits=True)

MOMENTS: Final[dict[str, Callable[[Bench], Script[Any]]]] = {
    "check_layout": of_main(claimed, lambda it: it.ledger.check_layout()),
    "submit": of_main(claimed, lambda it: submit(it, "another")),
    "submit for later": of_main(claimed, lambda it: it.ledger.jobs.submit(later())),
    "register": of_main(
        claimed, lambda it: it.ledger.queue._register((QUOTA, Quota(5, 10.0, 10, 1.0, 5, account="b")))
    ),
    "claim": claims,
    "claim of a check": of_main(paused, claim),
    "claim of a probe": of_main(lambda bench: paused(bench, broke=False), claim),
    "give_back a sending": given_back(claimed),
    "give_back a poll": given_back(poll_claimed),
    "give_back a recovery": given_back(in_doubt),
    "give_back a check": given_back(checks),
    "begin": of_job(claimed, lambda it, job, lease: begin(it, Claim(job, "create", lease))),
    "accepted": of_job(sending, lambda it, job, _: it.ledger.jobs.accepted(job, 1, "t1", poll_in=2.0)),
    "accepted by a probe": of_job(
        probing, lambda it, job, _: it.ledger.jobs.accepted(job, 2, "t1", poll_in=2.0)
    ),
    "accepted late": of_job(ended, lambda it, job, _: it.ledger.jobs.accepted(job, 1, "t2", poll_in=2.0)),
    "adopt": of_job(in_doubt, lambda it, job, _: it.ledger.jobs.adopt(job, "t1")),
    "adopt once more": of_job(polling, lambda it, job, _: it.ledger.jobs.adopt(job, "t1")),
    "retry": refused,
    "retry of too many": lambda bench: refused(bench, cause="rate_limited"),
    "retry with a pause": lambda bench: refused(bench, pause=CLOSING),
    "doubt": of_job(probing, lambda it, job, _: it.ledger.jobs.doubt(job, 2, ERROR, grace=5.0)),
    "hold": of_job(in_doubt, lambda it, job, lease: it.ledger.jobs.hold(job, lease, ask_again_in=5.0)),
    "resubmit": of_job(in_doubt, lambda it, job, lease: it.ledger.jobs.resubmit(job, lease=lease, attempt=1)),
    "begin_polls": of_job(
        poll_claimed, lambda it, job, lease: it.ledger.jobs.begin_polls([Claim(job, "poll", lease)])
    ),
    "report_polls: polled": lambda bench: reported(bench, polled, polling),
    "report_polls: succeeded": lambda bench: reported(bench, succeeded, polling),
    "report_polls: succeeded late": lambda bench: reported(bench, succeeded, late),
    "report_polls: failed": lambda bench: reported(bench, failed, polling),
    "report_polls: failed, and one in doubt": lambda bench: reported(bench, failed, two_tasks),
    "report_polls: lost": lambda bench: reported(bench, lost, two_tasks),
    "fail": of_job(
        probing, lambda it, job, _: it.ledger.jobs.fail(job, NO, [JobState.SENDING], lease=2, attempt=2)
    ),
    "cancel": of_job(polling, lambda it, job, _: it.ledger.jobs.cancel(job, UNSENT, SENT)),
    "stored": stored,
    "set_apart": of_job(claimed, lambda it, job, _: it.ledger.jobs.set_apart(job, FAULT)),
    "put_back": of_job(apart, lambda it, job, _: it.ledger.jobs.put_back(job)),
    "put_back to drop": of_job(apart, lambda it, job, _: it.ledger.jobs.put_back(job, drop=True)),
    "shift_clock": shifted,
    "maintain": of_main(maintained, lambda it: it.ledger.queue.maintain()),
    "pause": of_main(claimed, lambda it: it.ledger.accounts.pause("main", seconds=60, reason="a test")),
    "resume": of_main(paused, lambda it: it.ledger.accounts.resume("main")),
    "balance_read": of_job(
        checks,
        lambda it, name, lease: it.ledger.accounts.balance_read(name, lease, Decimal(100), longest=60.0),
    ),
    "balance_read in vain": of_job(
        checks,
        lambda it, name, lease: it.ledger.accounts.balance_read(name, lease, None, longest=60.0, error="?"),
    ),
    "close": of_main(claimed, lambda it: it.ledger.accounts.close("main", CLOSING, ERROR)),
    "retry after trouble": lambda bench: refused(bench, pause=TROUBLE),
    "retry of a fault": of_job(
        sending,
        lambda it, job, _: it.ledger.jobs.retry(job, 1, ERROR, delay=1.0, pause=TROUBLE, doubtful=True),
    ),
    "doubt after trouble": of_job(
        sending,
        lambda it, job, _: it.ledger.jobs.doubt(job, 1, ERROR, grace=5.0, pause=TROUBLE, task_ids=["t1"]),
    ),
    "fail after trouble": of_job(
        sending, lambda it, job, _: it.ledger.jobs.fail(job, NO, [JobState.SENDING], attempt=1, pause=TROUBLE)
    ),
    "renew": of_job(sending, lambda it, job, _: it.ledger.jobs.renew(job, 1, "token 1")),
    "proven": of_job(sending, lambda it, job, _: it.ledger.jobs.accepted_unnamed(job, "token 1")),
    "report_polls: imageless": lambda bench: reported(bench, imageless, polling),
    "report_polls: bought again": lambda bench: reported(bench, transient, polling),
    "report_polls: succeeded, to be copied": lambda bench: reported(bench, paid, polling),
    "claim of copies": of_main(awaiting, lambda it: it.ledger.queue.claim(QUOTA, money=MONEY, copies=8)),
    "give_back copies": given_back(copy_claimed),
    "begin_copies": of_job(copy_claimed, lambda it, job, lease: it.ledger.copies.begin(job, lease)),
    "plan_copy": of_job(copy_begun, lambda it, job, lease: it.ledger.copies.plan(job, lease, 1, FILE)),
    "report_copies: all": of_job(
        copy_begun, lambda it, job, lease: copies_reported(it, job, lease, ALL, COMPLETE)
    ),
    "report_copies: some": of_job(
        copy_begun, lambda it, job, lease: copies_reported(it, job, lease, {1: ALL[1]}, LATER)
    ),
    "report_copies: given up": of_job(
        copy_begun, lambda it, job, lease: copies_reported(it, job, lease, {}, GIVEN_UP)
    ),
    "report_copies: late": of_job(
        late_copies, lambda it, job, lease: copies_reported(it, job, lease, ALL, COMPLETE)
    ),
    "deliver": of_job(overdue, lambda it, job, lease: it.ledger.copies.deliver(job, lease)),
    "retry_copies": of_job(not_copied, lambda it, job, _: it.ledger.copies.retry(job)),
    "cancel while copying": of_job(awaiting, lambda it, job, _: it.ledger.jobs.cancel(job, UNSENT, SENT)),
    "recall": lambda bench: gone_back(bench),
    "recall of an emptied ledger": lambda bench: gone_back(bench, emptied=True),
    "reread": of_job(imageless_ended, lambda it, job, _: it.ledger.jobs.reread(job)),
}
"""By the name of the script, and a word on the moment."""
