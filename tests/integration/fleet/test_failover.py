"""Failovers of the fleet's Redis under load, behind a service address and by sentinels."""

import time
from collections.abc import Callable

import pytest

from bench.failover import Outcome, under_load
from limner import Limner
from sandbox.local.fleet import LocalFleet
from sandbox.local.replication import Replicated
from tests.integration.fleet.conftest import ROOMY, quick_provider

pytestmark = pytest.mark.timeout(240)

HEALED = 5.0
"""Seconds from a promotion until the fleet and its producers go on, at most."""
AWAY = 2.0
"""Seconds without any primary in an unplanned failover."""


def counted(url: str, durability: str, disturb: Callable[[], None]) -> Outcome:
    """Count the jobs of two workers with the Redis at the URL, disturbed in their midst."""
    settings = {**ROOMY, "LIMNER_REDIS_URL": url, "LIMNER_DURABILITY": durability}
    with (
        LocalFleet(workers=2, settings=settings, provider=quick_provider()) as fleet,
        Limner(url, durability=durability, timeout=2.0) as limner,
    ):
        assert fleet.provider
        outcome = under_load(limner, fleet.provider, disturb)
        fleet.check()
    print(outcome)  # noqa: T201 - docs/outages-redis.md quotes it
    return outcome


def kill(servers: Replicated) -> Callable[[], None]:
    """An unplanned failover: the primary dies, and a replica is promoted a while later."""

    def die() -> None:
        servers.kill_primary(promote=False)
        time.sleep(AWAY)  # this is how long the outage lasts
        servers.promote()

    return die


def test_a_planned_failover_loses_doubles_and_doubts_nothing() -> None:
    with Replicated(replicas=1) as servers:
        outcome = counted(servers.service_url, "server", servers.fail_over)
    assert (outcome.lost, outcome.doubled, outcome.unasked, outcome.refused) == ((), (), 0, 0), str(outcome)
    assert outcome.succeeded == outcome.jobs, str(outcome)
    assert outcome.silent < HEALED, str(outcome)


def test_a_killed_primary_loses_and_doubles_nothing_that_a_replica_has() -> None:
    # After the death one replica is left, with which durability can still be had.
    with Replicated(replicas=2, appendfsync="always") as servers:
        outcome = counted(servers.service_url, "replica", kill(servers))
    assert (outcome.lost, outcome.doubled, outcome.unasked, outcome.refused) == ((), (), 0, 0), str(outcome)
    assert outcome.succeeded + outcome.in_doubt == outcome.jobs, str(outcome)
    assert outcome.silent < AWAY + HEALED, str(outcome)


def test_a_killed_primary_stops_nobody_for_long() -> None:
    with Replicated(replicas=1) as servers:
        outcome = counted(servers.service_url, "server", kill(servers))
    # Only what the replica did not have yet may be lost or bought again, which docs/operations.md says.
    assert len(outcome.lost) + len(outcome.doubled) < 10, str(outcome)
    assert outcome.succeeded + outcome.in_doubt + len(outcome.lost) == outcome.jobs, str(outcome)
    assert outcome.refused == 0, str(outcome)
    assert outcome.silent < AWAY + HEALED, str(outcome)


@pytest.mark.parametrize("fault", [Replicated.kill_primary, Replicated.freeze_primary])
def test_a_failover_by_sentinels_loses_and_doubles_nothing_that_a_replica_has(
    fault: Callable[[Replicated], None],
) -> None:
    away: list[float] = []

    def disturb() -> None:
        began = time.monotonic()
        fault(servers)
        servers.wait_until_promoted()
        away.append(time.monotonic() - began)

    with Replicated(replicas=2, sentinels=3, appendfsync="always", sentinel_password="guard") as servers:
        outcome = counted(servers.sentinel_url, "replica", disturb)
    assert (outcome.lost, outcome.doubled, outcome.unasked, outcome.refused) == ((), (), 0, 0), str(outcome)
    assert outcome.succeeded + outcome.in_doubt == outcome.jobs, str(outcome)
    assert outcome.silent < away[0] + HEALED, str(outcome)
