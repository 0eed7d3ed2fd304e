"""Outcomes of requests that could not be put on record, in files that the next start of a worker brings home.

A file has the ids and what was decided, no prompt and no secret. Every transition recognises its repetition,
so several workers may bring the same file home.
"""

import contextlib
import json
import logging
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import redis

from limner.errors import ConfigurationError, StoreUnavailable
from limner.ledger import Adoption, Ledger

logger = logging.getLogger(__name__)

SUFFIX: Final = ".rescue.json"
VERSION: Final = 1
KEPT: Final = "the provider's answer was kept in LIMNER_RESCUE_FOLDER while Redis was away"
_LARGEST: Final = 65_536
_MOST_ATTEMPTS: Final = 1_000_000
_LONGEST: Final = 10_000_000.0
"""The longest time in seconds."""
_ODD: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt's request.

    A task was ``accepted``, the request was ``refused`` and is sent again, or it is in ``doubt``.
    """

    job: str
    attempt: int
    what: Literal["accepted", "refused", "doubt"]
    tasks: tuple[str, ...] = ()
    """The provider's task, or what may be its id."""
    delay: float = 0.0
    """Seconds until the first poll, or until the request is sent again."""
    grace: float = 0.0
    """Seconds in which a callback may resolve the doubt."""
    unsent: bool = False
    doubtful: bool = False

    @property
    def may_be_paid(self) -> bool:
        """True if the provider has, or may have, charged for it."""
        return self.what != "refused" or self.doubtful

    @property
    def advice(self) -> str:
        """The words on what a person can do."""
        adopt = " or ".join(
            f"python -m limner resolve {self.job} --adopt {task}" for task in self.tasks or ("TASK",)
        )
        look = "" if self.tasks else "if the provider's log has a task of it, "
        return f"{look}run {adopt}"

    def __str__(self) -> str:
        named = f", task {' or '.join(self.tasks)}" if self.tasks else ""
        return f"job {self.job} attempt {self.attempt} ({self.what}{named})"


def put_on_record(ledger: Ledger, outcome: Outcome) -> None:
    """Put an outcome on record. Raises what the ledger raises, and LookupError for a job it does not know."""
    error = {"cause": "answer_kept", "message": KEPT}
    jobs, job, attempt = ledger.jobs, outcome.job, outcome.attempt
    if outcome.what != "accepted" and jobs.read(job) is None:
        # It may be of another fleet whose workers see the folder.
        raise LookupError(f"the ledger does not know job {job}")
    match outcome.what:
        case "accepted":
            adoption = jobs.accepted(job, attempt, outcome.tasks[0], poll_in=outcome.delay)
            if adoption in (Adoption.UNKNOWN_JOB, Adoption.MISMATCHED):
                raise LookupError(f"the ledger says {adoption} of {outcome}")
        case "doubt":
            done = jobs.doubt(job, attempt, error, grace=outcome.grace, task_ids=outcome.tasks)
            # If its lease was over before, the attempt is in doubt already, and its tasks are not known.
            for task in () if done else outcome.tasks:
                jobs.adopt(job, task)
        case "refused":
            uncounted = None if outcome.doubtful else outcome.delay
            jobs.retry(
                job,
                attempt,
                error,
                delay=outcome.delay,
                uncounted=uncounted,
                unsent=outcome.unsent,
                doubtful=outcome.doubtful,
            )


