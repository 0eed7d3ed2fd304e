"""Answers of the balance that tell nothing, or something wrong (contract 4)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sandbox.kie.faults.wire import INFINITE

__all__ = ["BALANCES"]

BALANCES: Mapping[str, tuple[str, Any]] = MappingProxyType(
    {
        "null": ("data", None),
        "object": ("data", {"balance": 1000.5}),
        "list": ("data", [1000.5]),
        "text": ("data", "1,000.50"),
        "number_text": ("data", "1000.5"),
        "words": ("data", "unlimited"),
        "stale": ("data", 0),
        "negative": ("data", -5),
        "infinite": ("data", INFINITE),
        "401": ("code", 401),
        "429": ("code", 429),
        "500": ("code", 500),
        "404": ("page", "404"),
        "html": ("page", "502"),
        "403": ("page", "403"),
        "301": ("page", "301"),
        "drop": ("drop", None),
        "hang": ("hang", None),
    }
)
"""By variant of the fault ``balance_odd``: the kind of the answer, and its data, its code or its page."""
