"""Odd places for the task's id in a callback's body (contract 3.1, 10)."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

__all__ = ["CALLBACK_IDS"]

Body = dict[str, Any]


def _without(body: Body, **beside: Any) -> Body:
    """The body with other fields in place of ``data.taskId``."""
    data = {name: value for name, value in body["data"].items() if name != "taskId"}
    return {**body, "data": {**beside, **data}}


CALLBACK_IDS: Mapping[str, Callable[[Body], Body]] = MappingProxyType(
    {
        "task_id": lambda body: _without(body, task_id=body["data"]["taskId"]),
        "record_id": lambda body: _without(body, recordId=body["data"]["taskId"]),
        "top_level": lambda body: {"taskId": body["data"]["taskId"], **_without(body)},
        "data_string": lambda body: {**body, "data": json.dumps(body["data"])},
        "data_list": lambda body: {**body, "data": [body["data"]]},
        "bare": lambda body: dict(body["data"]),
        "missing": _without,
    }
)
"""By variant of the fault ``callback_task_id``, the body made of the usual one."""
