"""Two producers of one fleet that know nothing of each other, in namespaces of their own."""

import asyncio
from collections.abc import Iterator

import pytest

from limner import IdempotencyConflict, Limner, UnknownJob
from limner._redis import connect
from limner.job import Job
from tests.integration.limner.ledger.conftest import Bench


@pytest.fixture
def shop(valkey_url: str) -> Iterator[Limner]:
    with Limner(valkey_url, namespace="shop") as limner:
        yield limner


@pytest.fixture
def blog(valkey_url: str) -> Iterator[Limner]:
    with Limner(valkey_url, namespace="blog") as limner:
        yield limner


@pytest.fixture
def everybody(valkey_url: str) -> Iterator[Limner]:
    with Limner(valkey_url) as limner:
        yield limner


@pytest.fixture
def bench(valkey_url: str) -> Iterator[Bench]:
    with connect(valkey_url) as client:
        yield Bench(client)


def test_the_same_key_is_a_job_of_each_namespace(shop: Limner, blog: Limner, everybody: Limner) -> None:
    jobs = [each.submit(f"for {each!r}", idempotency_key="order-7") for each in (shop, blog, everybody)]
    assert len({job.id for job in jobs}) == 3
    assert [job.created for job in jobs] == [True, True, True]
    assert shop.submit(f"for {shop!r}", idempotency_key="order-7") == jobs[0]
    with pytest.raises(IdempotencyConflict):
        shop.submit("another", idempotency_key="order-7")


def test_the_jobs_of_another_namespace_are_unknown(shop: Limner, blog: Limner, everybody: Limner) -> None:
    job = shop.submit("a fox")
    plain = everybody.submit("a hen")
    for stranger in (blog.get(job.id), blog.get(plain.id), shop.get(plain.id)):
        for act in (
            stranger.status,
            lambda job=stranger: job.result(timeout=0),
            stranger.cancel,
            stranger.reread,
            stranger.resubmit,
            stranger.give_up,
            stranger.log,
            lambda job=stranger: job.adopt("task"),
        ):
            with pytest.raises(UnknownJob, match=stranger.id):
                act()
    assert [entry.event for entry in job.log()] == ["submitted"]
    assert shop.get(job.id).status().namespace == "shop"
    assert everybody.get(job.id).status().state == "queued"
    assert everybody.get(plain.id).status().namespace == ""
    shop.get(job.id).cancel()
    assert job.status().state == "cancelled"


def test_asynchronous_reads_of_another_namespace_find_nothing(valkey_url: str, shop: Limner) -> None:
    job = shop.submit("a fox")

    async def read() -> None:
        async with Limner(valkey_url, namespace="blog") as blog, Limner(valkey_url, namespace="shop") as ours:
            stranger: Job = blog.get(job.id)
            for refused in (stranger.astatus(), stranger.aresult(0), stranger.acancel(), stranger.alog()):
                with pytest.raises(UnknownJob):
                    await refused
            assert (await ours.get(job.id).astatus()).namespace == "shop"
            assert [event.job_id async for event in ours.aevents(from_start=True, follow=False)] == [job.id]
            assert [event async for event in blog.aevents(from_start=True, follow=False)] == []

    asyncio.run(read())


def test_each_lists_its_own_events_and_a_client_without_a_namespace_all(
    bench: Bench, shop: Limner, blog: Limner, everybody: Limner
) -> None:
    jobs = {each: each.submit("a fox").id for each in (shop, blog, everybody)}
    bench.claim()
    everybody.pause(reason="tea")

    def listed(limner: Limner) -> list[tuple[str, str]]:
        return [(event.event, event.job_id) for event in limner.events(from_start=True, follow=False)]

    paused = ("paused", "")
    assert listed(shop) == [("submitted", jobs[shop]), paused]
    assert listed(blog) == [("submitted", jobs[blog]), paused]
    assert listed(everybody) == [*(("submitted", job_id) for job_id in jobs.values()), paused]
    spaces = [event.namespace for event in everybody.events(from_start=True, follow=False)]
    assert spaces == ["shop", "blog", "", ""]


def test_each_lists_its_own_doubts(bench: Bench, shop: Limner, blog: Limner, everybody: Limner) -> None:
    ids = {each: each.submit("a fox").id for each in (shop, blog)}
    for step in bench.claim().steps:
        bench.ledger.jobs.begin(step.job_id, step.lease, "token", deadline=900)
        bench.ledger.jobs.doubt(step.job_id, 1, {"message": "no answer"}, grace=60)
    assert [doubt.job_id for doubt in shop.doubts()] == [ids[shop]]
    assert [doubt.job_id for doubt in blog.doubts()] == [ids[blog]]
    assert {doubt.job_id for doubt in everybody.doubts()} == {*ids.values()}


@pytest.mark.parametrize("lane", ["tenant-42", None])
def test_lanes_of_the_same_name_share_the_turns_as_two_lanes(
    bench: Bench, shop: Limner, blog: Limner, lane: str | None
) -> None:
    crowd = shop.submit_many(["a fox"] * 50, lane=lane)
    alone = blog.submit("a hen", lane=lane)
    first = [step.job_id for step in bench.claim().steps][:2]
    assert {*first} == {crowd[0].id, alone.id}
    assert (crowd[0].status().lane, alone.status().lane) == (lane, lane)
