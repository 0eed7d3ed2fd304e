"""Accounts and money in plain words: from data to text, without any effect."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from limner.accounts import AccountStatus
from limner.cli.phrases import Detail, answer, clock, counted, lasting, seconds, sized
from limner.pauses import BY_HAND, EndsBy, Pause
from limner.spending import DaySpend, Standing

# What happened


def _account(detail: Detail) -> str:
    return f"account {detail.get('account')}"


def _cause(cause: Any) -> str:
    return "by hand" if cause == BY_HAND else str(cause or "no reason given")


def _paused(detail: Detail) -> str:
    length = lasting(detail["seconds"]) if detail.get("seconds") else "until somebody resumes it"
    error = detail.get("error") or {}
    why = answer({**error, "cause": _cause(detail.get("cause"))})
    job = f" (job {detail['job']})" if detail.get("job") else ""
    return f"{_account(detail)} is paused {length}: {why}{job}"


def _resumed(detail: Detail) -> str:
    why = {
        "by hand": "somebody resumed it",
        "probe": "the provider has taken a request again",
        "time": "its time is over",
        "later": "the provider has taken a later request",
    }.get(str(detail.get("why")), "no reason given")
    lasted = f" after {seconds(detail['seconds'])}" if "seconds" in detail else ""
    return f"{_account(detail)} goes on{lasted}: {why}"


def _resuming(detail: Detail) -> str:
    return f"{_account(detail)} is resumed by a person: one request is tried first, and then all goes on"


def _balance(detail: Detail) -> str:
    if "credits" not in detail:
        return f"the balance of {_account(detail)} cannot be read: {detail.get('error')}"
    needed = f", a job needs {detail['needed']}" if "needed" in detail else ""
    return f"{_account(detail)} has {detail['credits']} credits{needed}"


ACCOUNT_EVENTS: Final[Mapping[str, Callable[[Detail], str]]] = {
    "paused": _paused,
    "resumed": _resumed,
    "resuming": _resuming,
    "credits": _balance,
    "rolled_back": lambda _: "the ledger has gone back to an older state: Redis has lost its last writes",
    "emptied": lambda _: "the ledger was emptied, or is another one",
}


# How an account stands


def account_lines(status: AccountStatus, now: datetime) -> Iterator[str]:
    """The state of an account: its name, and a line for each thing that may hold a job up."""
    yield f"account {status.account}"
    yield f"  window      {_window(status, now)}"
    yield f"  limit       {_limit(status)}"
    yield f"  in flight   {status.in_flight} of {_in_flight(status)} tasks"
    own = f", {status.waiting_own} for this account alone" if status.waiting_own else ""
    yield f"  waiting     {status.waiting} jobs in the common queue{own}"
    yield f"  reads       {status.reads_per_second:g} a second, {status.polls_waiting} jobs wait for one"
    yield f"  pause       {_pause(status.pause, status.account) if status.pause else 'none'}"
    for answer_ in status.pause.answers if status.pause else ():
        yield f"  answered    {answer_}"
    if status.claimed_at and status.deserted:
        yield f"  workers     none has asked for its work since {clock(status.claimed_at)}"


def _window(status: AccountStatus, now: datetime) -> str:
    wait = max(0.0, (status.next_permit_at - now).total_seconds())
    free = f"the next one is free in {seconds(wait)}" if status.used >= status.limit else "there is room"
    window = f"{status.seconds:g} s + {status.margin:.3f} s margin"
    return f"{status.used} of {status.limit} requests in {window}; {free}"


def _limit(status: AccountStatus) -> str:
    if status.limit >= status.requests:
        return f"all {status.requests} of the settings"
    more = f"; more is tried at {clock(status.more_at)}" if status.more_at else ""
    return f"{status.limit} of {status.requests}: somebody else spends of the same quota{more}"


def _in_flight(status: AccountStatus) -> str:
    if status.in_flight_limit >= status.max_in_flight:
        return str(status.max_in_flight)
    return f"{status.in_flight_limit} (the provider took no more; {status.max_in_flight} of the settings)"


def _pause(pause: Pause, account: str) -> str:
    message = f": {pause.message}" if pause.message else ""
    command = f"; `python -m limner resume {account}` tries at once" if pause.cause != BY_HAND else ""
    return f"{_cause(pause.cause)} since {clock(pause.since)}, {_end(pause)}{command}{message}"


def _end(pause: Pause) -> str:
    until = clock(pause.until) if pause.until else ""
    if pause.probe:
        return f"job {pause.probe} is tried now"
    return {
        EndsBy.TIME: f"until {until}",
        EndsBy.PERSON: "until somebody resumes it",
        EndsBy.PROBE: f"from {until} one request is tried",
        EndsBy.CREDITS: f"from {until} the balance is read; if it is enough, one request is tried",
        EndsBy.KEY: f"from {until} the balance is read with its key; another key is tried at once",
    }[pause.ends_by]


# What was spent


def day_line(day: DaySpend) -> str:
    """The spending of a day, and the copies that were stored."""
    split = _split(day.by_account, day.by_lane)
    copied = (
        f"  {counted(day.copied_objects, 'object')} stored, {sized(day.copied_bytes)}"
        if day.copied_objects
        else ""
    )
    return f"{day.date.isoformat()}  {day.spent:>10} credits  {day.tasks:>6} tasks{copied}{split}"


def standing_lines(standing: Standing) -> Iterator[str]:
    """The credits that may still be spent."""
    held = _split(standing.held_by_account, standing.held_by_lane)
    doubtful = _split(standing.doubtful_by_account, standing.doubtful_by_lane)
    yield f"{'held':10}  {standing.held:>10} credits{held}"
    yield f"{'doubtful':10}  {standing.doubtful:>10} credits{doubtful}"
    for name, jobs in standing.waiting.items():
        yield f"{'waiting':10}  {jobs:>10} jobs     the cap of {named_cap(name)} is reached"


def named_cap(name: str) -> str:
    """A cap on a day's credits, as it is kept, in words."""
    return "the day" if name == "day" else name.replace(":", " ", 1)


def _split(by_account: Mapping[str, Decimal], by_lane: Mapping[str, Decimal]) -> str:
    accounts = [f"account {name} {amount}" for name, amount in by_account.items()]
    lanes = [f"lane {name} {amount}" for name, amount in by_lane.items()]
    return "".join(f"  {told}" for told in (*accounts, *lanes))
