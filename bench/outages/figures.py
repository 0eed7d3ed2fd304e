"""The figures of an outage, from the fleet's events and the stand-in's ledger."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.outages.scaled import CREATES
from limner import Event, Limner
from sandbox.local.fleet import LocalFleet

CREDITS: Final = 7.0
"""The price of an image."""

LIMITED: Final = "rate_limited"
"""The cause of pauses after a 429."""


@dataclass(frozen=True)
class Figures:
    """The figures. Times are in seconds as they were measured, not scaled back."""

    ends: Counter[str]
    """The jobs by their end; ``lost`` are those that have none."""
    on_the_wire: int
    """The requests that met the outage before the account closed."""
    probes: int
    """The requests sent into the outage afterwards."""
    pauses: Sequence[float]
    """The length of each pause, in order."""
    limited: int
    """The pauses because a request came too early for the provider's window, which are not among them."""
    back: float | None
    """The time from the end of the outage until a whole quota was accepted in one window."""
    doubles: int
    """The jobs for which more than one task was made."""
    most_tasks: int
    """The tasks of the job that has the most."""
    charged: float
    """The credits that the provider charged beyond one task for each job that has its images."""
    doubtful: float
    """The credits that ``spend`` calls doubtful."""
    unbooked: float
    """The credits charged that ``spend`` does not know of, as spent, held or doubtful."""

    @property
    def ratio(self) -> float | None:
        """``back`` as a part of the last pause."""
        return self.back / self.pauses[-1] if self.pauses and self.back is not None else None

    @property
    def failed(self) -> int:
        """The jobs that failed although nothing was in doubt."""
        return sum(self.ends[end] for end in self.ends if end not in ("succeeded", "in doubt", "lost"))


def figures(
    fleet: LocalFleet,
    producer: Limner,
    ends: Mapping[str, str],
    outage: tuple[float, float],
    window: float,
) -> Figures:
    """Collect the figures of an outage between two times, after all jobs have settled."""
    began, healed = outage
    provider = fleet.provider
    assert provider
    events = list(producer.events(from_start=True, follow=False))
    sent = [at for at, answered in _vain(events) if at < healed and answered >= began]
    later = [event for event in events if event.event == "paused" and event.at.timestamp() >= began]
    paused = [event for event in later if event.detail["cause"] != LIMITED]
    closed = paused[0].at.timestamp() if paused else healed
    tasks = provider.ledger()
    by_prompt = Counter(task["input"]["prompt"] for task in tasks)
    billed = sum(task["billed"] for task in tasks)
    counted = Counter(ends.values())
    spending = producer.spend()
    spent = float(sum(day.spent for day in spending.days))
    doubtful, held = float(spending.standing.doubtful), float(spending.standing.held)
    return Figures(
        ends=counted,
        on_the_wire=sum(1 for at in sent if at <= closed),
        probes=sum(1 for at in sent if at > closed),
        pauses=[event.detail["seconds"] for event in paused] + _until_checks(events),
        limited=len(later) - len(paused),
        back=_back([task["created_ms"] / 1000 for task in tasks], healed, window),
        doubles=sum(1 for count in by_prompt.values() if count > 1),
        most_tasks=max(by_prompt.values(), default=0),
        charged=billed - CREDITS * counted["succeeded"],
        doubtful=doubtful,
        unbooked=max(0.0, billed - spent - doubtful - held),
    )


def _vain(events: Sequence[Event]) -> Iterator[tuple[float, float]]:
    """The attempts that were not accepted: the times of sending, and of the answer or its absence."""
    sent: dict[str, float] = {}
    for event in events:
        if event.event == "sending":
            sent[event.job_id] = event.at.timestamp()
        elif event.event in ("refused", "in_doubt", "failed") and event.job_id in sent:
            yield sent.pop(event.job_id), event.at.timestamp()
        else:
            sent.pop(event.job_id, None)


def _until_checks(events: Sequence[Event]) -> list[float]:
    """The pauses that a check of the balance has made longer."""
    waits = [event.detail["next"] / 1000 for event in events if event.event == "credits"]
    return [wait for wait in waits if wait > 0]


def _back(accepted: Sequence[float], healed: float, window: float) -> float | None:
    """Seconds until a whole quota was accepted in one window; None if that was never so."""
    later = sorted(at for at in accepted if at >= healed)
    last = CREATES - 1
    # A window of the fleet is a little longer than that of the provider.
    full = (
        end - healed for begin, end in zip(later, later[last:], strict=False) if end - begin <= 1.2 * window
    )
    return next(full, None)
