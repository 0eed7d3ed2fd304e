"""The record of every task ever created and of every answer: the independent witness of a test."""

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.rules import Rule
from sandbox.kie.limits.holders import MAIN
from sandbox.kie.limits.peaks import Peak

__all__ = ["CallEnd", "KieLedger", "KieTask", "State", "digest"]

WAITING_SHARE: Final = 0.15
"""The share of a task's duration in the state ``waiting``."""


class State(StrEnum):
    """The states of a task on the wire (contract 2.1)."""

    WAITING = "waiting"
    GENERATING = "generating"
    SUCCESS = "success"
    FAIL = "fail"


class CallEnd(StrEnum):
    """The end of the createTask call that created a task."""

    PENDING = "pending"
    ANSWERED = "answered"
    CLIENT_GONE = "client_gone"
    DROPPED = "dropped"
    RESET_MID_BODY = "reset_mid_body"
    HTML = "html"
    ERROR_500 = "error_500"
    NO_TASK_ID = "no_task_id"
    TRUNCATED = "truncated"
    ODD_ENVELOPE = "odd_envelope"


@dataclass(slots=True)
class KieTask:
    """A task that exists. Times are epoch milliseconds."""

    id: str
    model: str
    input: dict[str, Any]
    callback_url: str | None
    images: int
    credits: float
    """The price: held at creation, taken on success, returned on failure (contract 2.3)."""
    digest: str
    """The digest of the model and the input: equal requests have equal digests."""
    created_ms: int
    finish_ms: float
    """The end of the task; infinite for a stuck one."""
    fate: Mapping[Fault, Rule]
    account: str = MAIN
    """The account whose key created the task. No other account sees it (contract 2.4)."""
    ended: CallEnd = CallEnd.PENDING
    reads: int = 0
    """The number of recordInfo calls for the task."""
    seen_ms: int | None = None
    """The time of the first recordInfo answer that showed the task's end."""
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    """Each attempt at a callback: ``at_ms``, ``status`` (0: no answer), and ``invented`` for a made-up id."""

    def state(self, now_ms: float) -> State:
        if now_ms >= self.finish_ms:
            return State.FAIL if Fault.TASK_FAIL in self.fate else State.SUCCESS
        waiting = WAITING_SHARE * (self.finish_ms - self.created_ms)
        return State.WAITING if now_ms < self.created_ms + waiting else State.GENERATING

    def billed(self, now_ms: float) -> float:
        """The credits held or charged for the task."""
        return 0.0 if self.state(now_ms) is State.FAIL else self.credits

    def to_json(self, now_ms: float) -> dict[str, Any]:
        return {
            "task_id": self.id,
            "account": self.account,
            "created_ms": self.created_ms,
            "finish_ms": None if math.isinf(self.finish_ms) else int(self.finish_ms),
            "state": self.state(now_ms),
            "model": self.model,
            "input": self.input,
            "callback_url": self.callback_url,
            "digest": self.digest,
            "images": self.images,
            "credits": self.credits,
            "billed": self.billed(now_ms),
            "call_ended": self.ended,
            "faults": list(self.fate),
            "reads": self.reads,
            "seen_ms": self.seen_ms,
            "callbacks": self.deliveries,
        }


class KieLedger:
    """The tasks by id, in the order of their creation, and the counters."""

    def __init__(self, window_seconds: float) -> None:
        self.tasks: dict[str, KieTask] = {}
        self._calls: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._bought: Counter[str] = Counter()
        self._window_ms = window_seconds * 1000
        # The limit applies to each account, so tasks of other accounts do not count.
        self._peaks: defaultdict[str, Peak] = defaultdict(lambda: Peak(self._window_ms))

    def add(self, task: KieTask) -> None:
        self.tasks[task.id] = task
        self._bought[task.digest] += 1
        self._peaks[task.account].add(task.created_ms)

    def count(self, endpoint: str, outcome: str) -> None:
        """Count a call under the code of its answer, or the kind of its absence."""
        self._calls[endpoint][outcome] += 1

    def rows(self, now_ms: float, *, prompt: str | None = None) -> list[dict[str, Any]]:
        """Every task as JSON, or those with exactly that prompt."""
        wanted = (task for task in self.tasks.values() if prompt in (None, task.input.get("prompt")))
        return [task.to_json(now_ms) for task in wanted]

    def summary(self, now_ms: float) -> dict[str, Any]:
        """The figures of all tasks, in time linear in the number of tasks.

        ``most_creates_in_window`` is the highest of all accounts.
        """
        tasks = self.tasks.values()
        return {
            "created": len(self.tasks),
            "distinct_inputs": len(self._bought),
            "bought_more_than_once": sum(1 for times in self._bought.values() if times > 1),
            "states": Counter(task.state(now_ms) for task in tasks),
            "billed": sum(task.billed(now_ms) for task in tasks),
            "call_ended": Counter(task.ended for task in tasks),
            "reads": sum(task.reads for task in tasks),
            "callbacks": sum(len(task.deliveries) for task in tasks),
            "most_creates_in_window": max((peak.most for peak in self._peaks.values()), default=0),
            "calls": self._calls,
        }

    def by_account(self, now_ms: float) -> dict[str, dict[str, Any]]:
        """The figures of each account that has created a task, in time linear in the number of tasks."""
        created: Counter[str] = Counter()
        billed: defaultdict[str, float] = defaultdict(float)
        for task in self.tasks.values():
            created[task.account] += 1
            billed[task.account] += task.billed(now_ms)
        return {
            name: {"created": created[name], "billed": billed[name], "most_creates_in_window": peak.most}
            for name, peak in self._peaks.items()
        }


def digest(model: str, given: Any) -> str:
    """A short digest of a request, independent of the order of its keys."""
    canonical = json.dumps([model, given], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
