"""The schedule: a file with the jobs that beat submits, and their times.

A TOML file with one table an entry; docs/schedule.md describes it.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError

from limner.errors import InvalidRequest
from limner.ledger import Submission
from limner.models import TextToImage
from limner.options import SubmitOptions
from limner.submission import submission_of
from worker.schedule.ticks import CatchUp, Crontab, Every, Rhythm, Tick, iso, longest_delay

YEAR: Final = 366 * 86_400
LATE_BEAT: Final = 60.0
"""Seconds that a tick's key outlasts the latest moment at which a beat finds the tick due."""
_WORDS: Final[tuple[CatchUp, ...]] = ("today", "latest")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")


class ScheduleError(ValueError):
    """The schedule cannot be used; each line of the message names the file, the entry and the field."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A job that beat submits at each tick of a rhythm."""

    name: str
    rhythm: Rhythm
    request: TextToImage
    options: SubmitOptions
    catch_up: CatchUp
    """The tick that is made up for after a delay or a stop."""

    @property
    def mark(self) -> str:
        """The key under which the last tick is stored. With another rhythm, the entry is a new one."""
        return f"{self.name} {self.rhythm}"

    def submission(self, tick: Tick, *, idempotency_seconds: float) -> Submission:
        """The job of a tick, the same from every beat; its key holds ``idempotency_seconds`` at least."""
        return submission_of(
            self.request,
            _marked(self.options, self.name, tick),
            idempotency_key=f"beat:{self.name}:{iso(tick)}",
            # However late another beat is, it must still find the job.
            idempotency_seconds=max(
                idempotency_seconds,
                longest_delay(self.rhythm, tick, catch_up=self.catch_up) + LATE_BEAT,
            ),
        )


def _marked(options: SubmitOptions, name: str, tick: Tick) -> SubmitOptions:
    """The options of a tick's job; raises InvalidRequest if the metadata are too long with the marks."""
    metadata = {**options.metadata, "schedule": name, "tick": iso(tick)}
    return SubmitOptions.checked(**{**options.keywords(), "metadata": metadata})


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC  # It needs no time zone data on the machine.
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"there is no time zone {name!r}") from None


def _known_zone(name: str) -> str:
    _zone(name)
    return name


def _crontab(text: str) -> str:
    Crontab.parse(text, UTC)
    return text


def _catch_up(value: Any) -> CatchUp:
    if value is False:
        return 0
    if type(value) is int and 0 <= value <= YEAR:
        return value
    for word in _WORDS:
        if value == word:
            return word
    raise ValueError(
        f'must be false, "today", "latest" or a whole number of seconds from 0 to {YEAR}, not {value!r}'
    )


class _Table(SubmitOptions):
    """An entry of the file: the options of its jobs, and their times."""

    crontab: Annotated[str, AfterValidator(_crontab)] | None = None
    timezone: Annotated[str, AfterValidator(_known_zone)] | None = None
    every: Annotated[int, Field(ge=1, le=YEAR)] | None = None
    request: TextToImage
    enabled: bool = True
    catch_up: Annotated[CatchUp, BeforeValidator(_catch_up)] = 3600

    def entry(self, name: str) -> Entry:
        return Entry(name, self._rhythm(), self.request, SubmitOptions(**self.keywords()), self.catch_up)

    def _rhythm(self) -> Rhythm:
        if self.every is not None:
            return Every(self.every)
        return Crontab.parse(self.crontab or "", _zone(self.timezone or "UTC"))


def read_schedule(path: Path) -> list[Entry]:
    """The enabled entries of a file; raises ScheduleError with all that is wrong, one fault a line."""
    tables = _tables(path)
    faults = [f"{path}: [{name}] {fault}" for name, table in tables.items() for fault in _faults(name, table)]
    if faults:
        raise ScheduleError("\n".join(faults))
    written = {name: _Table.model_validate(table) for name, table in tables.items()}
    return [table.entry(name) for name, table in written.items() if table.enabled]


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ScheduleError(
            f"{path}: cannot be read ({error.strerror}); LIMNER_SCHEDULE_FILE says where the schedule is"
        ) from None
    except ValueError as error:
        raise ScheduleError(f"{path}: is not TOML: {error}") from None


def _faults(name: str, table: Any) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield "the name must be 1 to 100 letters, digits, dots, hyphens and underscores"
    if not isinstance(table, dict):
        yield "must be a table"
        return
    if ("crontab" in table) == ("every" in table):
        yield "crontab, every: exactly one of the two is needed"
    elif "timezone" in table and "every" in table:
        yield "timezone: goes with crontab only"
    try:
        written = _Table.model_validate(table)
    except ValidationError as error:
        yield from (_fault(detail) for detail in error.errors())
        return
    try:
        _marked(written, name, 0)
    except InvalidRequest as error:
        yield str(error)


def _fault(detail: Any) -> str:
    field = ".".join(str(part) for part in detail["loc"])
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{field}: {'there is no such field' if detail['type'] == 'extra_forbidden' else message}"
