"""Each wait is bounded by itself, and all of them by the end."""

import pytest

from limner._fetch.deadline import Deadline, Limits
from limner._fetch.faults import FetchError, FetchFault


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_wait_ends_with_the_fetch_at_the_latest() -> None:
    clock = Clock()
    deadline = Deadline(Limits(seconds=60, idle_seconds=10), clock)
    assert deadline.wait() == 10
    clock.now += 53
    assert deadline.wait() == 7


def test_nothing_waits_after_the_end() -> None:
    clock = Clock()
    deadline = Deadline(Limits(seconds=60), clock)
    clock.now += 60
    with pytest.raises(FetchError, match="not complete within 60 s") as caught:
        deadline.wait()
    assert caught.value.fault is FetchFault.TOO_SLOW


def test_a_wait_that_was_too_long_says_for_what() -> None:
    deadline = Deadline(Limits(idle_seconds=2.5), Clock())
    assert str(deadline.missed("a connection")) == "waited 2.5 s for a connection"


@pytest.mark.parametrize("name", ["max_bytes", "seconds", "idle_seconds"])
def test_a_bound_must_be_positive(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})


def test_no_redirects_may_be_allowed() -> None:
    assert Limits(redirects=0).redirects == 0
    with pytest.raises(ValueError, match="redirects"):
        Limits(redirects=-1)
