"""The peak number of events in any sliding window."""

from collections import deque

__all__ = ["Peak"]


class Peak:
    """The most events in any window of ``length``, in the unit of the times, which must not decrease.

    Two events that are exactly ``length`` apart share no window, as with
    :class:`sandbox.kie.limits.windows.SlidingWindow`.
    """

    def __init__(self, length: float) -> None:
        self._length = length
        self._recent: deque[float] = deque()
        self.most = 0

    def add(self, at: float) -> None:
        self._recent.append(at)
        while at - self._recent[0] >= self._length:
            self._recent.popleft()
        self.most = max(self.most, len(self._recent))
