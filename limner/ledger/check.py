"""A walk through the whole ledger in small steps, which finds what contradicts itself.

Each step reads a few hundred entries at most, so nobody waits for it. Jobs go on meanwhile: what is found is
looked at again before it is told.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from limner.errors import RecordUnreadable
from limner.ledger.contradictions import (
    REPAIR,
    WAIT,
    Finding,
    Mend,
    check_numbers,
    contradictions,
    held,
    places_of,
)
from limner.ledger.layout.keys import (
    APART,
    COPIES,
    COPIES_FAILED,
    DAMAGED,
    DOUBTS,
    DUE,
    EPOCH_KNOWN,
    EVENTS,
    EXPIRING,
    IN_FLIGHT,
    JOB,
    KEYS,
    LANES_WAITING,
    LETTERS,
    MONEY,
    MONEY_HELD,
    OVER_BUDGET_OF,
    READY,
    READY_OF,
    READY_POLLS,
    TAKEN,
    TASK_OF,
    TROUBLES,
    UNMATCHED_CALLBACKS,
    Key,
)
from limner.ledger.mending import mend
from limner.ledger.record import Record
from limner.ledger.store import Store
from limner.status import Contradiction

_WALKS: Final = 3
"""Walks for the sums until nothing happens during one. A busy ledger's sums are not compared."""
_STEP: Final = 100
"""Jobs, keys or entries that are read at a time."""
_EXPIRE: Final = (TAKEN, TASK_OF, MONEY, TROUBLES, UNMATCHED_CALLBACKS, LETTERS, EPOCH_KNOWN)
"""The keys that have a time to live. Records and their logs get one at their end."""
_OF_JOBS: Final = (
    *(DUE, READY, READY_OF, READY_POLLS, OVER_BUDGET_OF, EXPIRING),
    *(COPIES, COPIES_FAILED, DOUBTS, IN_FLIGHT, APART),
)
"""The indexes whose members are jobs."""
_TYPES: Final = {"sorted set": "zset"}


@dataclass(slots=True)
class _Sums:
    """The sums over all records of what is counted elsewhere: unsent jobs by lane, and held money."""

    since: str
    """The last event before the walk."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By the key and the field that has the count."""
    partial: bool = False
    """True if some records cannot be read."""

    def add(self, fields: Mapping[str, str]) -> None:
        """Add a job."""
        self.counts[MONEY_HELD.name, "held"] += held(fields)
        if "waits" in fields:
            self.counts[LANES_WAITING.name + fields["priority"], fields.get("lane", "")] += 1


