"""The durability that an attempt must have before its request is sent."""

import asyncio

import pytest
import redis

from limner import Limner, errors
from limner._redis import connect
from limner.ledger import Durability, Ledger, Quota
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider
from tests.integration.fleet.test_outages import start_worker

WAIT = 60.0


def test_a_request_is_not_sent_until_its_attempt_is_on_disk() -> None:
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


def test_beginning_an_attempt_again_does_not_make_it_durable() -> None:
    # Each repetition uses another connection, which has no writes for WAITAOF to wait for.
    with EmbeddedValkey(aof=True, appendfsync="no") as valkey:
        Limner(valkey.url).submit("begun twice")
        ledger = Ledger(connect(valkey.url, timeout=1.0), durability=Durability.DISK)
        claim = ledger.queue.claim(Quota(1, 10.0, 1, 1.0, 1)).steps[0]
        for _ in range(3):
            with pytest.raises(errors.NotDurable):
                ledger.jobs.begin(claim.job_id, claim.lease, "secret", deadline=60)
            ledger = Ledger(connect(valkey.url, timeout=1.0), durability=Durability.DISK)


def test_a_worker_does_not_send_an_attempt_after_its_lease() -> None:
    with (
        LocalFleet(workers=0, settings=ROOMY, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        job = limner.submit("good morning")
        fleet.start_worker(arguments=["-I", "tests.integration.fleet.oversleep"])
        assert job.result(WAIT).urls
        assert fleet.provider.summary()["created"] == 1
        refusals = [entry.detail["error"]["cause"] for entry in job.log() if entry.event == "refused"]
        assert refusals == ["not_sent"]


def test_a_submit_waits_for_the_disk_if_so_configured() -> None:
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
            # The job was written nevertheless, so that a second submit with the key finds it.
            assert limner.submit("four", **key).log()[0].event == "submitted"  # type: ignore[arg-type]


def test_a_server_without_an_append_only_file_raises_not_durable() -> None:
    async def submit(url: str) -> None:
        async with Limner(url, durability="disk") as limner:
            await limner.asubmit("three")

    with EmbeddedValkey(aof=False) as valkey, Limner(valkey.url, durability="disk") as limner:
        with pytest.raises(errors.NotDurable, match="may run"):
            limner.submit("one")
        with pytest.raises(errors.NotDurable):
            limner.submit_many(["two"])
        with pytest.raises(errors.NotDurable):
            asyncio.run(submit(valkey.url))


def test_an_asynchronous_submit_waits_for_the_disk_too() -> None:
    async def submit(url: str, durability: str) -> str:
        async with Limner(url, durability=durability, timeout=1.0) as limner:
            return (await limner.asubmit("a boat")).id

    with EmbeddedValkey(aof=True, appendfsync="always") as valkey:
        assert asyncio.run(submit(valkey.url, "disk"))
        with pytest.raises(errors.NotDurable):
            asyncio.run(submit(valkey.url, "replica"))


def test_an_unknown_durability_is_refused() -> None:
    with pytest.raises(errors.ConfigurationError, match="durability: must be one of server, disk, replica"):
        Limner("redis://127.0.0.1:1/0", durability="hope")


@pytest.mark.parametrize(("durability", "aof"), [("disk", False), ("replica", True)])
def test_a_worker_does_not_start_if_redis_cannot_provide_its_durability(durability: str, aof: bool) -> None:
    with EmbeddedValkey(aof=aof) as valkey:
        ended = start_worker(
            {"LIMNER_REDIS_URL": valkey.url, "LIMNER_API_KEY": "k", "LIMNER_DURABILITY": durability}
        )
    assert ended.returncode == 1
    assert f"LIMNER_DURABILITY: {durability} needs" in ended.stderr
    assert "Traceback" not in ended.stderr
