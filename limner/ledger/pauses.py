"""Reads pauses of accounts from their Redis hashes."""

import json
from collections.abc import Mapping

from limner.ledger.layout.constants import FOR_EVER
from limner.ledger.messages import Milliseconds, moment
from limner.pauses import BY_HAND, EndsBy, Pause


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
        until=None if ends_by in (EndsBy.PERSON, EndsBy.KEY) else moment(int(until)),
        ends_by=ends_by,
        message=json.loads(fields.get("error") or "{}").get("message") or "",
        probe=fields.get("probe") if probing else None,
    )


def _ends_by(fields: Mapping[str, str], until: float) -> EndsBy:
    if fields["cause"] == BY_HAND:
        return EndsBy.PERSON if until >= FOR_EVER else EndsBy.TIME
    if "cleared" not in fields and "key" in fields:
        return EndsBy.KEY
    return EndsBy.CREDITS if "cleared" not in fields and "needs" in fields else EndsBy.PROBE
