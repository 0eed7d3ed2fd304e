"""The record of another task than the one that was asked for (contract 10)."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import Rule
from sandbox.kie.options import CostTime
from sandbox.kie.tasks.ledger import KieTask, State
from sandbox.kie.tasks.records import record

__all__ = ["other_record"]


def other_record(
    asked: KieTask, newest_first: Iterable[KieTask], now_ms: float, base_url: str, unit: CostTime, end: str
) -> dict[str, Any]:
    """The record of the newest other task with that end, or of an invented one if there is none."""
    wanted = State(end)
    others = (task for task in newest_first if task.id != asked.id and task.state(now_ms) is wanted)
    return record(next(others, None) or _invented(asked, wanted, now_ms), now_ms, base_url, unit)


def _invented(asked: KieTask, end: State, now_ms: float) -> KieTask:
    return replace(
        asked,
        id=hashlib.sha256(asked.id.encode()).hexdigest()[: len(asked.id)],
        input={**asked.input, "prompt": "somebody else's picture"},
        callback_url=None,
        finish_ms=now_ms,
        fate={Fault.TASK_FAIL: Rule(probability=1.0)} if end is State.FAIL else {},
    )
