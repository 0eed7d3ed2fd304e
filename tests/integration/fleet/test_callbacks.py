"""Callbacks from end to end: workers that ask for them, the stand-in that sends them, and the receiver."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from limner import JobState, Limner
from limner._redis import connect
from limner.errors import GenerationFailed
from limner.ledger import Ledger
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import FleetError, LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider

KEY = "example-webhook-key"
LONG = 60.0
"""Seconds that a worker waits for a callback: longer than a test, so that every end comes by callback."""
SHORT = 1.0
KNOWN = {"expected", "repeated", "adopted"}
"""The possible outcomes of a callback after its answer, which it may overtake on a busy machine."""


def callback_fleet(patience: float) -> LocalFleet:
    settings = {**ROOMY, "LIMNER_CALLBACK_PATIENCE_SECONDS": str(patience)}
    # Long enough for callbacks to come after the createTask answer, unless a fault changes that.
    provider = quick_provider(duration=0.3, hmac_key=KEY, callback_spacing=0.1)
    return LocalFleet(callbacks=True, settings=settings, provider=provider)


@pytest.fixture(scope="module")
def _patient() -> Iterator[LocalFleet]:
    with callback_fleet(LONG) as running:
        yield running


@pytest.fixture(scope="module")
def _wary() -> Iterator[LocalFleet]:
    with callback_fleet(SHORT) as running:
        yield running


@pytest.fixture
def patient(_patient: LocalFleet) -> LocalFleet:
    return emptied(_patient)


@pytest.fixture
def wary(_wary: LocalFleet) -> LocalFleet:
    return emptied(_wary)


def emptied(fleet: LocalFleet) -> LocalFleet:
    provider(fleet).reset()
    with connect(fleet.redis_url) as client:
        client.delete(Ledger(client).prefix + "callbacks")
    return fleet


def provider(fleet: LocalFleet) -> SandboxProvider:
    assert fleet.provider
    return fleet.provider


def counts(fleet: LocalFleet) -> dict[str, int]:
    with connect(fleet.redis_url) as client:
        return Ledger(client).journal.callback_counts()


def deliveries(fleet: LocalFleet) -> list[int]:
    return [callback["status"] for callback in provider(fleet).ledger()[0]["callbacks"]]


@pytest.mark.parametrize(
    ("faults", "outcomes"),
    [
        ([], KNOWN),
        (["callback_duplicate"], KNOWN),
        (["callback_late"], KNOWN),
        (["callback_before_terminal"], KNOWN),
        (["callback_task_id"], KNOWN),
        (["callback_tampered"], KNOWN),
        (["callback_early"], {"adopted"}),
        (["accept_then_drop"], {"adopted"}),
        (["html_after"], {"adopted"}),
        (["no_task_id"], {"adopted"}),
        (["create_500_after"], {"adopted"}),
        (["callback_early", "accept_then_drop"], {"adopted"}),
    ],
    ids=lambda value: "+".join(value or ["none"]) if isinstance(value, list) else "",
)
def test_a_callback_delivers_the_result_and_nothing_is_bought_twice(
    patient: LocalFleet, faults: list[str], outcomes: set[str]
) -> None:
    provider(patient).faults(**dict.fromkeys(faults, 1))
    with Limner(patient.redis_url) as limner:
        images = limner.submit("a red kite").result(timeout=30)
    [task] = provider(patient).ledger()
    assert images.task_id == task["task_id"]
    assert "forged" not in images.urls[0]
    expected = 2 if "callback_duplicate" in faults else 1
    eventually(lambda: deliveries(patient) == [200] * expected)
    assert sum(counts(patient).values()) == expected
    assert counts(patient).keys() <= outcomes


def test_a_tampered_callback_does_not_turn_a_failed_task_into_a_success(patient: LocalFleet) -> None:
    provider(patient).faults(task_fail=1, callback_tampered=1)
    with Limner(patient.redis_url) as limner, pytest.raises(GenerationFailed):
        limner.submit("a red kite").result(timeout=30)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("callback_lost", {}),
        ("callback_bad_signature", {"bad_signature": 1}),
        ("callback_unsigned", {"bad_signature": 1}),
    ],
)
def test_a_lost_or_unauthentic_callback_only_delays_the_result(
    wary: LocalFleet, fault: str, expected: dict[str, int]
) -> None:
    provider(wary).faults(**{fault: 1})
    with Limner(wary.redis_url) as limner:
        job = limner.submit("a red kite")
        assert job.result(timeout=30).urls
        status = job.status()
    assert status.sent_at
    assert status.finished_at
    assert (status.finished_at - status.sent_at).total_seconds() >= SHORT
    assert counts(wary) == expected


INVENTED = [f"{number:032x}" for number in range(100)]


@pytest.mark.parametrize("before", [100, 40])
def test_a_hundred_invented_ids_do_not_hide_the_true_one(before: int) -> None:
    """Without a key, so that whoever has seen the callback URL can name tasks."""
    settings = {**ROOMY, "LIMNER_CALLBACK_PATIENCE_SECONDS": str(LONG), "LIMNER_IN_DOUBT": "resubmit"}
    fleet = LocalFleet(callbacks=True, settings=settings, provider=quick_provider(duration=0.3))
    with fleet, Limner(fleet.redis_url) as limner, connect(fleet.redis_url) as client:
        provider(fleet).faults(
            accept_then_drop={"next": 1}, callback_late={"next": 1, "seconds": 5 if before == 100 else 2}
        )
        job = limner.submit("a red kite")
        eventually(lambda: job.status().state is JobState.IN_DOUBT)
        record = Ledger(client).jobs.read(job.id)
        assert record
        url = f"{fleet.environment['LIMNER_CALLBACK_URL']}/callbacks/{job.id}/{record.tokens[1]}"
        with httpx.Client(trust_env=False) as somebody:
            for number, task_id in enumerate(INVENTED):
                if number == before:
                    # The true one is among them.
                    eventually(lambda: provider(fleet).ledger()[0]["task_id"] in named(client, job.id))
                somebody.post(url, json={"data": {"taskId": task_id, "state": "success"}})
        images = job.result(timeout=120)
        [task] = provider(fleet).ledger()
        assert images.task_id == task["task_id"]
        assert len(str(client.hgetall(Ledger(client).jobs.key(job.id)))) < 20_000


def named(client: "redis.Redis", job_id: str) -> str:
    """The tasks that have been named for the job, and the one that has ended it."""
    return str(client.hmget(Ledger(client).jobs.key(job_id), "tasks", "candidates"))


def test_a_killed_receiver_is_restarted_at_the_same_address(patient: LocalFleet) -> None:
    address = patient.environment["LIMNER_CALLBACK_URL"]
    patient.kill_callbacks()
    with pytest.raises(FleetError, match=r"callbacks ended with status -9"):
        patient.check()
    with Limner(patient.redis_url) as limner:
        job = limner.submit("a red kite")
        eventually(lambda: job.status().state is JobState.GENERATING)
        assert patient.start_callbacks() is patient.callbacks
        assert job.result(timeout=30).urls
    assert patient.environment["LIMNER_CALLBACK_URL"] == address
    patient.check()


def test_no_log_of_the_fleet_contains_a_token(patient: LocalFleet) -> None:
    with Limner(patient.redis_url) as limner, connect(patient.redis_url) as client:
        job = limner.submit("a red kite")
        job.result(timeout=30)
        record = Ledger(client).jobs.read(job.id)
    assert record
    assert record.tokens
    for log in Path(patient.log_dir).iterdir():
        for token in record.tokens.values():
            assert token not in log.read_text(), log


def test_a_fleet_without_callbacks_has_no_receiver() -> None:
    with LocalFleet(workers=0) as fleet:
        assert fleet.callbacks is None
        assert "LIMNER_CALLBACK_URL" not in fleet.environment
        fleet.kill_callbacks()
        with pytest.raises(FleetError, match="callbacks=True"):
            fleet.start_callbacks()


def test_a_worker_can_have_its_own_settings_and_arguments() -> None:
    with LocalFleet(workers=0) as fleet:
        with pytest.raises(FleetError, match="LIMNER_RATE_REQUESTS"):
            fleet.start_worker(settings={"LIMNER_RATE_REQUESTS": "many"})
        with pytest.raises(FleetError, match="--no-such-option"):
            fleet.start_worker(arguments=["--no-such-option"])
        assert fleet.start_worker().running