@dataclass(slots=True)
class Rescue:
    """The folder of these files; None keeps nothing."""

    folder: Path | None
    _told: set[str] = field(default_factory=set)
    """The names of the files that cannot be read, and were told."""
    _held: set[str] = field(default_factory=set)
    """The names of the files whose outcomes a thread of this process tries to put on record."""

    def check(self) -> None:
        """Write a file and remove it. Raises ConfigurationError for a folder that takes none."""
        if self.folder is None:
            return
        trial = self.folder / f"{os.getpid()}.trial"
        try:
            _write(trial, "")
        except OSError as error:
            raise ConfigurationError(
                f"LIMNER_RESCUE_FOLDER: {self.folder} takes no file: {error.strerror}"
            ) from error
        _remove(trial)

    def keep(self, outcome: Outcome) -> Path | None:
        """Write an outcome's file durably; None without a folder, or if the folder takes none."""
        if self.folder is None:
            return None
        path = self.folder / _name(outcome)
        self._held.add(path.name)
        try:
            _write(path, json.dumps({"version": VERSION, **asdict(outcome)}))
        except OSError as error:
            logger.error("LIMNER_RESCUE_FOLDER: %s cannot be written: %s", path, error)  # noqa: TRY400
            return None
        return path

    def give_up(self, outcome: Outcome) -> None:
        """Let a file be brought home whose outcome no thread of this process tries to put on record."""
        self._held.discard(_name(outcome))

    def forget(self, outcome: Outcome) -> None:
        """Remove an outcome's file: it is on record."""
        if self.folder is not None:
            _remove(self.folder / _name(outcome))
        self.give_up(outcome)

    def bring_home(self, ledger: Ledger) -> None:
        """Put what is in the files on record, and remove them. Raises StoreUnavailable; the rest then stays.

        A file that cannot be read, or whose job cannot, is left, and told once.
        """
        for path in self.waiting():
            try:
                outcome = _read(path)
                put_on_record(ledger, outcome)
            except FileNotFoundError:
                # Another worker was faster.
                continue
            except (StoreUnavailable, redis.RedisError):
                raise
            except Exception as error:
                if path.name not in self._told:
                    self._told.add(path.name)
                    logger.error("%s is left alone, it cannot be brought home: %r", path, error)  # noqa: TRY400
                continue
            _remove(path)
            logger.warning("%s was brought home: it is on record now", outcome)

    def waiting(self) -> Iterator[Path]:
        """The files that are to be brought home."""
        if self.folder is None:
            return
        try:
            found = sorted(self.folder.glob(f"*{SUFFIX}"))
        except OSError as error:
            logger.error("LIMNER_RESCUE_FOLDER: %s cannot be read: %s", self.folder, error)  # noqa: TRY400
            return
        yield from (path for path in found if path.name not in self._told | self._held)


def _name(outcome: Outcome) -> str:
    # Ids of plain Celery messages may have any characters, and be long.
    digest = sha256(outcome.job.encode()).hexdigest()[:12]
    return f"{_ODD.sub('_', outcome.job)[:80]}.{digest}.{outcome.attempt}{SUFFIX}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(f".{os.getpid()}.part")
    number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        _remove(temporary)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _read(path: Path) -> Outcome:
    """The outcome in a file. Raises OSError, and ValueError for a file that is none of ours."""
    found_as = path.stat()
    if not stat.S_ISREG(found_as.st_mode):
        # To read a pipe would wait for its writer.
        raise ValueError("it is no regular file")
    if found_as.st_size > _LARGEST:
        raise ValueError("it is too large")
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, Mapping) or found.get("version") != VERSION:
        raise ValueError("it is of another version")
    fields = {name: value for name, value in found.items() if name != "version"}
    tasks = fields.pop("tasks", ())
    if not isinstance(tasks, Sequence) or isinstance(tasks, str):
        raise TypeError("its tasks are no list")
    outcome = Outcome(**fields, tasks=tuple(map(str, tasks)))
    # The ledger would refuse it, which looks as if Redis could not serve.
    if not _is_count(outcome.attempt) or not all(map(_is_time, (outcome.delay, outcome.grace))):
        raise ValueError("it has a number that cannot be")
    if outcome.what not in ("accepted", "refused", "doubt") or (outcome.what == "accepted" and not tasks):
        raise ValueError("it says no outcome")
    return outcome


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 1 <= value <= _MOST_ATTEMPTS


def _is_time(value: Any) -> bool:
    return isinstance(value, int | float) and 0 <= value <= _LONGEST
