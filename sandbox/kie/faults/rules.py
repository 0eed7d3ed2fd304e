"""Rules: the condition under which a fault strikes, and its parameters, with their JSON form.

The JSON form has one key for each fault. The value is a probability (``0.05``), or an object with any of
``probability``, ``next`` (the next n calls, for certain), ``seconds`` and ``variant``; ``null`` and ``0``
switch the fault off. Faults that take seconds also accept a bare number of them, for every call. For the
other faults ``seconds`` is the time for which the fault stays on: ``{"create_455": {"seconds": 3}}`` is
maintenance for three seconds.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from sandbox.kie.faults.faults import TIMED, Fault
from sandbox.kie.faults.variants import VARIANTS

__all__ = ["InvalidFault", "Rule", "checked", "load", "named", "rule"]


class InvalidFault(ValueError):
    """A fault's name or value is wrong; the message names it."""


@dataclass(frozen=True)
class Rule:
    """The condition under which a fault strikes, and its parameters."""

    probability: float = 0.0
    next: int = 0
    """The number of next calls that the fault strikes for certain."""
    seconds: float = 0.0
    """For faults in :data:`TIMED`, their delay; for the others, the time until they end, 0 for never."""
    variant: str = ""
    """A member of the fault's :data:`VARIANTS`; empty for the first of them."""


def load(text: str) -> dict[str, Any]:
    """Faults from JSON or from the file of that name. Raises :class:`InvalidFault` for anything else."""
    if not text.strip():
        return {}
    source = text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8")
    rules = json.loads(source)
    if not isinstance(rules, dict):
        raise InvalidFault("faults: a JSON object is wanted, one key a fault")
    return rules


def named(name: str) -> Fault:
    """The fault of that name. Raises :class:`InvalidFault`, which lists all of them."""
    try:
        return Fault(name)
    except ValueError:
        raise InvalidFault(f"{name}: no such fault. There are: {', '.join(Fault)}") from None


def rule(fault: Fault, value: Any) -> Rule:
    """The rule of a fault from its JSON form. Raises :class:`InvalidFault`."""
    if value is None:
        return Rule()
    if isinstance(value, (int, float)):
        seconds = float(value) if fault in TIMED else 0.0
        return checked(fault, Rule(probability=1.0 if seconds else value, seconds=seconds))
    if not isinstance(value, Mapping):
        raise InvalidFault(f"{fault}: a number, an object or null is wanted, not {value!r}")
    if value.keys() - {field.name for field in fields(Rule)}:
        raise InvalidFault(f"{fault}: probability, next, seconds and variant are the keys")
    given = Rule(**value)
    if "probability" not in value and "next" not in value:
        given = replace(given, probability=1.0)
    return checked(fault, given)


def checked(fault: Fault, given: Rule) -> Rule:
    """The same rule. Raises :class:`InvalidFault` for a value that the fault cannot have."""
    if not isinstance(given.next, int) or not all(map(_is_number, (given.probability, given.seconds))):
        raise InvalidFault(f"{fault}: probability, next and seconds are numbers, next a whole one")
    if not 0 <= given.probability <= 1:
        raise InvalidFault(f'{fault}: a probability is from 0 to 1; the next n calls are {{"next": n}}')
    if given.next < 0 or given.seconds < 0:
        raise InvalidFault(f"{fault}: next and seconds must not be negative")
    variants = VARIANTS.get(fault, ())
    if given.variant and not variants:
        raise InvalidFault(f"{fault}: has no variants")
    if given.variant and given.variant not in variants:
        raise InvalidFault(f"{fault}: no such variant. There are: {', '.join(variants)}")
    if fault is Fault.UNREACHABLE and (given.next or (given.probability and not given.seconds)):
        raise InvalidFault(f"{fault}: seconds are wanted, since nobody can be reached to switch it off")
    return given


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
