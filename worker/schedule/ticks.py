"""The times at which an entry of the schedule is due, as whole seconds since the epoch. No clock is read.

A tick is an instant aligned to the wall clock. It is the same on every machine, so the job of a tick is the
same for two beats.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import count
from typing import Any, Final, Literal, Protocol, Self

from celery.schedules import ParseException, crontab

Tick = int

CatchUp = int | Literal["today", "latest"]
"""The condition on which the latest missed tick is still submitted: it is so many seconds old at most, it is
of the current day by the clocks of its rhythm, or none."""

DAY: Final = 86_400
LONGEST_DAY: Final = 90_000
"""Seconds of the day on which the clocks go back."""
LEEWAY: Final = 15
"""Seconds of delay that cost an entry no tick; it covers a call to a Redis that freezes, and its retry.
An entry that is further behind makes up for its latest tick only."""

_NUMBER: Final = r"[0-9]+"
_MONTH: Final = rf"(?:{_NUMBER}|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_WEEKDAY: Final = rf"(?:{_NUMBER}|sun|mon|tue|wed|thu|fri|sat)"
_FIELDS: Final = {
    "minute": _NUMBER,
    "hour": _NUMBER,
    "day of month": _NUMBER,
    "month": _MONTH,
    "day of week": _WEEKDAY,
}


class Rhythm(Protocol):
    """A sequence of ticks. Its text changes only when its ticks change."""

    def latest(self, now: Tick) -> Tick:
        """The last tick that is not after ``now``."""

    def next(self, now: Tick) -> Tick:
        """The first tick after ``now``."""

    def midnight(self, now: Tick) -> Tick:
        """The begin of the day of ``now``."""


@dataclass(frozen=True, slots=True)
class Every:
    """The multiples of ``seconds`` since the epoch."""

    seconds: int

    def __str__(self) -> str:
        return f"every {self.seconds} s"

    def latest(self, now: Tick) -> Tick:
        return now - now % self.seconds

    def next(self, now: Tick) -> Tick:
        return self.latest(now) + self.seconds

    def midnight(self, now: Tick) -> Tick:
        return now - now % DAY


@dataclass(frozen=True)
class Crontab:
    """The minutes that match a crontab, by the clocks of a time zone.

    When the clocks go forward, a skipped time has its tick at the instant that it would have had without the
    change (02:30 at 03:30). When they go back, a time that comes twice has a tick the first time only. A
    crontab for every hour has a tick for each hour that really passes, in both cases.
    """

    text: str
    zone: tzinfo
    spec: Any = field(compare=False, repr=False)  # celery-types does not know a crontab's sets

    @classmethod
    def parse(cls, text: str, zone: tzinfo) -> Self:
        """Parse five fields as :class:`celery.schedules.crontab` does; raises ValueError with the reason."""
        fields = text.split()
        if len(fields) != len(_FIELDS):
            raise ValueError(f"a crontab has five fields, {text!r} has {len(fields)}")
        for (name, value), one in zip(_FIELDS.items(), fields, strict=True):
            # Celery's parser overlooks what follows a match, and takes the names of days for hours.
            part = rf"(?:\*|{value}(?:-{value})?)(?:/0*[1-9][0-9]*)?"
            if not re.fullmatch(rf"{part}(?:,{part})*", one, re.IGNORECASE):
                raise ValueError(f"{one!r} is no {name} of a crontab")
        minute, hour, day_of_month, month, day_of_week = (one.lower() for one in fields)
        try:
            spec = crontab(minute, hour, day_of_week, day_of_month, month)
        except (ValueError, ParseException) as error:
            raise ValueError(f"{text!r} is no crontab: {error}") from None
        return cls(" ".join(fields), zone, spec)

    def __str__(self) -> str:
        return f"{self.text} {self.zone}"

    def latest(self, now: Tick) -> Tick:
        return next(
            ticks[place - 1]
            for ticks in self._days(self._day(now), -1)
            if (place := bisect_right(ticks, now)) > 0
        )

    def next(self, now: Tick) -> Tick:
        # A skipped time shortly before midnight is ticked on the day after.
        yesterday = self._day(now) - timedelta(days=1)
        return next(
            ticks[place]
            for ticks in self._days(yesterday, 1)
            if (place := bisect_right(ticks, now)) < len(ticks)
        )

    def midnight(self, now: Tick) -> Tick:
        return int(datetime.combine(self._day(now), time(), self.zone).timestamp())

    def _day(self, now: Tick) -> date:
        return datetime.fromtimestamp(now, self.zone).date()

    def _days(self, first: date, step: int) -> Iterator[tuple[Tick, ...]]:
        # Both searches end: Celery refuses a day that no month has, and the rarest that is left, a leap day
        # on a given weekday, comes within 40 years.
        for day in (first + timedelta(days=step * number) for number in count()):
            if (
                day.month in self.spec.month_of_year
                and day.day in self.spec.day_of_month
                and day.isoweekday() % 7 in self.spec.day_of_week
            ):
                yield _ticks_of(self, day)

    def instants(self, wall: datetime) -> set[Tick]:
        """The instant at which the clocks of the zone show ``wall``, a time without a zone."""
        folds = [int(wall.replace(tzinfo=self.zone, fold=fold).timestamp()) for fold in (0, 1)]
        if len(self.spec.hour) < 24:
            return set(folds[:1])
        return {at for at in folds if datetime.fromtimestamp(at, self.zone).replace(tzinfo=None) == wall}


@lru_cache(maxsize=256)
def _ticks_of(rhythm: Crontab, day: date) -> tuple[Tick, ...]:
    # A day's ticks are up to 1440 conversions, and are asked for every second.
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a reading of a clock on the wall
    walls = [
        midnight.replace(hour=hour, minute=minute)
        for hour in rhythm.spec.hour
        for minute in rhythm.spec.minute
    ]
    return tuple(sorted({at for wall in walls for at in rhythm.instants(wall)}))


def due(rhythm: Rhythm, after: Tick, now: Tick, *, catch_up: CatchUp) -> list[Tick]:
    """The ticks after ``after`` to submit at ``now``, oldest first.

    They are those of the last seconds (:data:`LEEWAY`); if there are none, the latest one, unless it is too
    old for ``catch_up``.
    """
    ticks = []
    tick = rhythm.next(max(after, now - LEEWAY))
    while tick <= now:
        ticks.append(tick)
        tick = rhythm.next(tick)
    if ticks:
        return ticks
    latest = rhythm.latest(now)
    return [latest] if after < latest and latest >= _oldest(rhythm, now, catch_up) else []


def resume(rhythm: Rhythm, fired: Tick, now: Tick, *, catch_up: CatchUp) -> Tick:
    """The tick after which to continue at ``now``, if ``fired`` was the last one before a stop.

    The latest missed tick remains due, unless it is too old for ``catch_up``.
    """
    latest = rhythm.latest(now)
    missed = fired < latest and latest >= _oldest(rhythm, now, catch_up)
    return latest - 1 if missed else now


def _oldest(rhythm: Rhythm, now: Tick, catch_up: CatchUp) -> Tick:
    if catch_up == "latest":
        return 0
    return rhythm.midnight(now) if catch_up == "today" else now - catch_up


def longest_delay(rhythm: Rhythm, tick: Tick, *, catch_up: CatchUp) -> int:
    """The most seconds after a tick for which it can be the one to submit."""
    if catch_up == "latest":
        return rhythm.next(tick) - tick
    return LONGEST_DAY if catch_up == "today" else catch_up


def iso(tick: Tick) -> str:
    """The tick as text: 2026-11-23T07:00:00Z."""
    return datetime.fromtimestamp(tick, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
