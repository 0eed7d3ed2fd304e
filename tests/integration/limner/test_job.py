"""Jobs submitted and held by asynchronous code, on a real Valkey."""

import asyncio

import pytest

from limner import (
    Cancellation,
    IdempotencyConflict,
    InvalidRequest,
    InvalidState,
    Job,
    JobState,
    Limner,
    UnknownJob,
    WaitTimeout,
)
from limner.ledger import Grant, Ledger
from tests.integration.limner.conftest import QUOTA


def in_doubt(ledger: Ledger, job: Job) -> Job:
    """The job, with an attempt that may or may not have been accepted."""
    step = next(step for step in ledger.queue.claim(QUOTA).steps if step.job_id == job.id)
    assert isinstance(ledger.jobs.begin(job.id, step.lease, "token", deadline=900), Grant)
    assert ledger.jobs.doubt(job.id, 1, {"cause": "timeout", "message": "no answer"}, grace=900)
    return job


def test_a_submit_says_whether_it_made_the_job(valkey_url: str) -> None:
    async def backend() -> None:
        async with Limner(valkey_url) as limner:
            first = await limner.asubmit("a", idempotency_key="1")
            again = limner.submit("a", idempotency_key="1")
            assert (first.created, again.created, limner.get(first.id).created) == (True, False, None)
            assert first == again
            with pytest.raises(IdempotencyConflict, match="idempotency_key: already belongs to") as conflict:
                await limner.asubmit("b", idempotency_key="1")
            assert conflict.value.job_id == first.id
            assert conflict.value.created_at == first.status().created_at
            assert conflict.value.refused_at
            assert conflict.value.digest != conflict.value.other_digest
            for told in (conflict.value.digest, conflict.value.other_digest):
                assert str(told) in str(conflict.value)

    asyncio.run(backend())


def test_many_are_submitted_with_their_options(url: str) -> None:
    async def backend() -> None:
        async with Limner(url) as limner:
            options = {"priority": 7, "lane": "t1", "metadata": {"order": 1}, "account": "main"}
            jobs = await limner.asubmit_many(
                (prompt for prompt in "ab"),
                idempotency_keys=["1", "2"],
                expires_in=60,
                **options,  # type: ignore[arg-type]
            )
            assert [job.created for job in jobs] == [True, True]
            again = limner.submit_many(["a", "c"], idempotency_keys=["1", "3"], expires_in=60)
            assert [job.created for job in again] == [False, True]
            status = await jobs[1].astatus()
            assert (status.lane, status.account, status.metadata) == ("t1", "main", {"order": 1})
            assert status.request["prompt"] == "b"
            assert status.expires_at
            with pytest.raises(InvalidRequest, match="account: there is no 'north'; the fleet has main"):
                await limner.asubmit_many(["a"], account="north")

    asyncio.run(backend())


def test_a_status_is_the_same_from_either_side(url: str, ledger: Ledger) -> None:
    async def backend() -> None:
        async with Limner(url) as limner:
            jobs = limner.submit_many("abc")
            jobs += [limner.submit("pinned", account="main"), limner.submit("cancelled")]
            jobs[-1].cancel()
            for job in jobs:
                blocking, native = job.status(), await job.astatus()
                for name in ("starts_at", "ends_at"):
                    # They count from the moment of the question.
                    assert (getattr(blocking, name) is None) == (getattr(native, name) is None)
                for name in ("state", "position", "account", "paused", "request", "next_step_at"):
                    assert getattr(blocking, name) == getattr(native, name)
            assert [(await job.astatus()).position for job in jobs] == [1, 2, 3, 4, None]
            with pytest.raises(UnknownJob):
                await limner.get("nobody").astatus()

    asyncio.run(backend())


def test_a_job_is_cancelled_and_its_log_read(url: str) -> None:
    async def backend() -> None:
        async with Limner(url) as limner:
            job = await limner.asubmit("a")
            assert await job.acancel() is Cancellation.BEFORE_SENDING
            assert [entry.event for entry in await job.alog()] == ["submitted", "cancelled"]
            for asked in (job.acancel, job.alog):
                other = getattr(limner.get("nobody"), asked.__name__)
                with pytest.raises(UnknownJob):
                    await other()

    asyncio.run(backend())


def test_a_doubt_is_resolved_in_each_way(url: str, ledger: Ledger) -> None:
    async def backend() -> None:
        async with Limner(url) as limner:
            job = in_doubt(ledger, await limner.asubmit("adopted"))
            assert [doubt.job_id for doubt in await limner.adoubts()] == [job.id]
            await job.aadopt("task-1")
            assert (await job.astatus()).task_id == "task-1"
            with pytest.raises(InvalidRequest, match="task_id: one printable word"):
                await job.aadopt("two words")
            job = in_doubt(ledger, await limner.asubmit("given up"))
            with pytest.raises(InvalidState, match="attempt 2 is not in doubt"):
                await job.agive_up(attempt=2)
            await job.agive_up()
            assert (await job.astatus()).state is JobState.FAILED
            job = in_doubt(ledger, await limner.asubmit("sent again"))
            await job.aresubmit(attempt=1)
            assert (await job.astatus()).resubmitted == 1
            for decide in (job.aresubmit, job.agive_up):
                with pytest.raises(InvalidState, match=f"job {job.id} is queued, and it is not in doubt"):
                    await decide()

    asyncio.run(backend())


def test_a_task_known_for_certain_is_not_replaced(url: str, ledger: Ledger) -> None:
    with Limner(url) as limner:
        job = in_doubt(ledger, limner.submit("a"))
        assert ledger.jobs.accepted(job.id, 1, "task-1", poll_in=60)
        with pytest.raises(InvalidState, match=f"task_id: job {job.id} has task task-1 for certain"):
            job.adopt("task-2")


def test_a_wait_that_is_over_names_its_job(valkey_url: str) -> None:
    async def backend() -> None:
        async with Limner(valkey_url) as limner:
            job = await limner.asubmit("nobody comes")
            for wait in (job.aresult(0.01), job.wait(timeout=0), asyncio.to_thread(job.result, 0.01)):
                with pytest.raises(WaitTimeout, match="is still queued") as over:
                    await wait
                assert over.value.job_id == job.id

    asyncio.run(backend())
