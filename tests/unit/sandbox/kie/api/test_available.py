"""The files that can be fetched."""

import pytest

from sandbox.kie.api.available import available
from sandbox.kie.options import ProviderOptions
from sandbox.kie.state import ProviderState
from sandbox.kie.tasks.orders import MODEL, TaskOrder

ENDS = 1_010.0


class Moment:
    """A clock that a test sets."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def made(**options: object) -> tuple[ProviderState, Moment, str]:
    """A state with one task of two images that ends at :data:`ENDS`, its clock, and the task's id."""
    clock = Moment()
    chosen = ProviderOptions(duration=10.0, **options)  # type: ignore[arg-type]
    state = ProviderState(chosen, "http://base.test", clock)
    order = TaskOrder(MODEL, {"prompt": "kite"}, None, "TURBO", 2)
    task = state.accept(order, state.randomness("kite"), state.accounts["main"], clock())
    return state, clock, task.id


@pytest.mark.parametrize(
    ("now", "there"), [(ENDS - 1, False), (ENDS, True), (ENDS + 59, True), (ENDS + 60, False)]
)
def test_a_file_is_there_from_the_end_of_its_task_until_it_expires(now: float, there: bool) -> None:
    state, clock, task_id = made(file_seconds=60.0)
    clock.now = now
    assert (available(state, f"{task_id}_0.png") is not None) is there


def test_each_image_of_a_task_has_a_name_and_nothing_else_has() -> None:
    state, clock, task_id = made()
    clock.now = ENDS
    paths = [found.path for name in ("0", "1") if (found := available(state, f"{task_id}_{name}.png"))]
    assert paths == [f"/files/{task_id}_0.png", f"/files/{task_id}_1.png"]
    for name in (f"{task_id}_2.png", f"{task_id}.png", f"{task_id}_0.jpg", "unknown_0.png", ""):
        assert available(state, name) is None


def test_the_files_of_a_failed_task_are_not_there() -> None:
    state, clock, task_id = made(faults='{"task_fail": 1}')
    clock.now = ENDS
    assert available(state, f"{task_id}_0.png") is None
