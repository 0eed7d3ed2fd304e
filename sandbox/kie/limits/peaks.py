"""The most that happened in any sliding window."""

from collections import deque

__all__ = ["Peak"]


class Peak:
    """``length`` is of the same unit as the times, which must not go back. Two events that are exactly
    ``length`` apart are in no window together, as with :class:`sandbox.kie.limits.windows.SlidingWindow`."""

    def __init__(self, length: float) -> None:
        self._length = length
        self._recent: deque[float] = deque()
        self.most = 0

    def add(self, at: float) -> None:
        self._recent.append(at)
        while at - self._recent[0] >= self._length:
            self._recent.popleft()
        self.most = max(self.most, len(self._recent))
