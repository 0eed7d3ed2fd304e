"""The fleet's recorded spending, compared with the provider's charges."""

import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from limner import Job, Limner, TextToImage, errors
from limner.spending import Spending
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider

WAIT = 60.0
SPEEDS = ("TURBO", "BALANCED", "QUALITY")
PRICES = {"TURBO": Decimal("3.5"), "BALANCED": Decimal(7), "QUALITY": Decimal(10)}

FAULTS: Mapping[str, Any] = {
    "task_fail": 0.1,
    "create_500": 0.1,
    "accept_then_drop": 0.06,
    "create_500_after": 0.04,
    "credits_missing": 0.2,
    "no_urls": 0.05,
    "callback_duplicate": 0.1,
}


@pytest.fixture(autouse=True)
def _one_day() -> None:
    # A cap applies to a day, so a test across midnight would have two of them.
    now = datetime.now(UTC)
    if (now + timedelta(seconds=90)).date() != now.date():
        pytest.skip("the day (UTC) is nearly over")


def speed_fleet(settings: Mapping[str, str], **options: Any) -> LocalFleet:
    """A fleet of two workers with callbacks, which report ends at once."""
    patience = {
        "LIMNER_CALLBACK_PATIENCE_SECONDS": "1",
        "LIMNER_IN_DOUBT_SECONDS": "8",
        "LIMNER_IMAGES_SECONDS": "1",
    }
    return LocalFleet(
        workers=2,
        callbacks=True,
        settings={**ROOMY, **patience, **settings},
        provider=quick_provider(**options),
    )


def charged(provider: SandboxProvider) -> tuple[Decimal, dict[str, Decimal]]:
    """The total billed by the provider's ledger, and each lane's part; prompts begin with their lane."""
    by_lane: defaultdict[str, Decimal] = defaultdict(Decimal)
    for task in provider.ledger():
        by_lane[task["input"]["prompt"].split()[0]] += Decimal(str(task["billed"]))
    return sum(by_lane.values(), Decimal()), {lane: sum_ for lane, sum_ in by_lane.items() if sum_}


def spent(books: Spending) -> tuple[Decimal, dict[str, Decimal]]:
    [today] = books.days
    return today.spent, dict(today.by_lane)


def possible(provider: SandboxProvider, jobs: Sequence[Job]) -> Decimal:
    """The price of all attempts of these jobs, from number 0 on, that were sent and made no task."""
    made: defaultdict[int, int] = defaultdict(int)
    for task in provider.ledger():
        made[int(task["input"]["prompt"].split()[1])] += 1
    vain = [job.status().attempts - unsent(job) - made[number] for number, job in enumerate(jobs)]
    return sum(
        (PRICES[SPEEDS[number % 3]] * (1 + number % 4) * count for number, count in enumerate(vain)),
        Decimal(),
    )


def unsent(job: Job) -> int:
    """The attempts that a slow machine gave back."""
    refused = [entry.detail["error"] for entry in job.log() if entry.event == "refused"]
    return sum(error["cause"] == "not_sent" for error in refused)


def ended(jobs: Sequence[Job]) -> list[Job]:
    return [job for job in jobs if job.status().state.ended]


def generating(provider: SandboxProvider, jobs: Sequence[Job], count: int) -> list[Job]:
    """Wait until the provider works on ``count`` of the jobs, and return them."""
    running: list[Job] = []

    def enough() -> bool:
        prompts = [
            task["input"]["prompt"]
            for task in provider.ledger()
            if task["state"] in ("waiting", "generating")
        ]
        running[:] = [jobs[int(prompt.split()[1])] for prompt in prompts]
        return len(running) >= count

    eventually(enough)
    return running[:count]


# Recorded spending


@pytest.mark.parametrize("seed", [4711])
def test_our_spending_equals_the_provider_s_under_all_faults(seed: int) -> None:
    dice = random.Random(seed)
    with speed_fleet({}, faults=FAULTS, seed=seed, duration=0.5) as fleet, Limner(fleet.redis_url) as limner:
        assert fleet.provider
        provider = fleet.provider
        jobs = []
        for number in range(160):
            lane = ("gallery", "shop")[number % 2]
            jobs.append(
                limner.submit(
                    TextToImage(
                        prompt=f"{lane} {number}",
                        rendering_speed=SPEEDS[number % 3],  # type: ignore[arg-type]
                        num_images=1 + number % 4,
                    ),
                    lane=lane,
                )
            )
            if number % 8 == 7:
                # Most of these have not been sent yet.
                dice.choice(jobs[-40:]).cancel()
        for job in generating(provider, jobs, 12):
            job.cancel()
        eventually(lambda: len(ended(jobs)) == len(jobs), within=45.0, every=0.25)
        # The fleet also learns the end of tasks whose job has ended. The possible cost of such an attempt is
        # doubtful until its answer arrives. That of an attempt which met a 500, and has no task, stays so.
        eventually(lambda: limner.spend(1).standing.held == 0, within=20.0, every=0.1)
        behind_500s = possible(provider, jobs)
        assert behind_500s > 0
        eventually(lambda: limner.spend(1).standing.doubtful == behind_500s, within=20.0, every=0.1)

        books = limner.spend(1)
        assert spent(books) == charged(provider)
        assert set(books.days[0].by_lane) == {"gallery", "shop"}
        assert books.standing.held_by_lane == {}
        # The comparison proves nothing unless the faults occurred.
        tasks = provider.ledger()
        calls = provider.summary()["calls"]["createTask"]
        assert {"task_fail", "credits_missing", "no_urls"} <= {
            name for task in tasks for name in task["faults"]
        }
        assert {"500", "dropped", "error_500"} <= set(calls)
        states = [job.status().state.value for job in jobs]
        assert states.count("cancelled") >= 10
        assert {"succeeded", "failed", "cancelled"} == set(states)
        # Some tasks were charged although their jobs had been cancelled.
        assert [job for job in jobs if job.status().state == "cancelled" and job.status().tasks]


