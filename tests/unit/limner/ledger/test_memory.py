"""The memory of a worker."""

import pytest

from limner.ledger import memory as module
from limner.ledger.memory import Memory, Seen


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> Memory:
    memory = Memory(clock)
    memory.see(Seen("first", 5, 2))
    return memory


def began(memory: Memory, job_id: str, number: int, epoch: str = "first") -> None:
    memory.began(job_id, 1, "token", "main", epoch, number)


def test_an_attempt_is_remembered_for_ten_minutes(memory: Memory, clock: Clock) -> None:
    began(memory, "a", 3)
    clock.now = 599.0
    began(memory, "b", 4)
    assert [each.job_id for each in memory.sent()] == ["a", "b"]
    clock.now = 601.0
    assert [each.job_id for each in memory.sent()] == ["b"]


def test_only_so_many_attempts_are_remembered(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ATTEMPTS", 2)
    for number in range(3):
        began(memory, str(number), number)
    assert [each.job_id for each in memory.sent()] == ["1", "2"]


def test_what_became_of_an_attempt_is_remembered(memory: Memory) -> None:
    for job_id in "abc":
        began(memory, job_id, 3)
    memory.accepted("a", 1, "t1")
    memory.refused("b", 1)
    memory.refused("unknown", 1)
    found = {each.job_id: (each.task_id, each.refused) for each in memory.sent()}
    assert found == {"a": ("t1", False), "b": (None, True), "c": (None, False)}


def test_the_latest_state_of_an_epoch_is_kept(memory: Memory) -> None:
    memory.see(Seen("first", 4, 9))
    assert memory.seen() == Seen("first", 5, 9)
    began(memory, "a", 12)
    began(memory, "b", 99, epoch="another one")
    assert memory.seen() == Seen("first", 5, 12)


def test_another_epoch_begins_anew(memory: Memory) -> None:
    memory.see(Seen("second", 1, 0))
    assert memory.seen() == Seen("second", 1, 0)
    memory.see(Seen("second", 0, 0), anew=True)
    assert memory.seen() == Seen("second", 0, 0)


def test_a_forked_child_has_seen_nothing(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as child:
        child.setattr("os.getpid", lambda: -1)
        assert memory.seen() == Seen()
    assert memory.seen() == Seen("first", 5, 2)
