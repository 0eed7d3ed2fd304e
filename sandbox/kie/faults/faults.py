"""Faults on demand, by probability or for the next n calls, which can be switched at run time.

The JSON form has one key for each fault. The value is a probability (``0.05``), or an object with any of
``probability``, ``next`` (the next n calls, for certain), ``seconds`` and ``variant``; ``null`` and ``0``
switch the fault off. Faults that take seconds also accept a bare number of them, for every call. For the
other faults ``seconds`` is the time for which the fault stays on: ``{"create_455": {"seconds": 3}}`` is
maintenance for three seconds.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from sandbox.kie.faults.failures import FAILURES

__all__ = [
    "CALLBACK_FATES",
    "CREATE_REFUSED",
    "FATES",
    "TIMED",
    "Fault",
    "Faults",
    "InvalidFault",
    "Rule",
    "load",
]


class InvalidFault(ValueError):
    """A fault's name or value is wrong; the message names it."""


class Fault(StrEnum):
    """The faults, each with the call that it affects as its prefix.

    The prefixes are ``create_``, ``record_``, ``callback_`` and ``file_``. Names without a prefix affect the
    createTask call or, from ``task_fail`` on, the task's own fate.
    """

    # createTask refused, in the envelope (contract 1.4)
    CREATE_401 = "create_401"
    CREATE_402 = "create_402"
    CREATE_429 = "create_429"
    CREATE_433 = "create_433"
    CREATE_455 = "create_455"
    CREATE_500 = "create_500"
    CREATE_500_INPUT = "create_500_input"
    CREATE_500_CREDITS = "create_500_credits"
    CREATE_500_PAUSED = "create_500_paused"
    CREATE_505 = "create_505"
    UNKNOWN_CODE = "unknown_code"
    # createTask without a clear answer; before: no task exists; after: a task exists and is billed (contract
    # 1.6)
    DROP_BEFORE_ACCEPT = "drop_before_accept"
    HTML_BEFORE = "html_before"
    ACCEPT_THEN_DROP = "accept_then_drop"
    SLOW_ANSWER = "slow_answer"
    HTML_AFTER = "html_after"
    CREATE_500_AFTER = "create_500_after"
    NO_TASK_ID = "no_task_id"
    TRUNCATED_JSON = "truncated_json"
    RESET_MID_BODY = "reset_mid_body"
    # the task's fate, drawn when it is created (contract 2)
    TASK_FAIL = "task_fail"
    STUCK = "stuck"
    UNKNOWN_STATE = "unknown_state"
    RESULT_NULL = "result_null"
    RESULT_OBJECT = "result_object"
    RESULT_INVALID = "result_invalid"
    NO_URLS = "no_urls"
    FEWER_URLS = "fewer_urls"
    EMPTY_URL = "empty_url"
    CREDITS_MISSING = "credits_missing"
    RECORD_NULL_SECONDS = "record_null_seconds"
    # recordInfo
    RECORD_500 = "record_500"
    RECORD_HTML = "record_html"
    RECORD_DROP = "record_drop"
    # the callback (contract 3)
    CALLBACK_LOST = "callback_lost"
    CALLBACK_DUPLICATE = "callback_duplicate"
    CALLBACK_LATE = "callback_late"
    CALLBACK_EARLY = "callback_early"
    CALLBACK_BEFORE_TERMINAL = "callback_before_terminal"
    CALLBACK_BAD_SIGNATURE = "callback_bad_signature"
    CALLBACK_UNSIGNED = "callback_unsigned"
    CALLBACK_TASK_ID = "callback_task_id"
    CALLBACK_TAMPERED = "callback_tampered"
    # result files (contract 4)
    FILE_404 = "file_404"
    FILE_HTML = "file_html"
    FILE_TRUNCATED = "file_truncated"


_NAMES: Final = tuple(Fault)

CREATE_REFUSED: Final = _NAMES[_NAMES.index(Fault.CREATE_401) : _NAMES.index(Fault.DROP_BEFORE_ACCEPT)]
"""Faults with which createTask answers with an error and creates nothing."""
FATES: Final = _NAMES[_NAMES.index(Fault.TASK_FAIL) : _NAMES.index(Fault.RECORD_500)]
"""Faults that are drawn once for each task, when it is created."""
CALLBACK_FATES: Final = _NAMES[_NAMES.index(Fault.CALLBACK_LOST) : _NAMES.index(Fault.FILE_404)]
"""Faults that are drawn in the same way, but only for tasks with a callback."""
TIMED: Final = frozenset({Fault.SLOW_ANSWER, Fault.RECORD_NULL_SECONDS, Fault.CALLBACK_LATE})
"""The faults that take seconds: real seconds, which ``speed`` does not divide."""


