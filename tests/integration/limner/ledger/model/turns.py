"""The turns that lanes share."""

from collections import Counter
from dataclasses import dataclass, field

Lane = tuple[int, str]
"""A lane: the priority, and the name, which is empty for jobs without a lane."""


@dataclass
class Turns:
    """The turns by priority. A lane's next turn is after its last one and after the current one."""

    now: dict[int, int] = field(default_factory=dict)
    last: dict[Lane, int] = field(default_factory=dict)
    waiting: Counter[Lane] = field(default_factory=Counter)

    def next(self, lane: Lane) -> int:
        self.last[lane] = max(self.now.get(lane[0], 0), self.last.get(lane, 0)) + 1
        self.waiting[lane] += 1
        return self.last[lane]

    def waited(self, lane: Lane) -> None:
        """Count a job of the lane that was sent for the first time, or never will be."""
        self.waiting[lane] -= 1
        if not self.waiting[lane]:
            self.last.pop(lane, None)

    def over(self, turns: dict[int, int]) -> None:
        """Advance the current turns to these, by priority."""
        for priority, turn in turns.items():
            if turn > self.now.get(priority, 0):
                self.now[priority] = turn
                self.last = {
                    lane: last for lane, last in self.last.items() if lane[0] != priority or last > turn
                }
