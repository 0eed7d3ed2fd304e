"""Failovers under load, behind a service address and by Sentinels."""

import time
from typing import Any

from limner._redis import connect
from sandbox.local.replication import Replicated
from tests.conftest import eventually
from tests.integration.limner._redis.loads import gone_on, loads


def stored(servers: Replicated) -> set[int]:
    with connect(servers.url) as client:
        members: Any = client.smembers("load")
        return {int(member) for member in members}


def test_a_planned_failover_behind_a_service_address_is_not_noticed() -> None:
    with Replicated(replicas=1) as servers:
        with loads(servers.service_url) as both:
            servers.fail_over()
            gone_on(both)
        for load in both:
            assert load.errors == []
            assert load.silence() < 3
            assert load.numbers() <= stored(servers)


def test_a_killed_primary_behind_a_service_address_is_survived() -> None:
    with Replicated(replicas=1) as servers:
        with loads(servers.service_url) as both:
            servers.kill_primary()
            gone_on(both)
        for load in both:
            assert load.errors == []
            assert load.silence() < 5


def test_a_planned_failover_of_sentinels_is_not_noticed() -> None:
    with Replicated(replicas=1, sentinels=3, sentinel_password="guard") as servers:
        with loads(servers.sentinel_url) as both:
            servers.fail_over()
            gone_on(both)
        for load in both:
            assert load.errors == []
            assert load.silence() < 5


def test_a_killed_primary_of_sentinels_is_replaced() -> None:
    with Replicated(replicas=1, sentinels=3, sentinel_password="guard") as servers:
        with loads(servers.sentinel_url) as both:
            servers.kill_primary()
            servers.wait_until_promoted()
            promoted = time.monotonic()
            gone_on(both)
            assert time.monotonic() - promoted < 5
        for load in both:
            assert all("LIMNER_REDIS_URL" in str(error) for error in load.errors)


def test_a_frozen_primary_of_sentinels_is_replaced_for_subscriptions_too() -> None:
    with (
        Replicated(replicas=1, sentinels=3) as servers,
        connect(f"{servers.sentinel_url}?health_check_interval=0.5", timeout=1) as client,
        client.pubsub() as listener,
    ):
        listener.subscribe("news")
        with loads(f"{servers.sentinel_url}?socket_timeout=1") as both:
            servers.freeze_primary()
            servers.wait_until_promoted()
            promoted = time.monotonic()
            gone_on(both)
            assert time.monotonic() - promoted < 5

        def told() -> bool:
            client.publish("news", "first")
            return (listener.get_message(timeout=0.1) or {}).get("data") == "first"

        eventually(told, within=10)
        servers.thaw_primary()
        for load in both:
            assert len(load.errors) <= 3
