import threading
from itertools import cycle
from queue import SimpleQueue

from tests.conftest import eventually
from worker.copies.room import Room


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_no_more_copies_run_than_there_are_places() -> None:
    room = Room(2, patience=0.001)
    assert [room.enter(), room.enter(), room.enter()] == [True, True, False]
    room.leave()
    assert room.enter()


def test_half_as_many_steps_again_are_claimed_as_there_are_places() -> None:
    room = Room(4)
    assert room.claims() == 6
    room.claimed(4)
    assert room.claims() == 2
    room.enter()
    room.leave()
    assert room.claims() == 3


def test_a_step_waits_for_a_place_and_no_more_do_than_were_claimed_in_advance() -> None:
    room = Room(2, patience=60.0)
    entered: SimpleQueue[bool] = SimpleQueue()
    for _ in range(2):
        assert room.enter()
    waits = threading.Thread(target=lambda: entered.put(room.enter()))
    waits.start()
    # One waits, and there is no room for another one that waits.
    eventually(lambda: not room.enter() if room._waiting else False)
    assert entered.empty()
    room.leave()
    assert entered.get(timeout=60)
    waits.join()


def test_a_step_that_was_given_back_may_be_claimed_again() -> None:
    room = Room(1)
    room.claimed(2)
    assert room.claims() == 0
    room.decline()
    assert room.claims() == 1


def test_claims_of_which_nothing_is_heard_are_forgotten() -> None:
    clock = Clock()
    room = Room(1, forget=20.0, monotonic=clock)
    room.claimed(2)
    clock.now = 19.0
    assert room.claims() == 0
    clock.now = 20.5
    assert room.claims() == 2


def test_a_worker_claims_in_return_for_what_it_has_done_for_others() -> None:
    room = Room(2)
    room.enter()
    room.leave()
    room.claimed(3)
    assert room.claims() == 1


def test_all_workers_together_claim_no_more_than_half_again_their_places() -> None:
    # One worker takes all messages, whoever has claimed them.
    rooms = [Room(2), Room(2), Room(2)]
    claimed = finished = 0
    for room, _ in zip(cycle(rooms), range(300), strict=False):
        steps = room.claims()
        room.claimed(steps)
        claimed += steps
        assert claimed - finished <= 9
        if claimed > finished and rooms[0].enter():
            rooms[0].leave()
            finished += 1
    assert finished > 250
