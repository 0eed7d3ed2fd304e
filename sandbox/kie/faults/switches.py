"""The faults that are switched on, by probability or for the next n calls, and their change at run time."""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from sandbox.kie.faults.faults import TIMED, Fault
from sandbox.kie.faults.rules import Rule, named, rule
from sandbox.kie.faults.variants import variant_of

__all__ = ["Faults", "Source", "Strike"]


class Strike(NamedTuple):
    """A fault that strikes a call."""

    fault: Fault
    variant: str
    """The variant, the fault's first if none was chosen; empty if it has none."""
    seconds: float = 0.0
    """The seconds of the rule."""


class Source(ABC):
    """The faults that a call can meet."""

    @abstractmethod
    def strikes(self, fault: Fault, rng: random.Random) -> Rule | None:
        """The rule if the fault strikes this call, else None."""

    @abstractmethod
    def has_any(self, faults: Iterable[Fault]) -> bool:
        """False if none of them can strike."""

    def draw(self, faults: tuple[Fault, ...], rng: random.Random) -> dict[Fault, Rule]:
        """The members of ``faults`` that strike, with their rules."""
        if not self.has_any(faults):
            return {}
        drawn = {fault: self.strikes(fault, rng) for fault in faults}
        return {fault: rule for fault, rule in drawn.items() if rule}

    def first(self, faults: tuple[Fault, ...], rng: random.Random) -> Strike | None:
        """The first of ``faults`` that strikes this call."""
        if not self.has_any(faults):
            return None
        for fault in faults:
            if struck := self.strikes(fault, rng):
                return Strike(fault, variant_of(fault, struck.variant), struck.seconds)
        return None


class Faults(Source):
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
        faults = [(named(name), value) for name, value in changes.items()]
        for fault, given in [(fault, rule(fault, value)) for fault, value in faults]:
            self._ends.pop(fault, None)
            if given.probability or given.next:
                self._rules[fault] = given
                if given.seconds and fault not in TIMED:
                    self._ends[fault] = self._clock() + given.seconds
            else:
                self._rules.pop(fault, None)

    def strikes(self, fault: Fault, rng: random.Random) -> Rule | None:
        self._drop_ended()
        found = self._rules.get(fault)
        if found is None:
            return None
        if found.next:
            if found.next == 1 and not found.probability:
                del self._rules[fault]
            else:
                self._rules[fault] = replace(found, next=found.next - 1)
            return found
        return found if rng.random() < found.probability else None

    def has_any(self, faults: Iterable[Fault]) -> bool:
        return not self._rules.keys().isdisjoint(faults)

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
