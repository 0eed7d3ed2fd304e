from sandbox.kie.accounts.calls import CREATE, READ
from sandbox.kie.faults.faults import Fault
from sandbox.kie.options import ProviderOptions, TaskIds
from sandbox.kie.state import ProviderState
from sandbox.kie.tasks.ledger import KieTask
from sandbox.kie.tasks.orders import MODEL, TaskOrder


def run(prompts: list[str], **options: object) -> dict[str, tuple[str, float, list[Fault]]]:
    """Each prompt's task: its id, its end and its faults."""
    chosen = ProviderOptions(faults='{"stuck": 0.2, "no_urls": 0.3}', **options)  # type: ignore[arg-type]
    state = ProviderState(chosen, "http://base.test", clock=lambda: 1_000.0)
    tasks = {}
    for prompt in prompts:
        order = TaskOrder(MODEL, {"prompt": prompt}, None, "TURBO", 1)
        task = state.accept(order, state.randomness(prompt), state.accounts["main"], state.now())
        tasks[prompt] = (task.id, task.finish_ms, list(task.fate))
    return tasks


def accept(state: ProviderState, order: TaskOrder) -> KieTask:
    return state.accept(order, state.randomness("kite"), state.accounts["main"], state.now())


PROMPTS = [f"kite {number}" for number in range(30)]


def test_with_a_seed_a_request_has_the_same_fate_in_any_order_of_arrival() -> None:
    assert run(PROMPTS, seed=5) == run(PROMPTS[::-1], seed=5)


def test_another_seed_and_no_seed_give_other_fates() -> None:
    outcomes = [run(PROMPTS, seed=5), run(PROMPTS, seed=6), run(PROMPTS), run(PROMPTS)]
    assert all(first != second for first in outcomes for second in outcomes if first is not second)


def test_the_same_request_twice_makes_two_tasks() -> None:
    state = ProviderState(ProviderOptions(seed=5), "http://base.test")
    order = TaskOrder(MODEL, {"prompt": "kite"}, None, "TURBO", 1)
    ids = [accept(state, order).id for _ in range(2)]
    assert len(set(ids)) == len(state.ledger.tasks) == 2


def test_task_ids_can_have_the_documented_form_and_are_unique() -> None:
    state = ProviderState(
        ProviderOptions(task_ids=TaskIds.IDEOGRAM), "http://base.test", clock=lambda: 1_765_180_579.3
    )
    order = TaskOrder(MODEL, {"prompt": "kite"}, None, "TURBO", 1)
    ids = [accept(state, order).id for _ in range(2)]
    assert ids == ["task_ideogram_1765180579300", "task_ideogram_1765180579301"]


def latencies(**options: float) -> list[float]:
    state = ProviderState(ProviderOptions(seed=5, **options), "http://base.test")  # type: ignore[arg-type]
    drawn = []
    for prompt in PROMPTS:
        state.randomness(prompt)
        drawn.append(state.latency(CREATE, prompt))
    return drawn


def test_latencies_spread_around_their_median_and_repeat_with_the_seed() -> None:
    drawn = latencies(create_latency=0.6, latency_sigma=0.3)
    assert len(set(drawn)) == len(PROMPTS)
    assert 0.45 < sorted(drawn)[len(drawn) // 2] < 0.8
    assert drawn == latencies(create_latency=0.6, latency_sigma=0.3)


def test_a_latency_without_a_spread_is_constant() -> None:
    assert set(latencies(create_latency=0.6)) == {0.6}
    assert set(latencies(read_latency=0.6, latency_sigma=0.3)) == {0}


def test_a_latency_does_not_change_a_seeded_run() -> None:
    assert run(PROMPTS, seed=5) == run(PROMPTS, seed=5, create_latency=0.6, latency_sigma=0.3)


def test_the_summary_has_each_account_and_the_totals() -> None:
    options = ProviderOptions(accounts="north=n1+n2,south=s1,west=w1", credits=100, seed=5)
    state = ProviderState(options, "http://base.test", clock=lambda: 1_000.0)
    order = TaskOrder(MODEL, {"prompt": "kite"}, None, "QUALITY", 1)
    for key, tasks in [("n1", 2), ("s1", 1)]:
        for _ in range(tasks):
            arrival = state.arrived(CREATE, f"Bearer {key}")
            assert arrival.caller is not None
            state.accept(order, state.randomness("kite"), arrival.caller.account, arrival.now)
            state.ended(arrival, "200")
    state.ended(state.arrived(READ, "Bearer n2"), "429")
    summary = state.summary()
    assert summary["accounts"]["north"] == {
        "created": 2,
        "billed": 20.0,
        "most_creates_in_window": 2,
        "calls": {"createTask": {"200": 2}, "recordInfo": {"429": 1}},
        "most_reads_in_second": [0, 1],
        "running": 2,
        "balance": 80.0,
    }
    assert summary["accounts"]["west"]["created"] == 0
    assert (summary["running"], summary["balance"], summary["created"]) == (3, 270.0, 3)
    assert (summary["most_creates_in_window"], summary["most_reads_in_second"]) == (2, 1)
    assert [row["account"] for row in state.ledger.rows(0)] == ["north", "north", "south"]
