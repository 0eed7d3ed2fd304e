"""A load balancer that forgets idle connections without telling anybody."""

import time
from collections.abc import Callable

import psutil

from limner import Limner
from sandbox.local.fleet import LocalFleet
from sandbox.local.network import Proxy
from sandbox.local.ports import HOST
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider

IDLE = 2.0
"""Seconds without an answer after which a connection is tried, in this test."""
WAIT = 60.0


def test_forgotten_connections_cost_a_moment_once() -> None:
    with EmbeddedValkey() as server, Proxy(HOST, server.port) as balancer:
        url = f"redis://:{server.password}@{HOST}:{balancer.port}/0?health_check_interval={IDLE:g}"
        with (
            LocalFleet(settings={**ROOMY, "LIMNER_REDIS_URL": url}, provider=quick_provider()) as fleet,
            Limner(url) as limner,
        ):
            limner.submit("before").result(WAIT)
            balancer.forget()
            accepted, idle_until = balancer.accepted, time.monotonic() + IDLE
            # The worker finds its connections out by itself, and makes new ones.
            eventually(
                lambda: balancer.accepted >= accepted + 2 and time.monotonic() > idle_until, within=WAIT
            )
            assert timed(lambda: limner.submit("after").result(WAIT)) < 15.0
            assert timed(lambda: limner.submit("then").result(WAIT)) < 5.0
            assert psutil.pid_exists(fleet.workers[0].pid)


def timed(act: Callable[[], object]) -> float:
    """The seconds that a call takes."""
    began = time.monotonic()
    act()
    return time.monotonic() - began
