"""Answers of createTask that name an accepted task in another place than ``data.taskId`` (contract 10)."""

import codecs
import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

__all__ = ["ODD_ENVELOPES"]

HUGE_BYTES: Final = 4_000_000
"""More than anybody reads of an answer that is some hundred bytes long."""

Odd = Callable[[str], tuple[int, bytes]]


def _of(data: Any, *, status: int = 200, code: Any = 200, **beside: Any) -> tuple[int, bytes]:
    return status, json.dumps({"code": code, "msg": "success"} | beside | {"data": data}).encode()


def _cut_behind_the_id(task_id: str) -> tuple[int, bytes]:
    status, whole = _of({"taskId": task_id, "recordId": task_id})
    return status, whole[: whole.index(task_id.encode()) + len(task_id) + 1]


ODD_ENVELOPES: Mapping[str, Odd] = MappingProxyType(
    {
        "http_502_good_body": lambda task_id: _of({"taskId": task_id}, status=502),
        "code_0": lambda task_id: _of({"taskId": task_id}, code=0),
        "code_201": lambda task_id: _of({"taskId": task_id}, code=201),
        "code_text": lambda task_id: _of({"taskId": task_id}, code="200"),
        "code_null": lambda task_id: _of({"taskId": task_id}, code=None),
        "task_id": lambda task_id: _of({"task_id": task_id}),
        "top_level": lambda task_id: _of(None, taskId=task_id),
        "record_id_only": lambda task_id: _of({"recordId": task_id}),
        "data_string": _of,
        "data_list": lambda task_id: _of([{"taskId": task_id}]),
        "nested_string": lambda task_id: _of(json.dumps({"taskId": task_id})),
        "nested_data": lambda task_id: _of({"data": {"taskId": task_id}}),
        "id": lambda task_id: _of({"id": task_id}),
        "text": lambda task_id: _of(None, msg=f"Task {task_id} was created"),
        "utf16": lambda task_id: (200, _of({"taskId": task_id})[1].decode().encode("utf-16")),
        "bom": lambda task_id: (200, codecs.BOM_UTF8 + _of({"taskId": task_id})[1]),
        "huge": lambda task_id: _of({"taskId": task_id, "trace": "x" * HUGE_BYTES}),
        "truncated": _cut_behind_the_id,
    }
)
"""By variant of the fault ``odd_envelope``, the HTTP status and the body, given the task's id."""
