"""The order of jobs: by priority, then by turns of the lanes, then by submission."""

import random

from limner.ledger import Claim, Grant, Quota
from limner.ledger.layout.constants import MOST_PASSED
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.stories import NO_ANSWER, REFUSED, UNSENT


def next_ones(bench: Bench, count: int = 1) -> list[Claim]:
    """Claim the next jobs, with an empty window."""
    bench.now += 1.0
    claimed = bench.claim(Quota(count, 0.5, 0, 1.0, 1_000_000))
    return [step for step in claimed.steps if step.step == "create"]


def order(bench: Bench, count: int, at_once: int = 1) -> list[str]:
    """The prompts of the next jobs in order, with ``at_once`` jobs a claim."""
    prompts = []
    for _ in range(count // at_once):
        for step in next_ones(bench, at_once):
            record = bench.ledger.jobs.read(step.job_id)
            assert record
            prompts.append(record.request["prompt"])
            assert isinstance(bench.ledger.jobs.begin(step.job_id, step.lease, "token", deadline=900), Grant)
    return prompts


def fill(bench: Bench, lane: str | None, count: int, **options: object) -> list[str]:
    jobs = [new(f"{lane} {number}", lane=lane, **options) for number in range(count)]
    return [told.job_id for told in bench.ledger.jobs.submit_many(jobs)]


def test_a_single_job_goes_next_however_many_another_lane_has(bench: Bench) -> None:
    fill(bench, "a", 10_000)
    assert order(bench, 20, at_once=20)
    [alone] = fill(bench, "b", 1)
    assert alone in [step.job_id for step in next_ones(bench, 2)]


def test_lanes_take_turns(bench: Bench) -> None:
    fill(bench, "a", 100)
    fill(bench, "b", 3)
    fill(bench, "c", 3)
    told = order(bench, 9)
    assert [sorted(told[at : at + 3]) for at in (0, 3, 6)] == [
        [f"a {number}", f"b {number}", f"c {number}"] for number in range(3)
    ]


def test_jobs_without_a_lane_share_one(bench: Bench) -> None:
    fill(bench, None, 50)
    fill(bench, "b", 2)
    assert set(order(bench, 4)) == {"None 0", "None 1", "b 0", "b 1"}


def test_within_a_lane_the_order_of_submission_holds(bench: Bench) -> None:
    fill(bench, "a", 30)
    fill(bench, "b", 30)
    told = order(bench, 60, at_once=7) + order(bench, 4)
    for lane in "ab":
        mine = [prompt for prompt in told if prompt.startswith(lane)]
        assert mine == [f"{lane} {number}" for number in range(len(mine))]


def test_priority_precedes_lanes(bench: Bench) -> None:
    fill(bench, "a", 3, priority=5)
    fill(bench, "b", 3, priority=9)
    assert order(bench, 6) == ["b 0", "b 1", "b 2", "a 0", "a 1", "a 2"]


def test_each_priority_has_its_own_turns(bench: Bench) -> None:
    fill(bench, "a", 100, priority=9)
    fill(bench, "a", 2, priority=5)
    fill(bench, "b", 2, priority=5)
    order(bench, 100, at_once=20)
    assert set(order(bench, 2)) == {"a 0", "b 0"}


def test_an_idle_lane_saves_no_turns(bench: Bench) -> None:
    fill(bench, "a", 40)
    order(bench, 20)
    fill(bench, "b", 40)
    told = order(bench, 20)
    assert 9 <= sum(prompt.startswith("b") for prompt in told) <= 11


def test_a_lane_whose_jobs_were_all_cancelled_starts_anew(bench: Bench) -> None:
    for job_id in fill(bench, "a", 50):
        bench.ledger.jobs.cancel(job_id, UNSENT, UNSENT)
    fill(bench, "b", 50)
    fill(bench, "a", 2)
    assert set(order(bench, 4)) == {"a 0", "a 1", "b 0", "b 1"}


def test_a_lane_whose_jobs_have_all_expired_starts_anew(bench: Bench) -> None:
    bench.ledger.accounts.pause("main", seconds=10.0)
    fill(bench, "a", 50, expires_in=5.0)
    bench.now += 10.0
    bench.claim(Quota(20, 10.0, 0, 1.0, 100))
    bench.claim(Quota(20, 10.0, 0, 1.0, 100))
    fill(bench, "b", 50)
    fill(bench, "a", 2)
    assert set(order(bench, 4)) == {"a 0", "a 1", "b 0", "b 1"}


def test_a_refused_job_keeps_its_turn(bench: Bench) -> None:
    fill(bench, "a", 20)
    [step] = next_ones(bench)
    bench.ledger.jobs.begin(step.job_id, step.lease, "token", deadline=900)
    order(bench, 3)
    bench.ledger.jobs.retry(step.job_id, 1, REFUSED, delay=0.0)
    [again] = next_ones(bench)
    assert again.job_id == step.job_id


def test_a_resubmitted_job_keeps_its_turn(bench: Bench) -> None:
    fill(bench, "a", 20)
    [step] = next_ones(bench)
    bench.ledger.jobs.begin(step.job_id, step.lease, "token", deadline=900)
    bench.ledger.jobs.doubt(step.job_id, 1, NO_ANSWER, grace=600.0)
    bench.ledger.jobs.resubmit(step.job_id, attempt=1)
    [again] = next_ones(bench)
    assert again.job_id == step.job_id


def test_a_finished_lane_is_forgotten(bench: Bench) -> None:
    fill(bench, "a", 3)
    order(bench, 3)
    assert bench.client.exists(bench.ledger.prefix + "lanes:5", bench.ledger.prefix + "lanes:waiting:5") == 0


def test_any_order_of_submissions_is_shared_fairly(bench: Bench) -> None:
    chance = random.Random(7)
    counts = dict.fromkeys("abc", 0)
    for _ in range(300):
        lane = chance.choices("abc", weights=[10, 3, 1])[0]
        fill(bench, lane, 1)
        counts[lane] += 1
    told = order(bench, 3 * counts["c"])
    for lane in "abc":
        share = sum(prompt.startswith(lane) for prompt in told)
        assert abs(share - counts["c"]) <= 1


def served(bench: Bench, at_once: int) -> list[str]:
    """Claim and begin the next jobs; returns their ids."""
    steps = next_ones(bench, at_once)
    for step in steps:
        assert isinstance(bench.ledger.jobs.begin(step.job_id, step.lease, "token", deadline=900), Grant)
    return [step.job_id for step in steps]


def fresh(bench: Bench, first: int, count: int) -> None:
    """Submit jobs of which each has a lane of its own."""
    bench.ledger.jobs.submit_many([new("fresh", lane=f"fresh {first + at}") for at in range(count)])


def test_a_lane_for_each_job_does_not_starve_a_lane_with_a_backlog(bench: Bench) -> None:
    fresh(bench, 0, 3000)
    old = set(fill(bench, "old", 50))
    # Two new lanes come for each job that is sent.
    lanes, sent, begun = 3000, 0, 0
    while begun < len(old) and sent < 6000:
        jobs = served(bench, 50)
        sent, begun = sent + len(jobs), begun + len(old.intersection(jobs))
        fresh(bench, lanes, 100)
        lanes += 100
    assert begun == len(old)
    # One in 21 is its share, once the 3,000 that came before it are sent.
    assert sent <= 3000 + 50 * 25


def test_a_new_lane_does_not_wait_for_the_backlogs_of_thousands_of_lanes(bench: Bench) -> None:
    jobs = [new(f"job {at // 3000}", lane=f"lane {at % 3000}") for at in range(9000)]
    told = [each.job_id for each in bench.ledger.jobs.submit_many(jobs)]
    thirds = set(told[6000:])
    while not (begun := set(served(bench, 100))).intersection(told[:3000]):
        pass
    [alone] = fill(bench, "alone", 1)
    while alone not in begun:
        begun = set(served(bench, 100))
        assert not begun & thirds


def test_single_jobs_in_new_lanes_keep_their_lead_over_a_backlog(bench: Bench) -> None:
    fill(bench, "old", 1000)
    lanes, sent, waiting = 0, 0, 0
    for _ in range(100):
        # New lanes ask for half of the permits.
        fresh(bench, lanes, 5)
        lanes += 5
        jobs = served(bench, 10)
        sent += sum(bench.ledger.jobs.read(job).lane != "old" for job in jobs)  # type: ignore[union-attr]
        waiting = max(waiting, lanes - sent)
    assert waiting <= 10


def test_a_claim_forgets_a_bounded_number_of_lanes(bench: Bench) -> None:
    fresh(bench, 0, 500)
    before = bench.client.zcard(bench.ledger.prefix + "lanes:5")
    next_ones(bench)
    left = bench.client.zcard(bench.ledger.prefix + "lanes:5")
    assert (before, left) == (500, 500 - MOST_PASSED)
