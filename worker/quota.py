"""What the account allows, as the clock claims it."""

from config import Settings
from limner.ledger import Budget


def budget(settings: Settings) -> Budget:
    """The fleet's budget: an exact window of attempts, a window of reads and a cap on tasks in flight."""
    return Budget(
        creates=settings.rate_requests,
        creates_span=settings.rate_seconds + settings.rate_guard_seconds,
        looks=settings.reads_per_second,
        looks_span=1.0,
        max_in_flight=settings.max_in_flight,
    )
