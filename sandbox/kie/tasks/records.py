"""The wire forms of a task: the recordInfo answer and the callback's body (contract 2.1, 3.1)."""

import json
from collections.abc import Mapping
from typing import Any

from sandbox.kie.faults.bodies import BODY_BYTES, big_param
from sandbox.kie.faults.failures import FAILURES
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.record_values import COMPLETE_TIMES, CREDITS, with_flag_only
from sandbox.kie.faults.state_words import STATE_WORDS
from sandbox.kie.faults.url_shapes import LATE, URL_SHAPES
from sandbox.kie.faults.variants import variant_of
from sandbox.kie.options import CostTime
from sandbox.kie.tasks.ledger import KieTask, State
from sandbox.kie.tasks.result_files import file_path

__all__ = ["callback", "record", "result_urls"]

UNKNOWN_STATE = "postprocessing"


def result_urls(task: KieTask, base_url: str) -> list[str]:
    """The URLs of a finished task's images; an empty string for a withheld one (contract 2.2)."""
    urls = [base_url + file_path(task.id, index) for index in range(task.images)]
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
    late = _late(task, now_ms)
    if state is State.SUCCESS:
        data.update(_success(task, base_url, unit, late))
    elif state is State.FAIL:
        data.update(_failure(task))
    elif Fault.UNKNOWN_STATE in task.fate:
        data["state"] = UNKNOWN_STATE
    if (flag := _variant(task, Fault.FLAG_ONLY)) is None:
        return {**data, **_state_word(task, state)}
    urls = result_urls(task, base_url) if state is State.SUCCESS and late is None else []
    return with_flag_only(data, flag, urls)


def callback(task: KieTask, base_url: str, unit: CostTime) -> dict[str, Any]:
    """The body of the finished task's callback, at any time."""
    failed = Fault.TASK_FAIL in task.fate
    state = State.FAIL if failed else State.SUCCESS
    data: dict[str, Any] = {
        "taskId": task.id,
        "model": task.model,
        "state": state.value,
        **_state_word(task, state),
        "param": _param(task, input_again_encoded=False),
        "createTime": task.created_ms,
    }
    if failed:
        data.update(_failure(task))
        return {"code": 501, "msg": "Playground task failed.", "data": data}
    data.update(_success(task, base_url, unit, _late(task, task.finish_ms)))
    return {"code": 200, "msg": "Playground task completed successfully.", "data": data}


def _variant(task: KieTask, fault: Fault) -> str | None:
    """The variant of a fault of the task's fate, or None if it is none of them."""
    rule = task.fate.get(fault)
    return None if rule is None else variant_of(fault, rule.variant)


def _param(task: KieTask, *, input_again_encoded: bool) -> str:
    param = {"input": task.input, "callBackUrl": task.callback_url, "model": task.model}
    if not input_again_encoded and (size := _variant(task, Fault.CALLBACK_BIG)):
        return big_param(param, BODY_BYTES[size])
    # Observed in recordInfo: a JSON string whose input is a JSON string again; callbacks encode it once.
    if input_again_encoded:
        param["input"] = json.dumps(task.input, ensure_ascii=False)
    return json.dumps(param, ensure_ascii=False)


def _state_word(task: KieTask, state: State) -> dict[str, str]:
    word = _variant(task, Fault.STATE_WORDS)
    ends = {State.SUCCESS: True, State.FAIL: False}
    return {"state": word} if word and ends.get(state) is STATE_WORDS[word] else {}


def _late(task: KieTask, now_ms: float) -> Mapping[str, Any] | None:
    """The result as long as its URLs are not there yet, else None."""
    rule = task.fate.get(Fault.URLS_LATE)
    if rule is None or now_ms >= task.finish_ms + rule.seconds * 1000:
        return None
    return LATE[variant_of(Fault.URLS_LATE, rule.variant)]


def _ended(task: KieTask) -> dict[str, Any]:
    ended = int(task.finish_ms)
    times = {"completeTime": ended, "updateTime": ended}
    variant = _variant(task, Fault.COMPLETE_TIME)
    return times | COMPLETE_TIMES[variant](task.created_ms, ended) if variant else times


def _success(task: KieTask, base_url: str, unit: CostTime, late: Mapping[str, Any] | None) -> dict[str, Any]:
    span_ms = int(task.finish_ms) - task.created_ms
    data = {
        **_ended(task),
        **(_result(task, base_url) if late is None else late),
        "failCode": None,
        "failMsg": None,
        "costTime": span_ms // 1000 if unit is CostTime.SECONDS else span_ms,
    }
    if Fault.CREDITS_MISSING not in task.fate:
        odd = _variant(task, Fault.CREDITS_ODD)
        data["creditsConsumed"] = CREDITS[odd] if odd else task.credits
    return data


def _failure(task: KieTask) -> dict[str, Any]:
    code, text = FAILURES[_variant(task, Fault.TASK_FAIL) or ""]
    return {**_ended(task), "failCode": code, "failMsg": text}


def _result(task: KieTask, base_url: str) -> dict[str, Any]:
    urls = result_urls(task, base_url)
    if shape := _variant(task, Fault.URL_SHAPE):
        return URL_SHAPES[shape](urls)
    result = {"resultUrls": urls}
    if Fault.RESULT_NULL in task.fate:
        return {"resultJson": None}
    if Fault.RESULT_OBJECT in task.fate:
        return {"resultJson": result}
    text = json.dumps(result)
    return {"resultJson": text[: len(text) // 2] if Fault.RESULT_INVALID in task.fate else text}
