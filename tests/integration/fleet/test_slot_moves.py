"""The ledger on a cluster, whose slot moves to another node under load. Broker and results are elsewhere."""

import time
from collections.abc import Callable

import pytest

from bench.failover import under_load
from limner import Limner
from sandbox.local.cluster import Cluster
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from tests.integration.fleet.conftest import ROOMY, quick_provider

pytestmark = pytest.mark.timeout(240)

HEALED = 5.0
"""Seconds from the end of a move until the fleet and its producers go on, at most."""
KEY = "limner:{main}:any"
"""Any key of the ledger: all are in one slot."""


def by_keys(cluster: Cluster) -> None:
    # Meanwhile the source refuses the scripts, because keys of theirs are on both nodes.
    cluster.move_slot(KEY, keys=20)


def at_once(cluster: Cluster) -> None:
    cluster.move_slot_atomically(KEY)


@pytest.mark.parametrize("move", [by_keys, at_once])
def test_a_slot_that_moves_loses_doubles_and_doubts_nothing(move: Callable[[Cluster], None]) -> None:
    moving: list[float] = []
    with Cluster() as cluster, EmbeddedValkey() as broker:
        source = cluster.node_of(KEY)

        def disturb() -> None:
            began = time.monotonic()
            move(cluster)
            moving.append(time.monotonic() - began)

        settings = {
            **ROOMY,
            "LIMNER_REDIS_URL": cluster.url,
            "LIMNER_BROKER_URL": broker.url,
            "LIMNER_RESULT_URL": broker.url,
        }
        with (
            LocalFleet(workers=2, settings=settings, provider=quick_provider()) as fleet,
            Limner(cluster.url, timeout=2.0) as limner,
        ):
            assert fleet.provider
            outcome = under_load(limner, fleet.provider, disturb)
            fleet.check()
        assert cluster.node_of(KEY) is not source
    print(moving, outcome)  # noqa: T201 - docs/outages-redis.md quotes it
    assert (outcome.lost, outcome.doubled, outcome.unasked, outcome.refused) == ((), (), 0, 0), str(outcome)
    assert outcome.succeeded == outcome.jobs, str(outcome)
    assert outcome.silent < moving[0] + HEALED, str(outcome)
