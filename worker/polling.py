"""When to look at a task."""

from dataclasses import dataclass
from typing import Protocol


class PollLaw(Protocol):
    """Tells the time until the next look."""

    def next_look(self, age: float) -> float:
        """Seconds until the next look at a task of that age, in seconds since it was accepted."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderAdvice:
    """The pace that kie.ai's page asks for: every 2-3 s for half a minute, 5-10 s up to two, then 15-30 s."""

    steps: tuple[tuple[float, float], ...] = ((30.0, 2.5), (120.0, 7.0))
    tail: float = 20.0

    def next_look(self, age: float) -> float:
        """Seconds until the next look at a task of that age."""
        return next((pause for until, pause in self.steps if age < until), self.tail)
