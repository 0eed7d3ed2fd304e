"""Reads pauses of accounts from their Redis hashes."""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from limner.ledger.layout.constants import FOR_EVER
from limner.ledger.messages import Milliseconds, moment
from limner.pauses import BY_HAND, EndsBy, Pause

_PARTS: Final = {"http_status": "HTTP", "code": "code"}


def pause_of(fields: Mapping[str, str], now: Milliseconds) -> Pause | None:
    """The pause in a hash; None for an empty hash."""
    if "cause" not in fields:
        return None
    until = float(fields["until"])
    ends_by = _ends_by(fields, until)
    probing = float(fields.get("probe_until", 0)) > now
    return Pause(
        cause=fields["cause"],
        since=moment(int(fields["since"])),
        until=None if ends_by is EndsBy.PERSON else moment(int(until)),
        ends_by=ends_by,
        message=json.loads(fields.get("error") or "{}").get("message") or "",
        answers=tuple(_answers(fields.get("answers"))),
        probe=fields.get("probe") if probing else None,
    )


def _answers(stored: str | None) -> Iterator[str]:
    """The last answers, each in a few words."""
    for answer in json.loads(stored or "[]"):
        error = answer.get("error") or answer
        parts = [f"{name} {error[key]}" for key, name in _PARTS.items() if error.get(key) is not None]
        yield ", ".join([*parts, error.get("message") or "no message"])


def _ends_by(fields: Mapping[str, str], until: float) -> EndsBy:
    if fields["cause"] == BY_HAND:
        return EndsBy.PERSON if until >= FOR_EVER else EndsBy.TIME
    if "cleared" in fields:
        return EndsBy.PROBE
    return EndsBy.KEY if "key" in fields else EndsBy.CREDITS if "needs" in fields else EndsBy.PROBE
