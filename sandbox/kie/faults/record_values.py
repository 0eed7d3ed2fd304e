"""Values of a record that cannot be right (contract 10)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from sandbox.kie.faults.wire import INFINITE

__all__ = ["COMPLETE_TIMES", "CREDITS", "FLAG_ONLY", "OTHER_TASK", "with_flag_only"]

_ZONE_MS: Final = 8 * 3_600_000
FLAG_ONLY: Final = ("response", "bare", "no_state")
"""The variants of the fault ``flag_only``: see :func:`with_flag_only`."""
OTHER_TASK: Final = ("success", "fail")
"""The variants of the fault ``record_other_task``: the end of the task whose record is shown."""
_FLAGS: Final = {"success": 1, "fail": 3}


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


COMPLETE_TIMES: Mapping[str, Callable[[int, int], dict[str, Any]]] = MappingProxyType(
    {
        "ahead": lambda _created, ended: {"completeTime": ended + _ZONE_MS},
        "behind": lambda _created, ended: {"completeTime": ended - _ZONE_MS},
        "both_ahead": lambda created, ended: {
            "createTime": created + _ZONE_MS,
            "completeTime": ended + _ZONE_MS,
        },
        "seconds": lambda _created, ended: {"completeTime": ended // 1000},
        "before_create": lambda created, _ended: {"completeTime": created - 1000},
        "zero": lambda _created, _ended: {"completeTime": 0},
        "negative": lambda _created, ended: {"completeTime": -ended},
        "infinite": lambda _created, _ended: {"completeTime": INFINITE},
        "text": lambda _created, ended: {"completeTime": _iso(ended)},
        "null": lambda _created, _ended: {"completeTime": None},
    }
)
"""By variant of the fault ``complete_time``, the wrong times, given the true ones in epoch milliseconds."""

CREDITS: Mapping[str, Any] = MappingProxyType(
    {
        "trillions": 5_000_000_000_000,
        "negative": -7,
        "infinite": INFINITE,
        "text": "seven",
        "number_text": "7.0",
        "object": {"amount": 7},
    }
)
"""By variant of the fault ``credits_odd``, the value of ``creditsConsumed``."""


def with_flag_only(data: dict[str, Any], variant: str, urls: list[str]) -> dict[str, Any]:
    """The record with ``successFlag`` (0 pending, 1 success, 3 fail) in place of the state.

    ``no_state`` keeps the other fields, ``bare`` none, and ``response`` only the URLs and the failure.
    """
    flag = {"taskId": data["taskId"], "successFlag": _FLAGS.get(data["state"], 0)}
    if variant == "no_state":
        return {**{name: value for name, value in data.items() if name != "state"}, **flag}
    if variant == "response" and flag["successFlag"]:
        kept = ("completeTime", "failCode", "failMsg")
        return {**flag, **{name: data[name] for name in kept}, "response": {"resultUrls": urls}}
    return flag
