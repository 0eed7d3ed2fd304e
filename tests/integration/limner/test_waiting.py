"""Waiting for a job while Redis and the event loop misbehave."""

import asyncio
import threading
import time

import pytest
import redis

from limner import Limner, StoreUnavailable
from limner.errors import InvalidRequest
from limner.waiting import Patience
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually


def test_a_wait_without_a_timeout_ends_when_redis_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Patience, "OUTAGE", 1.5)
    with EmbeddedValkey() as valkey, Limner(valkey.url, timeout=1.0) as limner:
        job = limner.submit("nobody comes")
        ended: list[str] = []

        def wait() -> None:
            with pytest.raises(StoreUnavailable):
                job.result()
            ended.append("blocking")

        def await_() -> None:
            with pytest.raises(StoreUnavailable):
                asyncio.run(job.wait())
            ended.append("async")

        threads = [threading.Thread(target=target) for target in (wait, await_)]
        for thread in threads:
            thread.start()
        with redis.Redis.from_url(valkey.url) as client:
            eventually(lambda: client.pubsub_numsub(limner._ledger.journal.channel(job.id))[0][1] == 1)
        valkey.kill()
        for thread in threads:
            thread.join(20)
        assert sorted(ended) == ["async", "blocking"]


def test_a_redis_that_refuses_to_write_is_a_store_that_is_unavailable() -> None:
    with EmbeddedValkey() as valkey, Limner(valkey.url) as limner:
        limner.submit("before")
        with redis.Redis.from_url(valkey.url) as client:
            client.config_set("maxmemory", 1)
            with pytest.raises(StoreUnavailable, match="refuses to serve"):
                limner.submit("full")
            with pytest.raises(StoreUnavailable, match="refuses to serve"):
                limner.submit_many(["full", "full"])
            client.config_set("maxmemory", 0)
            client.replicaof("127.0.0.1", 1)
            with pytest.raises(StoreUnavailable, match="refuses to serve"):
                limner.submit("read-only")


def test_a_short_time_out_is_no_outage_of_an_idle_ledger(valkey_url: str) -> None:
    with Limner(valkey_url, timeout=0.3) as limner:
        began = time.monotonic()
        limner._ledger.queue.wakeup().wait(0.5)
        limner._ledger.journal.events(block=1.0)
        assert time.monotonic() - began < 1.0


def test_the_same_keys_make_a_batch_safe_to_repeat(valkey_url: str) -> None:
    with Limner(valkey_url) as limner:
        first = limner.submit_many(["a", "b"], idempotency_keys=["1", "2"])
        assert limner.submit_many(["a", "b"], idempotency_keys=["1", "2"]) == first
        with pytest.raises(InvalidRequest, match="idempotency_keys"):
            limner.submit_many(["a", "b"], idempotency_keys=["1"])


@pytest.mark.parametrize("job_id", ["", "\ud800", 7])
def test_what_cannot_be_a_job_id_is_refused(valkey_url: str, job_id: str) -> None:
    with Limner(valkey_url) as limner, pytest.raises(InvalidRequest, match="job_id"):
        limner.get(job_id)
