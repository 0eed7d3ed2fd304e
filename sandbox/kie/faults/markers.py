"""Markers: faults that a prompt asks for, so that users of one stand-in do not disturb each other.

A marker is ``[fault:NAME]``, ``[fault:NAME=VARIANT]``, ``[fault:NAME@SECONDS]`` or ``[fault:NAME*TIMES]``, or
any of the three parts in this order: ``[fault:html_before=525@25*3]``. A prompt can hold several. It meets
these faults, and none of those that are switched on for everybody.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from sandbox.kie.faults.faults import NOT_IN_PROMPTS, TIMED, Fault
from sandbox.kie.faults.rules import InvalidFault, Rule, checked, named
from sandbox.kie.faults.switches import Source

__all__ = ["Markers", "marked"]

_START: Final = "[fault:"
_MARKER: Final = re.compile(r"\[fault:([^\]]*)(\]?)")
_PARTS: Final = re.compile(
    r"(?P<name>\w+)(?:=(?P<variant>\w+))?(?:@(?P<seconds>\d+(?:\.\d+)?))?(?:\*(?P<times>\d+))?"
)


def marked(prompt: str) -> dict[Fault, Rule]:
    """The faults that the prompt's markers name. Raises :class:`InvalidFault`, which quotes the marker."""
    return dict(_rule(*found.groups()) for found in _MARKER.finditer(prompt))


def _rule(text: str, end: str) -> tuple[Fault, Rule]:
    parts = _PARTS.fullmatch(text)
    if parts is None or not end:
        raise InvalidFault(f"[fault:{text}{end}: a marker is [fault:NAME=VARIANT@SECONDS*TIMES]")
    fault = named(parts["name"])
    if fault in NOT_IN_PROMPTS:
        raise InvalidFault(f"{fault}: concerns no prompt")
    if fault in TIMED and not parts["seconds"]:
        raise InvalidFault(f"{fault}: takes seconds: [fault:{fault}@2]")
    times = parts["times"]
    given = Rule(
        probability=0.0 if times else 1.0,
        next=int(times or 0),
        seconds=float(parts["seconds"] or 0.0),
        variant=parts["variant"] or "",
    )
    return fault, checked(fault, given)


class _OfPrompt(Source):
    """The faults of one prompt's markers."""

    def __init__(self, markers: "Markers", prompt: str, rules: Mapping[Fault, Rule]) -> None:
        self._markers = markers
        self._prompt = prompt
        self._rules = rules

    def strikes(self, fault: Fault, rng: random.Random) -> Rule | None:  # noqa: ARG002 - a marker is certain
        rule = self._rules.get(fault)
        return rule if rule and self._markers.apply(self._prompt, fault, rule) else None

    def has_any(self, faults: Iterable[Fault]) -> bool:
        return not self._rules.keys().isdisjoint(faults)


class Markers:
    """The faults of prompts, with a count of the uses of each marker by the prompt's exact text."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: Counter[tuple[str, Fault]] = Counter()
        self._began: dict[str, float] = {}

    def source(self, prompt: Any, otherwise: Source) -> Source:
        """The faults that a call about this prompt can meet: ``otherwise`` if the prompt has no markers.

        Raises :class:`InvalidFault` for a marker that is not understood.
        """
        if not isinstance(prompt, str) or _START not in prompt:
            return otherwise
        rules = marked(prompt)
        self._began.setdefault(prompt, self._clock())
        return _OfPrompt(self, prompt, rules)

    def apply(self, prompt: str, fault: Fault, rule: Rule) -> bool:
        """True, and counted, if the marker still applies: see ``TIMES`` and ``SECONDS``."""
        if rule.seconds and fault not in TIMED and self._clock() >= self._began[prompt] + rule.seconds:
            return False
        if rule.next and self._uses[prompt, fault] >= rule.next:
            return False
        self._uses[prompt, fault] += 1
        return True
