"""The dispatcher: the messages that it makes of steps, and the times of its claims."""

import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from limner.ledger import Claim, Claimed, Leases, Loss, Money, Quota
from worker import dispatcher
from worker.dispatcher import (
    FIRST_BEHIND,
    LEAST_GAP,
    MAINTAIN_GAP,
    MOST_BEHIND,
    TASKS,
    Dispatcher,
    Message,
    messages,
)
from worker.marks import Marks
from worker.services import POLLS_IN_A_MESSAGE


def polls(count: int, first: int = 0) -> list[Claim]:
    return [Claim(f"job {number}", "poll", 100 + number) for number in range(first, first + count)]


def carried(message: Message) -> list[tuple[str, int]]:
    [pairs] = message.arguments
    return list(pairs)


# Messages


def test_no_steps_make_no_message() -> None:
    assert list(messages([])) == []


def test_a_single_poll_makes_one_message() -> None:
    assert list(messages(polls(1))) == [
        Message(TASKS["poll"], "poll:job 0:100", [[("job 0", 100)]]),
    ]


@pytest.mark.parametrize(
    ("count", "groups"), [(1, [1]), (7, [7]), (8, [8]), (9, [8, 1]), (16, [8, 8]), (20, [8, 8, 4])]
)
def test_a_message_contains_at_most_eight_polls(count: int, groups: list[int]) -> None:
    assert POLLS_IN_A_MESSAGE == 8
    assert [len(carried(message)) for message in messages(polls(count))] == groups


def test_polls_keep_their_order_across_messages() -> None:
    pairs = [pair for message in messages(polls(20)) for pair in carried(message)]
    assert pairs == [(poll.job_id, poll.lease) for poll in polls(20)]


def test_a_message_of_polls_has_the_ids_of_its_jobs() -> None:
    first, second = messages(polls(10))
    assert first.task_id == f"poll:{','.join(f'job {number}' for number in range(8))}:100"
    assert second.task_id == "poll:job 8,job 9:108"


@pytest.mark.parametrize("step", ["create", "recover"])
def test_a_step_s_message_names_the_job_and_has_an_id_of_its_own(step: Any) -> None:
    assert list(messages([Claim("job", step, 7)])) == [Message(TASKS[step], f"{step}:job:7", ["job", 7])]


def test_a_message_to_check_credits_names_the_account() -> None:
    [message] = messages([Claim("north", "credits", 7)])
    assert message == Message(TASKS["credits"], "credits:north:7", ["north", 7])


def test_a_job_with_an_account_s_name_has_a_different_message_from_the_credits_check() -> None:
    both = [Claim("north", "credits", 7), Claim("north", "recover", 7)]
    assert len({message.task_id for message in messages(both)}) == 2


def test_other_steps_have_their_own_messages_before_the_polls() -> None:
    first, *rest = polls(3)
    steps = [first, Claim("a", "create", 1), *rest, Claim("b", "recover", 2), Claim("c", "create", 3)]
    sent = list(messages(steps))
    assert [message.task_id for message in sent] == [
        "create:a:1",
        "recover:b:2",
        "create:c:3",
        "poll:job 0,job 1,job 2:100",
    ]
    assert carried(sent[-1]) == [(poll.job_id, poll.lease) for poll in polls(3)]


# Times of claims

MOMENT = 1e-6


class Time:
    """A clock that advances only during waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Stop:
    """The event that stops a dispatcher; a wait takes its whole timeout."""

    def __init__(self, time: Time) -> None:
        self._time, self._set = time, False

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True

    def wait(self, seconds: float) -> bool:
        self._time.now += seconds
        return self._set


class WakeUp:
    """A wake-up that notifies after the test's delays, each from the start of a wait; then never."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.notifications: Iterator[float] = iter(())

    def wait(self, timeout: float) -> bool:
        notified_in = next(self.notifications, None)
        self._time.now += timeout if notified_in is None else min(notified_in, timeout)
        return notified_in is not None and notified_in <= timeout

    def close(self) -> None:
        pass


