"""Poll policies that need no learning."""

from dataclasses import dataclass
from typing import Protocol


class PollPolicy(Protocol):
    """A rule for the time until a task's next poll."""

    def next_poll(self, age: float, since_callback: float | None = None) -> float:
        """Seconds until the next poll of a task.

        ``age`` is the time in seconds since the task was accepted, ``since_callback`` the time since a
        callback last named it.
        """
        ...


@dataclass(frozen=True, slots=True)
class ProviderAdvice:
    """The pace that kie.ai asks for: every 2-3 s until half a minute, 5-10 s until two, then 15-30 s."""

    steps: tuple[tuple[float, float], ...] = ((30.0, 2.5), (120.0, 7.0))
    tail: float = 20.0

    def next_poll(self, age: float, since_callback: float | None = None) -> float:
        """Seconds until the next poll."""
        known = age if since_callback is None else min(age, since_callback)
        return next((pause for until, pause in self.steps if known < until), self.tail)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The policy with callbacks, where polls only guard against a lost callback.

    The first poll comes after ``patience`` seconds, and each further one at twice the age. After a callback
    for a task that has not ended, the task is polled by the policy ``after_callback``.
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
    """The policy for late polls, of jobs that have ended before their task. Nobody waits for the result."""

    first: float = 5.0
    longest: float = 3600.0

    def next_poll(self, age: float, since_callback: float | None = None) -> float:
        """Seconds until the next poll: a quarter of the task's age."""
        known = age if since_callback is None else min(age, since_callback)
        return min(max(self.first, known / 4), self.longest)
