"""What an attempt waits for before money moves."""

import asyncio

import pytest
import redis

from limner import Limner, errors
from sandbox.fleet import LocalFleet
from sandbox.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider
from tests.integration.fleet.test_outages import start_worker

WAIT = 60.0


def test_nothing_is_sent_until_the_attempt_is_on_disk() -> None:
    valkey = EmbeddedValkey(aof=True, appendfsync="no")
    settings = {**ROOMY, "LIMNER_DURABILITY": "disk", "LIMNER_REDIS_TIMEOUT_SECONDS": "1"}
    with (
        LocalFleet(settings=settings, provider=quick_provider(), valkey=valkey) as fleet,
        Limner(fleet.redis_url) as limner,
        redis.Redis.from_url(fleet.redis_url) as client,
    ):
        assert fleet.provider
        job = limner.submit("only if it is remembered")
        eventually(lambda: "not_durable" in str(job.log()))
        assert fleet.provider.summary()["created"] == 0
        client.config_set("appendfsync", "always")
        assert job.result(WAIT).urls
        assert fleet.provider.summary()["created"] == 1
        assert job.status().state == "succeeded"


def test_a_submit_waits_for_the_disk_if_it_is_asked_to() -> None:
    with EmbeddedValkey(aof=True, appendfsync="everysec") as valkey:
        with Limner(valkey.url, durability="disk") as limner:
            assert limner.submit("one").status().state == "queued"
            assert len(limner.submit_many(["two", "three"])) == 2
        with Limner(valkey.url, durability="replica", timeout=1.0) as limner:
            key = {"idempotency_key": "order 7"}
            with pytest.raises(errors.NotDurable, match="LIMNER_DURABILITY"):
                limner.submit("four", **key)  # type: ignore[arg-type]
            with pytest.raises(errors.NotDurable):
                limner.submit_many(["five"])
        with Limner(valkey.url) as limner:
            # It was written all the same, so that a second submit with the key finds it.
            assert limner.submit("four", **key).log()[0].event == "submitted"  # type: ignore[arg-type]


def test_an_asynchronous_submit_waits_likewise() -> None:
    async def submit(url: str, durability: str) -> str:
        async with Limner(url, durability=durability, timeout=1.0) as limner:
            return (await limner.asubmit("a boat")).id

    with EmbeddedValkey(aof=True, appendfsync="always") as valkey:
        assert asyncio.run(submit(valkey.url, "disk"))
        with pytest.raises(errors.NotDurable):
            asyncio.run(submit(valkey.url, "replica"))


def test_a_durability_that_does_not_exist_is_refused() -> None:
    with pytest.raises(errors.InvalidRequest, match="durability: must be one of server, disk, replica"):
        Limner("redis://127.0.0.1:1/0", durability="hope")


@pytest.mark.parametrize(("durability", "aof"), [("disk", False), ("replica", True)])
def test_a_worker_does_not_start_on_a_redis_that_cannot_keep_its_durability(
    durability: str, aof: bool
) -> None:
    with EmbeddedValkey(aof=aof) as valkey:
        ended = start_worker(
            {"LIMNER_REDIS_URL": valkey.url, "LIMNER_API_KEY": "k", "LIMNER_DURABILITY": durability}
        )
    assert ended.returncode == 1
    assert f"LIMNER_DURABILITY: {durability} needs" in ended.stderr
    assert "Traceback" not in ended.stderr
