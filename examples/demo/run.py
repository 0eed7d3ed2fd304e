"""The demo from the first job to the last."""

import time
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console

from examples.demo.jobs import Ended, Watched, ended, has_ended, scheduled, submit
from examples.demo.orders import PAID, PLAYED, REFUSED, VIA_CELERY
from examples.demo.screen import Screen, screen_for
from limner import Limner
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet

__all__ = ["play", "with_credits"]

PLAY_SECONDS: Final = 90.0
PAID_SECONDS: Final = 900.0
"""Longer than the longest task on record."""
POLL_SECONDS: Final = 0.2

TROUBLE: Final = {"create_429": {"next": 2}, "create_455": {"next": 1}, "create_500": {"next": 2}}
"""The stand-in's answers to the next five requests, so that every run shows retries."""


def play(console: Console, fleet: LocalFleet, provider: SandboxProvider) -> list[Ended]:
    """Play against the stand-in: refusals, a typed error, a plain Celery producer and a scheduled job."""
    with Limner(fleet.redis_url) as limner, screen_for(console) as screen:
        deadline = time.monotonic() + PLAY_SECONDS
        provider.faults(**TROUBLE)
        jobs = list(submit(limner, fleet.redis_url, [REFUSED, *PLAYED, VIA_CELERY]))
        while (planned := scheduled(limner)) is None and time.monotonic() < deadline:
            screen.show([(job, job.status()) for job in jobs])
            time.sleep(POLL_SECONDS)
        jobs += filter(None, [planned])
        _watch(screen, jobs, deadline)
    return [ended(job) for job in jobs]


def with_credits(console: Console, fleet: LocalFleet) -> list[Ended]:
    """Run a few small jobs against the real provider."""
    with Limner(fleet.redis_url) as limner, screen_for(console) as screen:
        jobs = list(submit(limner, fleet.redis_url, PAID))
        _watch(screen, jobs, time.monotonic() + PAID_SECONDS)
    return [ended(job) for job in jobs]


def _watch(screen: Screen, jobs: Sequence[Watched], deadline: float) -> None:
    while time.monotonic() < deadline:
        statuses = [(job, job.status()) for job in jobs]
        screen.show(statuses)
        if all(has_ended(status) for _, status in statuses):
            return
        time.sleep(POLL_SECONDS)


def surprises(all_ended: Iterable[Ended]) -> list[str]:
    """The jobs that did not end as they should have, a line for each."""
    return [
        f"{each.watched.order.request.prompt}: {each.error or 'did not end as expected'}"
        for each in all_ended
        if not each.as_expected
    ]
