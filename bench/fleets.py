"""The fleets that are measured: roomy limits, so that only the work itself is seen."""

from sandbox.fleet import LocalFleet
from sandbox.server import SandboxProvider
from sandbox.valkey import EmbeddedValkey

ROOMY = {
    "LIMNER_RATE_REQUESTS": "100000",
    "LIMNER_READS_PER_SECOND": "100000",
    "LIMNER_MAX_IN_FLIGHT": "200",
}


def provider(duration: float) -> SandboxProvider:
    """A stand-in without limits, whose tasks take that many seconds."""
    return SandboxProvider(duration=duration, creates=0, reads=0)


def fleet(duration: float, *, workers: int = 1, **settings: str) -> LocalFleet:
    """A fleet at Celery's default log level, on a Valkey with an append-only file."""
    return LocalFleet(
        workers=workers,
        settings={**ROOMY, **settings},
        provider=provider(duration),
        valkey=EmbeddedValkey(aof=True),
        log_level="WARNING",
    )