class Queue:
    """A queue that records the times of claims and of maintenance."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.wake_up = WakeUp(time)
        self.claims: list[float] = []
        self.maintained: list[float] = []
        self.wait: float = 1.0
        self.stepped = 0.0
        self.more = 0
        """The number of times that maintenance has more to do at once."""
        self.on_claim: Callable[[], None] = lambda: None

    def wakeup(self) -> WakeUp:
        return self.wake_up

    def claim(self, *_quotas: Quota, **_money: Money) -> Claimed:
        self.claims.append(self._time.now)
        self.on_claim()
        stepped, self.stepped = self.stepped, 0.0
        return Claimed([], [], self.wait, stepped=stepped)

    def maintain(self) -> bool:
        self.maintained.append(self._time.now)
        self.more -= 1
        return self.more >= 0


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(dispatcher, "time", time)
    return time


@pytest.fixture
def queue(time: Time) -> Queue:
    return Queue(time)


def dispatching(queue: Queue) -> Dispatcher:
    letters = SimpleNamespace(fleet_key=lambda: "a key")
    ledger: Any = SimpleNamespace(queue=queue, leases=Leases(), letters=letters)
    return Dispatcher(SimpleNamespace(), ledger, [], Money(), Marks())  # type: ignore[arg-type]


def run(queue: Queue, time: Time, *, seconds: float) -> None:
    """Run a dispatcher for some seconds, or until it has made too many claims."""
    running = dispatching(queue)
    running._stopped = Stop(time)  # type: ignore[assignment]
    end = time.now + seconds

    def stop_in_time() -> None:
        if time.now >= end or len(queue.claims) > 10_000:
            running.stop()

    queue.on_claim = stop_in_time
    running.run()


def test_a_step_of_the_clock_is_told_with_its_size(
    queue: Queue, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    queue.stepped = -3600.25
    run(queue, time, seconds=3)
    assert caplog.text.count("the clock of Redis was stepped by -3600.2 s") == 1


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("rolled_back", "has gone back to an older state"),
        ("emptied", "was emptied, or is another one"),
        ("known", "another worker has found before"),
    ],
)
def test_a_loss_of_data_is_told_as_an_error(
    what: Literal["rolled_back", "emptied", "known"], told: str, caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher.tell_loss(Loss(what, restored=3, unknown=2))
    [record] = caplog.records
    assert record.levelname == "ERROR"
    assert told in caplog.text
    assert "On record again: 3 attempts; tasks of jobs that are gone: 2" in caplog.text


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(times)]


def test_a_busy_dispatcher_leaves_a_gap_between_its_claims(queue: Queue, time: Time) -> None:
    queue.wait = 0.0
    run(queue, time, seconds=0.5)
    assert len(queue.claims) == pytest.approx(0.5 / LEAST_GAP, abs=2)
    assert gaps(queue.claims) == pytest.approx([LEAST_GAP] * (len(queue.claims) - 1))


def test_frequent_notifications_lead_to_one_claim_each_gap(queue: Queue, time: Time) -> None:
    queue.wake_up.notifications = iter([LEAST_GAP / 5] * 100)
    run(queue, time, seconds=99.5 * LEAST_GAP)
    assert gaps(queue.claims) == pytest.approx([LEAST_GAP] * 100)


def test_an_idle_dispatcher_claims_at_once_when_it_is_notified(queue: Queue, time: Time) -> None:
    queue.wake_up.notifications = iter([0.3, 0.2])
    run(queue, time, seconds=0.5)
    assert gaps(queue.claims) == pytest.approx([0.3, 0.2], abs=MOMENT)


def test_a_dispatcher_claims_again_at_the_time_that_the_ledger_named(queue: Queue, time: Time) -> None:
    queue.wait = 0.07
    run(queue, time, seconds=0.2)
    assert gaps(queue.claims)[0] == pytest.approx(0.07, abs=MOMENT)


def test_a_dispatcher_that_finds_nothing_after_its_wait_comes_later_the_next_time(
    queue: Queue, time: Time
) -> None:
    queue.wait = 0.07
    run(queue, time, seconds=3.0)
    behind = [gap - queue.wait for gap in gaps(queue.claims)]
    expected = [0.0, *(min(FIRST_BEHIND * 2**times, MOST_BEHIND) for times in range(len(behind) - 1))]
    assert behind == pytest.approx(expected, abs=MOMENT)


def test_notifications_in_vain_do_not_delay_a_dispatcher(queue: Queue, time: Time) -> None:
    queue.wait, queue.wake_up.notifications = 0.07, iter([0.01] * 20)
    run(queue, time, seconds=0.25)
    *wakeup, slept = gaps(queue.claims)[:21]
    assert max(wakeup) < queue.wait
    assert slept == pytest.approx(0.07, abs=MOMENT)


def test_a_dispatcher_waits_at_most_a_second(queue: Queue, time: Time) -> None:
    queue.wait = 3600.0
    run(queue, time, seconds=3.0)
    assert gaps(queue.claims) == pytest.approx([1.0] * 3, abs=MOMENT)


def test_maintenance_runs_at_once_and_then_at_intervals(queue: Queue, time: Time) -> None:
    queue.wait = 0.1
    run(queue, time, seconds=4 * MAINTAIN_GAP)
    late = gaps(queue.maintained)
    assert min(late) >= MAINTAIN_GAP
    assert max(late) <= MAINTAIN_GAP + queue.wait + MOST_BEHIND + MOMENT


@pytest.mark.parametrize("wait", [0.0, 3600.0], ids=["busy", "idle"])
def test_maintenance_continues_at_once_while_there_is_more(queue: Queue, time: Time, wait: float) -> None:
    queue.wait, queue.more = wait, 3
    run(queue, time, seconds=MAINTAIN_GAP + 1.0)
    *pieces, later = gaps(queue.maintained)
    assert len(pieces) == 3
    assert max(pieces) <= LEAST_GAP + MOMENT
    assert later >= MAINTAIN_GAP - MOMENT


# Faults


def test_a_dispatcher_that_ticks_or_was_stopped_has_no_fault(queue: Queue, time: Time) -> None:
    running = dispatching(queue)
    assert running.fault(15) == "its dispatcher has ended"
    running.stop()
    assert running.fault(15) is None


def test_a_dispatcher_that_stands_still_is_at_fault(queue: Queue, time: Time) -> None:
    running = dispatching(queue)
    begun, go_on = threading.Event(), threading.Event()

    def stand_still() -> None:
        begun.set()
        go_on.wait(10)
        running.stop()

    queue.on_claim = stand_still
    running.start()
    assert begun.wait(10)
    assert running.fault(15) is None
    time.now += 16
    assert running.fault(15) == "its dispatcher has stood still for 16 s"
    go_on.set()
    running.join(10)