# Caps


@pytest.fixture(scope="module")
def waiting() -> Iterator[LocalFleet]:
    caps = {"LIMNER_CREDITS_PER_DAY": "80", "LIMNER_CREDITS_PER_LANE_DAY": '{"narrow": 15, "*": 70}'}
    with speed_fleet(caps) as running:
        yield running


def test_a_job_that_would_exceed_a_cap_waits(waiting: LocalFleet) -> None:
    with Limner(waiting.redis_url) as limner:
        assert waiting.provider
        provider = waiting.provider
        narrow = limner.submit_many((f"narrow {number}" for number in range(10)), lane="narrow")
        eventually(lambda: len(ended(narrow)) == 2)
        eventually(lambda: sum(over(job) == ["lane"] for job in narrow) == 8)
        wide = limner.submit_many((f"wide {number}" for number in range(30)), lane="wide")
        # 14 credits of one lane and 63 of the other: one more job of either lane would exceed a cap.
        seen = []

        def nine_have_ended() -> bool:
            seen.append(charged(provider)[0])
            return len(ended(wide)) == 9

        eventually(nine_have_ended)
        eventually(lambda: sum(over(job) == ["day"] for job in wide) == 21)
        assert max(seen) <= 80
        assert charged(provider) == (Decimal(77), {"narrow": Decimal(14), "wide": Decimal(63)})
        left = [job for job in [*narrow, *wide] if job not in ended([*narrow, *wide])]
        assert {job.status().state for job in left} == {"queued"}
        # A cheap job overtakes the waiting ones, but there is no budget left even for it.
        cheap = [
            limner.submit(TextToImage(prompt=f"cheap {number}", rendering_speed="TURBO"))
            for number in range(2)
        ]
        eventually(lambda: len(ended(cheap)) + sum(over(job) == ["day"] for job in cheap) == 2)
        assert ended(cheap) == []
        assert charged(provider)[0] == 77
        assert spent(limner.spend(1)) == charged(provider)
        assert limner.spend(1).standing.held == 0
        assert len(provider.ledger()) == 11


def test_a_job_that_waits_for_budget_can_expire(waiting: LocalFleet) -> None:
    with Limner(waiting.redis_url) as limner:
        job = limner.submit(TextToImage(prompt="dear", num_images=4), lane="narrow", expires_in=1.0)
        with pytest.raises(errors.Expired):
            job.result(WAIT)
        assert over(job) in (["lane"], ["day"])
        assert waiting.provider
        assert waiting.provider.ledger(prompt="dear") == []


def test_with_the_policy_refuse_a_job_that_would_exceed_a_cap_fails() -> None:
    settings = {"LIMNER_CREDITS_PER_DAY": "60", "LIMNER_OVER_BUDGET": "refuse"}
    with speed_fleet(settings) as fleet, Limner(fleet.redis_url) as limner:
        assert fleet.provider
        jobs = limner.submit_many(f"refused {number}" for number in range(30))
        eventually(lambda: len(ended(jobs)) == len(jobs))
        done = [job for job in jobs if job.status().state == "succeeded"]
        assert len(done) == 8
        assert charged(fleet.provider)[0] == 56
        assert len(fleet.provider.ledger()) == 8
        app = plain_celery(fleet.redis_url)
        for job in jobs:
            if job in done:
                continue
            with pytest.raises(errors.OverBudget) as refused:
                job.result(WAIT)
            assert refused.value.charged == "no"
            assert refused.value.safe_to_resend
            assert job.status().attempts == 0
            with pytest.raises(errors.OverBudget):
                app.AsyncResult(job.id).get(timeout=WAIT)
        # A job that is cheap enough is sent.
        assert limner.submit(TextToImage(prompt="cheap", rendering_speed="TURBO")).result(WAIT).urls
        assert charged(fleet.provider)[0] == Decimal("59.5")
        books = limner.spend(1)
        assert (spent(books)[0], books.standing.held) == (Decimal("59.5"), Decimal(0))


def test_only_possible_charges_count_against_a_cap() -> None:
    settings = {"LIMNER_CREDITS_PER_DAY": "10", "LIMNER_IN_DOUBT_SECONDS": "1"}
    with speed_fleet(settings) as fleet, Limner(fleet.redis_url) as limner:
        assert fleet.provider
        fleet.provider.faults(task_fail={"next": 1, "variant": "empty"})
        with pytest.raises(errors.GenerationFailed):
            limner.submit("fails").result(WAIT)
        # The lost task is in fact charged here, and the fleet records it as doubtful.
        fleet.provider.faults(accept_then_drop={"next": 1}, callback_lost={"next": 1})
        with pytest.raises(errors.InDoubt):
            limner.submit("vanishes").result(WAIT)
        standing = limner.spend(1).standing
        assert (standing.held, standing.doubtful) == (Decimal(0), Decimal(7))
        assert spent(limner.spend(1))[0] == 0
        assert charged(fleet.provider)[0] == 7
        job = limner.submit("for the same money")
        assert job.result(WAIT).urls
        assert over(job) == []
        assert spent(limner.spend(1))[0] == 7


def over(job: Job) -> list[str]:
    """The caps that the job would have exceeded."""
    return [entry.detail["cap"] for entry in job.log() if entry.event == "over_budget"]
