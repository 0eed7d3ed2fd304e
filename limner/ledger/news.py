"""The log lines about accounts that a transition has closed or opened."""

import json
import logging
from typing import Any, Final

logger = logging.getLogger(__name__)

_WAY: Final = frozenset({"unreachable", "gateway", "faulty"})


def report(news: str) -> None:
    """Log that an account was closed or opened. ``news`` is the event's text; an empty one is no news.

    Each is one line of the fleet at ERROR. Trouble on the way to the provider meets all accounts at once, so
    only the first one that closes and the last one that opens are logged at that level.
    """
    if not news:
        return
    event = json.loads(news)
    others = event.get("others") or 0
    level = logging.INFO if others and event["cause"] in _WAY else logging.ERROR
    logger.log(level, *(_closed(event, others) if event["event"] == "paused" else _opened(event, others)))


def _closed(event: Any, others: int) -> tuple[Any, ...]:
    error = event.get("error") or {}
    said = ", ".join(
        f"{name} {error[name]}" for name in ("http_status", "code") if error.get(name) is not None
    )
    return (
        "account %s is closed: %s (%s: %s); its jobs wait, and one request is tried in %.0f s%s",
        event["account"],
        event["cause"],
        said or "no answer",
        error.get("message") or "no message",
        event["seconds"],
        f"; {others} other accounts are closed as well" if others else "",
    )


def _opened(event: Any, others: int) -> tuple[Any, ...]:
    return (
        "account %s is open again after %.0f s (%s)%s",
        event["account"],
        event["seconds"],
        event["cause"],
        f"; {others} other accounts are still closed" if others else "",
    )
