"""The fleets that are measured, with limits so high that they have no effect."""

from typing import Any

from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import AppendFsync, EmbeddedValkey

ROOMY = {
    "LIMNER_RATE_REQUESTS": "100000",
    "LIMNER_READS_PER_SECOND": "100000",
    "LIMNER_MAX_IN_FLIGHT": "200",
}


def provider(duration: float = 0.0, **options: Any) -> SandboxProvider:
    """A stand-in without limits, whose tasks take ``duration`` seconds, or the time of its options."""
    return SandboxProvider(duration=duration, creates=0, reads=0, **options)


def fleet(
    duration: float,
    *,
    workers: int = 1,
    witness: SandboxProvider | None = None,
    log_level: str = "WARNING",
    appendfsync: AppendFsync = "everysec",
    **settings: str,
) -> LocalFleet:
    """A fleet with an append-only Valkey, and with a stand-in of that duration or ``witness``."""
    return LocalFleet(
        workers=workers,
        settings={**ROOMY, **settings},
        provider=witness or provider(duration),
        valkey=EmbeddedValkey(aof=True, appendfsync=appendfsync),
        log_level=log_level,
    )
