"""The contradictions in one job: its record beside the indexes that have it. Nothing is read here."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from limner.accounts import MAIN
from limner.errors import RecordUnreadable
from limner.ledger.layout.constants import LARGEST
from limner.ledger.layout.fields import NUMBERS
from limner.ledger.layout.keys import (
    COPIES,
    COPIES_FAILED,
    DOUBTS,
    DUE,
    IN_FLIGHT,
    OVER_BUDGET_OF,
    READY,
    READY_OF,
    READY_POLLS,
    Key,
)


class Mend(StrEnum):
    """A repair that cannot do any harm."""

    DUE = "due"
    """The job becomes due now, and a worker decides what follows."""
    DOUBTS = "doubts"
    """The job is listed among the doubts."""
    COPIES = "copies"
    """The images of the job are due to be copied."""
    SLOT = "slot"
    """The entry of the slot is removed."""
    EXPIRE = "expire"
    """The key expires in 30 days."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that contradicts itself, and the repair for it, if one is safe."""

    kind: str
    subject: str
    """The job's id, or the key without its prefix."""
    what: str
    advice: str
    mend: Mend | None = None
    key: str = ""
    """The key that is mended, without its prefix; empty for the job's own."""


WAIT: Final = "a worker repairs it by itself within a minute"
REPAIR: Final = "`python -m limner check --repair` repairs it"
_WAITING: Final = frozenset({DUE, READY, READY_OF, READY_POLLS, OVER_BUDGET_OF})
LOOK: Final = "look at `python -m limner explain` with its id"


def places_of(fields: Mapping[str, str]) -> dict[Key, str]:
    """The indexes in which a job with this record can be, each with what follows its name."""
    pinned = fields.get("pinned")
    places: dict[Key, str] = {READY_OF: pinned} if pinned else {READY: ""}
    places |= {DUE: "", READY_POLLS: fields.get("reader") or MAIN, COPIES: "", COPIES_FAILED: "", DOUBTS: ""}
    if over := fields.get("over_budget"):
        places[OVER_BUDGET_OF] = over
    if slot := fields.get("slot"):
        places[IN_FLIGHT] = slot
    return places


def contradictions(
    job_id: str, fields: Mapping[str, str], found: frozenset[Key], *, expires: bool
) -> Iterator[Finding]:
    """The contradictions in a job that was ``found`` in these of its places."""
    state = fields["state"]
    ended = state in ("succeeded", "failed", "cancelled", "expired")
    open_tasks = any(task["state"] == "open" for task in _list(fields, "tasks"))
    uncopied = any(not copy.get("stored") for copy in _list(fields, "copies"))
    waiting = sorted(place.name.rstrip(":") for place in found & _WAITING)
    done = ended and "stored" in fields and not open_tasks

    if expires and not done and not waiting:
        # A person has dropped it.
        return
    if not waiting and not done:
        told = f"is {state} and in no index, so nothing will happen to it"
        yield Finding("in_no_index", job_id, told, REPAIR, Mend.DUE)
    if len(waiting) > 1:
        yield Finding("in_two_indexes", job_id, f"is in {' and in '.join(waiting)}", LOOK)
    if expires and waiting:
        yield Finding("expires", job_id, f"is {state}, and its record expires", LOOK)
    if done and not expires and not found & {COPIES, DUE}:
        told = "has ended, its result is stored, and its record never expires"
        yield Finding("never_expires", job_id, told, REPAIR, Mend.EXPIRE)
    if state in ("sending", "in_doubt") and waiting and waiting != [DUE.name]:
        yield Finding("without_lease", job_id, f"is {state} without the end of a lease", LOOK)
    yield from _beside(job_id, fields, found, ended=ended, uncopied=uncopied)


def _beside(
    job_id: str, fields: Mapping[str, str], found: frozenset[Key], *, ended: bool, uncopied: bool
) -> Iterator[Finding]:
    """The contradictions of the slot of a job, its doubt, and its copies."""
    if slot := fields.get("slot"):
        if IN_FLIGHT not in found:
            yield Finding("slot_without_entry", job_id, f"has a slot of account {slot} that is free", LOOK)
        if ended:
            yield Finding("slot_of_ended", job_id, f"has ended and has a slot of account {slot}", LOOK)
    if "doubtful" in fields and DOUBTS not in found:
        yield Finding("doubt_not_listed", job_id, "is in doubt and not listed so", REPAIR, Mend.DOUBTS)
    if fields["state"] == "in_doubt" and "doubtful" not in fields:
        yield Finding("doubt_of_nothing", job_id, "is in doubt about no attempt", LOOK)
    if uncopied and not found & {COPIES, COPIES_FAILED}:
        yield Finding("copies_not_due", job_id, "has images that nobody will copy", REPAIR, Mend.COPIES)


def check_numbers(job_id: str, fields: Mapping[str, str]) -> None:
    """Raises RecordUnreadable for a number that no script can count with."""
    for name in NUMBERS:
        try:
            fine = name not in fields or -LARGEST < float(fields[name]) < LARGEST
        except ValueError:
            fine = False
        if not fine:
            raise RecordUnreadable(f"the record of job {job_id} is damaged: its field {name} is no number")


def held(fields: Mapping[str, str]) -> int:
    """The money that the record holds, in millionths of a credit."""
    return sum(int(value) for name, value in fields.items() if name.startswith("hold:") and value.isdecimal())


def _list(fields: Mapping[str, str], name: str) -> list[dict[str, object]]:
    found = json.loads(fields.get(name) or "[]")
    return found if isinstance(found, list) else []
