"""Callback bodies of the size that long prompts lead to (contract 10)."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = ["BODY_BYTES", "big_param"]

BODY_BYTES: Mapping[str, int] = MappingProxyType(
    {"natural": 0, "85KB": 85_000, "600KB": 600_000, "2MB": 2_000_000}
)
"""By variant of the fault ``callback_big``, the least size of the body."""
_FILLER: Final = "字"


def big_param(param: Mapping[str, Any], least: int) -> str:
    r"""The ``param`` of a callback in three layers of JSON, each with ``\uXXXX`` escapes.

    With the body around it, one character of Chinese takes nine bytes. The input gets a ``negative_prompt``
    that is as long as it has to be for ``least`` bytes.
    """
    given = dict(param["input"])
    bytes_each = len(json.dumps(_layers(param, {"prompt": _FILLER}))) - len(
        json.dumps(_layers(param, {"prompt": ""}))
    )
    missing = least - len(json.dumps(_layers(param, given)))
    if missing > 0:
        given["negative_prompt"] = given.get("negative_prompt", "") + _FILLER * -(-missing // bytes_each)
    return _layers(param, given)


def _layers(param: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    return json.dumps({**param, "input": json.dumps(given)})