@dataclass(frozen=True)
class Rule:
    """The condition under which a fault strikes, and its parameters."""

    probability: float = 0.0
    next: int = 0
    """The number of next calls that the fault strikes for certain."""
    seconds: float = 0.0
    """For faults in :data:`TIMED`, their delay; for the others, the time until they end, 0 for never."""
    variant: str = ""
    """For ``task_fail``: a key of :data:`sandbox.kie.faults.failures.FAILURES`."""


class Faults:
    """The active faults. ``clock`` gives seconds, for faults that end by themselves."""

    def __init__(
        self, rules: Mapping[str, Any] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._rules: dict[Fault, Rule] = {}
        self._ends: dict[Fault, float] = {}
        self._clock = clock
        self.update(rules or {})

    def update(self, changes: Mapping[str, Any]) -> None:
        """Change the named faults and leave the others as they are.

        Raises :class:`InvalidFault`, which names the fault, and then changes nothing.
        """
        for fault, rule in [(_named(name), _rule(name, value)) for name, value in changes.items()]:
            self._ends.pop(fault, None)
            if rule.probability or rule.next:
                self._rules[fault] = rule
                if rule.seconds and fault not in TIMED:
                    self._ends[fault] = self._clock() + rule.seconds
            else:
                self._rules.pop(fault, None)

    def strikes(self, fault: Fault, rng: random.Random) -> Rule | None:
        """The rule if the fault strikes this call, else None."""
        self._drop_ended()
        rule = self._rules.get(fault)
        if rule is None:
            return None
        if rule.next:
            if rule.next == 1 and not rule.probability:
                del self._rules[fault]
            else:
                self._rules[fault] = replace(rule, next=rule.next - 1)
            return rule
        return rule if rng.random() < rule.probability else None

    def draw(self, faults: tuple[Fault, ...], rng: random.Random) -> dict[Fault, Rule]:
        """The members of ``faults`` that strike, with their rules."""
        if self._rules.keys().isdisjoint(faults):
            return {}
        drawn = {fault: self.strikes(fault, rng) for fault in faults}
        return {fault: rule for fault, rule in drawn.items() if rule}

    def first(self, faults: tuple[Fault, ...], rng: random.Random) -> Fault | None:
        """The first of ``faults`` that strikes this call."""
        if self._rules.keys().isdisjoint(faults):
            return None
        return next((fault for fault in faults if self.strikes(fault, rng)), None)

    def to_json(self) -> dict[str, dict[str, Any]]:
        """The active faults in the form that :meth:`update` accepts, with the ``seconds`` that are left."""
        self._drop_ended()
        now = self._clock()
        left = {fault: {"seconds": end - now} for fault, end in self._ends.items()}
        return {fault.value: asdict(rule) | left.get(fault, {}) for fault, rule in self._rules.items()}

    def _drop_ended(self) -> None:
        if not self._ends:
            return
        now = self._clock()
        for fault in [fault for fault, end in self._ends.items() if now >= end]:
            del self._ends[fault]
            self._rules.pop(fault, None)


def load(text: str) -> dict[str, Any]:
    """Faults from JSON or from the file of that name. Raises :class:`InvalidFault` for anything else."""
    if not text.strip():
        return {}
    source = text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8")
    rules = json.loads(source)
    if not isinstance(rules, dict):
        raise InvalidFault("faults: a JSON object is wanted, one key a fault")
    return rules


def _named(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError:
        raise InvalidFault(f"{name}: no such fault. There are: {', '.join(Fault)}") from None


def _rule(name: str, value: Any) -> Rule:
    timed = name in TIMED
    if value is None:
        return Rule()
    if isinstance(value, (int, float)):
        rule = Rule(probability=1.0, seconds=float(value)) if timed and value else Rule(probability=value)
    elif isinstance(value, Mapping):
        try:
            rule = Rule(**value)
        except TypeError:
            raise InvalidFault(f"{name}: probability, next, seconds and variant are the keys") from None
        if "probability" not in value and "next" not in value:
            rule = replace(rule, probability=1.0)
    else:
        raise InvalidFault(f"{name}: a number, an object or null is wanted, not {value!r}")
    if not 0 <= rule.probability <= 1:
        raise InvalidFault(f'{name}: a probability is from 0 to 1; the next n calls are {{"next": n}}')
    if rule.variant and rule.variant not in FAILURES:
        raise InvalidFault(f"{name}: no such variant. There are: {', '.join(FAILURES)}")
    if rule.next < 0 or rule.seconds < 0:
        raise InvalidFault(f"{name}: next and seconds must not be negative")
    return rule
