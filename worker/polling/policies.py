"""When to poll a task."""

from dataclasses import dataclass
from typing import Protocol


class PollPolicy(Protocol):
    """Tells the time until the next poll."""

    def next_poll(self, age: float, since_callback: float | None = None) -> float:
        """Seconds until the next poll a task.

        ``age`` is in seconds since it was accepted, ``since_callback`` since a callback last named it.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProviderAdvice:
    """The pace that kie.ai's page asks for: every 2-3 s for half a minute, 5-10 s up to two, then 15-30 s."""

    steps: tuple[tuple[float, float], ...] = ((30.0, 2.5), (120.0, 7.0))
    tail: float = 20.0

    def next_poll(self, age: float, since_callback: float | None = None) -> float:
        """Seconds until the next poll."""
        known = age if since_callback is None else min(age, since_callback)
        return next((pause for until, pause in self.steps if known < until), self.tail)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """With callbacks, polls only guard against a lost one: after ``patience``, then ever more rarely.

    Once a callback has come for a task that still works, it is polled as without them.
    """

    patience: float
    after_callback: PollPolicy = ProviderAdvice()

    def next_poll(self, age: float, since_callback: float | None = None) -> float:
        """Seconds until the next poll."""
        if since_callback is not None:
            return self.after_callback.next_poll(age, since_callback)
        return max(self.patience, age)


@dataclass(frozen=True, slots=True)
class LatePolls:
    """For jobs that have ended without their task: a result is worth having, and nobody waits for it."""

    first: float = 5.0
    longest: float = 3600.0

    def next_poll(self, age: float, since_callback: float | None = None) -> float:
        """Seconds until the next poll: a quarter of the task's age."""
        known = age if since_callback is None else min(age, since_callback)
        return min(max(self.first, known / 4), self.longest)
