"""The order of sending: lanes, priorities, expiry, and the same options of plain Celery producers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.result import AsyncResult

from limner import Images, Job, Limner, errors
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, plain_celery, quick_provider

WAIT = 60.0
QUOTA = 5


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    # One thread sends in the order of the grants, so the order of requests is the order of grants.
    settings = {
        **ROOMY,
        "LIMNER_RATE_REQUESTS": str(QUOTA),
        "LIMNER_RATE_SECONDS": "1",
        "LIMNER_CONCURRENCY": "1",
    }
    provider = quick_provider(creates=QUOTA, window_seconds=1.0)
    with LocalFleet(callbacks=True, settings=settings, provider=provider) as running:
        yield running


@pytest.fixture
def provider(fleet: LocalFleet, limner: Limner) -> SandboxProvider:
    """The stand-in, reset after the previous test."""
    assert fleet.provider
    return fleet.provider


def sent(provider: SandboxProvider) -> list[str]:
    """The prompts in the order of their POSTs' arrival."""
    return [task["input"]["prompt"] for task in provider.ledger()]


def cancel(jobs: list[Job]) -> None:
    for job in jobs:
        job.cancel()


def test_another_lane_and_a_higher_priority_overtake_a_long_queue(
    limner: Limner, provider: SandboxProvider
) -> None:
    crowd = limner.submit_many((f"crowd {number}" for number in range(100)), lane="crowd")
    eventually(lambda: len(sent(provider)) >= QUOTA + 1)
    urgent = limner.submit("urgent", priority=9)
    single = limner.submit("single", lane="single")
    low = limner.submit("low", priority=0)
    # At most one window of jobs may have been granted by now and not sent.
    begun = len(sent(provider)) + QUOTA
    assert urgent.result(WAIT).urls
    assert single.result(WAIT).urls
    eventually(lambda: len(sent(provider)) >= begun + 2 * QUOTA)
    order = sent(provider)
    assert order.index("urgent") <= begun
    # It is the next one, or the one after that.
    assert order.index("single") <= begun + 2
    assert order.index("urgent") < order.index("single")
    # Within a lane, jobs are sent in the order of submission.
    of_crowd = [prompt for prompt in order if prompt.startswith("crowd")]
    assert of_crowd == [f"crowd {number}" for number in range(len(of_crowd))]
    assert len(of_crowd) < 60, "there was nothing to wait for"
    assert "low" not in order
    cancel(crowd[::-1])
    assert low.result(WAIT).urls
    # The fleet never exceeded five a second.
    assert provider.summary()["most_creates_in_window"] <= QUOTA
    assert set(provider.summary()["calls"]["createTask"]) == {"200"}


def test_two_lanes_alternate(limner: Limner, provider: SandboxProvider) -> None:
    limner.pause()
    first = limner.submit_many((f"first {number}" for number in range(8)), lane="first")
    second = limner.submit_many((f"second {number}" for number in range(4)), lane="second")
    limner.resume()
    for job in [*first, *second]:
        assert job.result(WAIT).urls
    order = sent(provider)
    taken = [prompt.split()[0] for prompt in order]
    assert [sorted(taken[at : at + 2]) for at in range(0, 8, 2)] == [["first", "second"]] * 4
    assert taken[8:] == ["first"] * 4


def test_a_job_expires_if_it_is_not_sent_in_time(
    fleet: LocalFleet, limner: Limner, provider: SandboxProvider
) -> None:
    limner.pause()
    job = limner.submit("too late", lane="late", expires_in=1.0)
    patient = limner.submit("in time", expires_in=600.0)
    with pytest.raises(errors.Expired) as expired:
        job.result(WAIT)
    assert expired.value.charged == "no"
    assert expired.value.safe_to_resend
    status = job.status()
    assert (status.state, status.attempts) == ("expired", 0)
    assert status.finished_at
    assert status.expires_at
    assert timedelta(0) <= status.finished_at - status.expires_at < timedelta(seconds=5)
    with pytest.raises(errors.Expired) as stored:
        plain_celery(fleet.redis_url).AsyncResult(job.id).get(timeout=WAIT)
    assert stored.value.details == expired.value.details
    books = limner.spend(2)
    costs = [
        books.standing.held_by_lane,
        books.standing.doubtful_by_lane,
        *(day.by_lane for day in books.days),
    ]
    assert all("late" not in cost for cost in costs)
    assert patient.status().state == "queued"

    limner.resume()
    assert patient.result(WAIT).urls
    assert sent(provider) == ["in time"]
    assert job.status().state == "expired"


class TestPlainProducers:
    """Celery apps that send ``limner.create_task`` by its name."""

    def send(self, fleet: LocalFleet, **kwargs: Any) -> "AsyncResult[Any]":
        result: AsyncResult[Any] = plain_celery(fleet.redis_url).send_task(
            "limner.create_task", kwargs=kwargs, queue="limner"
        )
        return result

    def test_a_lane_an_expiry_and_an_account_can_be_given(
        self, fleet: LocalFleet, limner: Limner, provider: SandboxProvider
    ) -> None:
        result = self.send(fleet, prompt="plainly", lane="tenant-42", expires_in=600, account="main")
        images = Images.model_validate(result.get(timeout=WAIT))
        assert images.job_id == result.id
        status = limner.get(result.id).status()
        assert (status.lane, status.account) == ("tenant-42", "main")
        assert status.expires_at
        left = (status.expires_at - datetime.now(UTC)).total_seconds()
        assert 600 - WAIT < left <= 600
        assert sent(provider) == ["plainly"]

    def test_an_expired_job_is_a_failure(
        self, fleet: LocalFleet, limner: Limner, provider: SandboxProvider
    ) -> None:
        limner.pause()
        result = self.send(fleet, prompt="plainly too late", expires_in=1)
        with pytest.raises(errors.Expired):
            result.get(timeout=WAIT)
        assert result.state == "FAILURE"
        limner.resume()
        assert limner.submit("marker").result(WAIT).urls
        assert sent(provider) == ["marker"]

    @pytest.mark.parametrize(
        ("option", "named"),
        [
            ({"account": "south"}, "account: there is no 'south'; the fleet has main"),
            ({"account": ""}, "account"),
            ({"lane": ""}, "lane"),
            ({"lane": 5}, "lane"),
            ({"expires_in": 0}, "expires_in"),
            ({"expires_in": "soon"}, "expires_in"),
            ({"expires_in": [5]}, "expires_in"),
            ({"expires_in": True}, "expires_in"),
        ],
        ids=json.dumps,
    )
    def test_an_invalid_option_fails_with_the_field_s_name(
        self,
        fleet: LocalFleet,
        limner: Limner,
        provider: SandboxProvider,
        option: dict[str, Any],
        named: str,
    ) -> None:
        result = self.send(fleet, prompt="never sent", **option)
        with pytest.raises(errors.InvalidRequest, match=named):
            result.get(timeout=WAIT)
        assert result.state == "FAILURE"
        with pytest.raises(errors.UnknownJob):
            limner.get(result.id).status()
        assert sent(provider) == []