@dataclass(frozen=True, slots=True)
class Check:
    """The walk through the ledger of an account group. Raises StoreUnavailable."""

    store: Store

    def run(self, *, repair: bool = False) -> Iterator[Contradiction]:
        """The contradictions. With ``repair``, what is safe to be repaired is repaired."""
        first = _Sums(self._last_event())
        for keys in self._keys():
            findings = [*self._of_keys(keys)]
            strange = {each.subject for each in findings if each.kind == "wrong_type"}
            if jobs := [key.removeprefix(JOB.name) for key in keys if _family(key) is JOB]:
                findings += self._twice(partial(self._of_jobs, jobs), first)
            for key in keys:
                if _family(key) in _OF_JOBS and key not in strange:
                    findings += self._of_index(key)
            for finding in findings:
                yield self._told(finding, repair=repair)
        yield from self._of_sums(first)

    # Reading

    def _keys(self) -> Iterator[list[str]]:
        """The keys of the ledger without their prefix, some at a time."""
        prefix, cursor = self.store.prefix, 0
        pattern = "".join(f"\\{each}" if each in "*?[]\\^-" else each for each in prefix) + "*"
        while True:
            with self.store.client() as client:
                cursor, keys = client.scan(cursor, match=pattern, count=_STEP)
            if keys:
                yield [key.removeprefix(prefix) for key in keys]
            if cursor == 0:
                return

    def _members(self, key: str) -> Iterator[list[str]]:
        cursor = 0
        while True:
            with self.store.client() as client:
                cursor, entries = client.zscan(self.store.prefix + key, cursor, count=_STEP)
            if entries:
                yield [member for member, _ in entries]
            if cursor == 0:
                return

    def _replies(self, commands: Callable[[Any], object]) -> list[Any]:
        with self.store.pipeline() as pipe:
            commands(pipe)
            replies: list[Any] = pipe.execute(raise_on_error=False)
        return replies

    @staticmethod
    def _twice(look: Callable[[_Sums | None], list[Finding]], sums: _Sums | None = None) -> list[Finding]:
        """The contradictions that are found, and found again. The first look adds to the sums."""
        found = look(sums)
        for _ in range(2):
            if not found:
                return []
            again = {(each.kind, each.subject) for each in look(None)}
            found = [each for each in found if (each.kind, each.subject) in again]
        return found

    # Finding

    def _of_keys(self, keys: Sequence[str]) -> Iterator[Finding]:
        def ask(pipe: Any) -> None:
            for key in keys:
                pipe.type(self.store.prefix + key)
                pipe.pttl(self.store.prefix + key)

        replies = self._replies(ask)
        for key, kind, left in zip(keys, replies[::2], replies[1::2], strict=True):
            family = _family(key)
            if kind == "none" and "\\x" in key:
                told = "has a name that is no text, so nobody of the fleet has written it"
                yield Finding("no_text", key, told, "find out who has written it")
            if kind == "none":
                continue
            if family is None:
                yield Finding("unknown_key", key, "is no key of the ledger", "find out who has written it")
            elif family is DAMAGED:
                told = "was another type than the ledger's, and is kept for you"
                yield Finding("damaged_key", key, told, "look at it, then delete it")
            elif kind != _TYPES.get(family.kind, family.kind):
                told = f"is a {kind}, and should be a {family.kind}"
                advice = "restore the record, or delete it" if family is JOB else WAIT
                yield Finding("wrong_type", key, told, advice)
            elif left == -1 and any(family is each for each in _EXPIRE):
                yield Finding("no_ttl", key, "should expire and does not", REPAIR, Mend.EXPIRE, key)

    def _of_jobs(self, job_ids: Sequence[str], sums: _Sums | None) -> list[Finding]:
        prefix = self.store.prefix
        records, findings = self._records(job_ids)
        places = {job_id: places_of(fields) for job_id, (fields, _) in records.items()}

        def ask(pipe: Any) -> None:
            for job_id, of in places.items():
                for key, name in of.items():
                    pipe.zscore(key(prefix, name), job_id)

        scores = iter(self._replies(ask))
        for job_id, (fields, expires) in records.items():
            found = frozenset([key for key in places[job_id] if _is_score(next(scores))])
            findings += contradictions(job_id, fields, found, expires=expires)
            if sums:
                sums.add(fields)
        if sums and any(each.kind == "unreadable" for each in findings):
            sums.partial = True
        return findings

    def _records(
        self, job_ids: Sequence[str]
    ) -> tuple[dict[str, tuple[Mapping[str, str], bool]], list[Finding]]:
        """The records, each with whether it expires, and findings about those that cannot be read."""
        prefix = self.store.prefix

        def ask(pipe: Any) -> None:
            for job_id in job_ids:
                pipe.hgetall(JOB(prefix, job_id))
                pipe.pttl(JOB(prefix, job_id))

        replies = self._replies(ask)
        records: dict[str, tuple[Mapping[str, str], bool]] = {}
        findings: list[Finding] = []
        for job_id, fields, left in zip(job_ids, replies[::2], replies[1::2], strict=True):
            if isinstance(fields, Exception) or not fields:
                continue
            try:
                Record.from_hash(job_id, fields)
                check_numbers(job_id, fields)
            except RecordUnreadable as error:
                advice = (
                    "repair it as docs/operations.md says; `python -m limner broken` lists it when it is due"
                )
                findings.append(Finding("unreadable", job_id, str(error), advice))
            else:
                records[job_id] = fields, left >= 0
        return records, findings

    def _of_index(self, key: str) -> Iterator[Finding]:
        family = _family(key)
        for members in self._members(key):
            yield from self._twice(partial(self._of_members, family, key, members))

    def _of_members(
        self, family: Key | None, key: str, members: Sequence[str], _: _Sums | None
    ) -> list[Finding]:
        prefix = self.store.prefix

        def ask(pipe: Any) -> None:
            for member in members:
                pipe.hget(JOB(prefix, member), "state")
                pipe.hget(JOB(prefix, member), "slot")
                pipe.zscore(prefix + key, member)

        replies = self._replies(ask)
        findings = []
        for member, state, slot, score in zip(
            members, replies[::3], replies[1::3], replies[2::3], strict=True
        ):
            if score is None and "\\x" in member:
                told = f"is in {key} and no text, so nobody of the fleet has written it"
                findings.append(Finding("no_text", member, told, "find out who has written it"))
            if score is None or isinstance(state, Exception):
                continue
            if state is None:
                told = f"is in {key} and has no record"
                mend = Mend.SLOT if family is IN_FLIGHT else None
                findings.append(Finding("no_record", member, told, REPAIR if mend else WAIT, mend, key))
            elif family is IN_FLIGHT and slot != key.removeprefix(IN_FLIGHT.name):
                told = f"is in {key} and has no slot there"
                findings.append(Finding("slot_of_nobody", member, told, REPAIR, Mend.SLOT, key))
            elif family in (READY, READY_OF, OVER_BUDGET_OF) and state != "queued":
                findings.append(Finding("not_queued", member, f"is {state} and in {key}", WAIT))
        return findings

    def _of_sums(self, sums: _Sums) -> Iterator[Contradiction]:
        """The contradictions of the sums over all records, compared if nothing has happened meanwhile."""
        wrong = self._wrong(sums)
        for _ in range(_WALKS):
            if sums.partial or self._last_event() == sums.since:
                break
            sums = _Sums(self._last_event())
            for keys in self._keys():
                if jobs := [key.removeprefix(JOB.name) for key in keys if _family(key) is JOB]:
                    self._of_jobs(jobs, sums)
            wrong = self._wrong(sums)
        else:
            return
        for (key, name), off in () if sums.partial else wrong.items():
            told = f"{name or 'the empty lane'} is off by {off:+d} from what the records say"
            advice = "see docs/operations.md" if key == MONEY_HELD.name else "it only delays or hurries turns"
            yield Contradiction("sum", key, told, advice, repaired=False)

    def _last_event(self) -> str:
        with self.store.client() as client:
            found = client.xrevrange(EVENTS(self.store.prefix), count=1)
        return found[0][0] if found else ""

    def _wrong(self, sums: _Sums) -> dict[tuple[str, str], int]:
        """By how much each count is off, by its key and its field."""
        prefix, off = self.store.prefix, Counter({key: -count for key, count in sums.counts.items()})
        with self.store.client() as client:
            off[MONEY_HELD.name, "held"] += int(client.hget(MONEY_HELD(prefix), "held") or 0)
            for priority in range(10):
                for lane, count in client.hscan_iter(LANES_WAITING(prefix, priority), count=_STEP):
                    off[LANES_WAITING.name + str(priority), lane] += int(count)
        return {key: count for key, count in off.items() if count}

    def _told(self, finding: Finding, *, repair: bool) -> Contradiction:
        repaired = repair and mend(self.store, finding)
        return Contradiction(finding.kind, finding.subject, finding.what, finding.advice, repaired=repaired)


def _family(key: str) -> Key | None:
    """The family of a key without its prefix: the one with the longest name that fits."""
    if exact := _ALONE.get(key):
        return exact
    fits = [family for family in _FAMILIES if key.startswith(family.name)]
    return max(fits, key=lambda family: len(family.name), default=None)


_ALONE: Final = {key.name: key for key in KEYS.values() if not key.of}
_FAMILIES: Final = [key for key in KEYS.values() if key.of]


def _is_score(reply: Any) -> bool:
    return reply is not None and not isinstance(reply, Exception)
