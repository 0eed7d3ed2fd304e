"""The wire forms of a task: the recordInfo answer and the callback's body (contract 2.1, 3.1)."""

import json
from typing import Any

from sandbox.kie.faults.failures import DEFAULT_FAILURE, FAILURES
from sandbox.kie.faults.faults import Fault
from sandbox.kie.options import CostTime
from sandbox.kie.tasks.ledger import KieTask, State

__all__ = ["callback", "record", "result_urls"]

UNKNOWN_STATE = "postprocessing"


def result_urls(task: KieTask, base_url: str) -> list[str]:
    """The URLs of a finished task's images; an empty string for a withheld one (contract 2.2)."""
    urls = [f"{base_url}/files/{task.id}_{index}.png" for index in range(task.images)]
    if Fault.NO_URLS in task.fate:
        return []
    if Fault.FEWER_URLS in task.fate:
        urls = urls[: max(1, len(urls) - 1)]
    if Fault.EMPTY_URL in task.fate:
        urls[-1] = ""
    return urls


def record(task: KieTask, now_ms: float, base_url: str, unit: CostTime) -> dict[str, Any]:
    """The ``data`` of a recordInfo answer."""
    state = task.state(now_ms)
    data: dict[str, Any] = {
        "taskId": task.id,
        "model": task.model,
        "state": state.value,
        "param": _param(task, input_again_encoded=True),
        "resultJson": "",
        "failCode": None,
        "failMsg": None,
        "costTime": None,
        "completeTime": None,
        "createTime": task.created_ms,
    }
    if state is State.SUCCESS:
        data.update(_success(task, base_url, unit))
    elif state is State.FAIL:
        data.update(_failure(task))
    elif Fault.UNKNOWN_STATE in task.fate:
        data["state"] = UNKNOWN_STATE
    return data


def callback(task: KieTask, base_url: str, unit: CostTime) -> dict[str, Any]:
    """The body of the finished task's callback, at any time."""
    failed = Fault.TASK_FAIL in task.fate
    data: dict[str, Any] = {
        "taskId": task.id,
        "model": task.model,
        "state": (State.FAIL if failed else State.SUCCESS).value,
        "param": _param(task, input_again_encoded=False),
        "createTime": task.created_ms,
    }
    if failed:
        data.update(_failure(task))
        return {"code": 501, "msg": "Playground task failed.", "data": data}
    data.update(_success(task, base_url, unit))
    return {"code": 200, "msg": "Playground task completed successfully.", "data": data}


def _param(task: KieTask, *, input_again_encoded: bool) -> str:
    # Observed in recordInfo: a JSON string whose input is a JSON string again; callbacks encode it once.
    given = json.dumps(task.input, ensure_ascii=False) if input_again_encoded else task.input
    param = {"input": given, "callBackUrl": task.callback_url, "model": task.model}
    return json.dumps(param, ensure_ascii=False)


def _ended(task: KieTask) -> dict[str, Any]:
    return {"completeTime": int(task.finish_ms), "updateTime": int(task.finish_ms)}


def _success(task: KieTask, base_url: str, unit: CostTime) -> dict[str, Any]:
    span_ms = int(task.finish_ms) - task.created_ms
    data = {
        **_ended(task),
        "resultJson": _result_json(task, base_url),
        "failCode": None,
        "failMsg": None,
        "costTime": span_ms // 1000 if unit is CostTime.SECONDS else span_ms,
    }
    if Fault.CREDITS_MISSING not in task.fate:
        data["creditsConsumed"] = task.credits
    return data


def _failure(task: KieTask) -> dict[str, Any]:
    code, text = FAILURES[task.fate[Fault.TASK_FAIL].variant or DEFAULT_FAILURE]
    return {**_ended(task), "failCode": code, "failMsg": text}


def _result_json(task: KieTask, base_url: str) -> Any:
    result = {"resultUrls": result_urls(task, base_url)}
    if Fault.RESULT_NULL in task.fate:
        return None
    if Fault.RESULT_OBJECT in task.fate:
        return result
    text = json.dumps(result)
    return text[: len(text) // 2] if Fault.RESULT_INVALID in task.fate else text
