from worker.copies.outage import PAUSE, Outage


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_storage_that_has_failed_is_spared_for_a_moment() -> None:
    clock = Clock()
    outage = Outage(clock)
    assert outage.message() is None
    outage.begun("the bucket is gone")
    clock.now = PAUSE - 0.1
    assert outage.message() == "the bucket is gone"
    clock.now = PAUSE + 0.1
    assert outage.message() is None


def test_a_success_ends_it() -> None:
    outage = Outage(Clock())
    outage.begun("the disk is full")
    outage.over()
    assert outage.message() is None
