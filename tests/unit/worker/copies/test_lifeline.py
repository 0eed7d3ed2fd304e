import threading

import pytest

from limner.errors import StoreUnavailable
from tests.conftest import eventually
from worker.copies.lifeline import Lifeline


class Lease:
    """Counts its renewals, and answers them as the test says."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers)
        self.renewed = 0
        self.changed = threading.Event()

    def __call__(self) -> bool:
        self.renewed += 1
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer


def lifelines() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "limner-lifeline"]


def test_a_lease_is_renewed_until_the_step_has_ended() -> None:
    lease = Lease()
    with Lifeline(lease, every=0.001, longest=60.0):
        eventually(lambda: lease.renewed > 5)
    eventually(lambda: not lifelines())


def test_a_step_that_hangs_loses_its_lease() -> None:
    lease = Lease()
    with Lifeline(lease, every=0.001, longest=0.003):
        eventually(lambda: not lifelines())
    assert lease.renewed == 3


def test_a_lost_lease_is_not_asked_for_again() -> None:
    lease = Lease(True, False)
    with Lifeline(lease, every=0.001, longest=60.0):
        eventually(lambda: not lifelines())
    assert lease.renewed == 2


def test_redis_may_be_away_for_a_while() -> None:
    lease = Lease(StoreUnavailable("away"), StoreUnavailable("away"))
    with Lifeline(lease, every=0.001, longest=60.0):
        eventually(lambda: lease.renewed > 2)


def test_the_error_of_the_step_goes_on() -> None:
    with pytest.raises(ZeroDivisionError), Lifeline(Lease(), every=60.0, longest=60.0):
        _ = 1 / 0
    eventually(lambda: not lifelines())
