from sandbox.faults import Fault
from sandbox.options import ProviderOptions, TaskIds
from sandbox.orders import MODEL, Order
from sandbox.state import ProviderState


def run(prompts: list[str], **options: object) -> dict[str, tuple[str, float, list[Fault]]]:
    """What each prompt's task became: its id, its duration and its faults."""
    chosen = ProviderOptions(faults='{"stuck": 0.2, "no_urls": 0.3}', **options)  # type: ignore[arg-type]
    state = ProviderState(chosen, "http://base.test", clock=lambda: 1_000.0)
    became = {}
    for prompt in prompts:
        order = Order(MODEL, {"prompt": prompt}, None, "TURBO", 1)
        task = state.accept(order, state.randomness(prompt))
        became[prompt] = (task.id, task.finish_ms, list(task.fate))
    return became


PROMPTS = [f"kite {number}" for number in range(30)]


def test_a_seed_gives_each_request_the_same_fate_in_whatever_order_they_arrive() -> None:
    assert run(PROMPTS, seed=5) == run(PROMPTS[::-1], seed=5)


def test_another_seed_and_no_seed_give_other_fates() -> None:
    outcomes = [run(PROMPTS, seed=5), run(PROMPTS, seed=6), run(PROMPTS), run(PROMPTS)]
    assert all(first != second for first in outcomes for second in outcomes if first is not second)


def test_the_same_request_twice_makes_two_tasks() -> None:
    state = ProviderState(ProviderOptions(seed=5), "http://base.test")
    order = Order(MODEL, {"prompt": "kite"}, None, "TURBO", 1)
    ids = [state.accept(order, state.randomness("kite")).id for _ in range(2)]
    assert len(set(ids)) == len(state.ledger.tasks) == 2


def test_task_ids_come_in_the_documented_form_and_do_not_repeat() -> None:
    state = ProviderState(
        ProviderOptions(task_ids=TaskIds.IDEOGRAM), "http://base.test", clock=lambda: 1_765_180_579.3
    )
    order = Order(MODEL, {"prompt": "kite"}, None, "TURBO", 1)
    ids = [state.accept(order, state.randomness("kite")).id for _ in range(2)]
    assert ids == ["task_ideogram_1765180579300", "task_ideogram_1765180579301"]
