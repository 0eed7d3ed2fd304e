"""Several accounts, which share the work and fail independently of one another."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from limner import Job, Limner
from limner.accounts import AccountStatus
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider

WAIT = 60.0
NORTH, SOUTH = "key-of-the-north-7f3a", "key-of-the-south-91cc"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFleet]:
    # Every process of Limner, at the most verbose log level.
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "kie_north").write_text(f"{NORTH}\n")
    accounts = {"north": {"key": "file:kie_north"}, "south": {"key": "env:KIE_OF_THE_SOUTH"}}
    settings = {
        **ROOMY,
        "LIMNER_ACCOUNTS": json.dumps(accounts),
        "LIMNER_SECRETS_DIR": str(secrets),
        "LIMNER_CALLBACK_PATIENCE_SECONDS": "1",
        "LIMNER_IN_DOUBT_SECONDS": "1",
        # At its longest, a pause for missing credits ends with a probe whatever the balance is.
        "LIMNER_PAUSE_MAX_SECONDS": "60",
    }
    provider = quick_provider(accounts=f"north={NORTH},south={SOUTH}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KIE_OF_THE_SOUTH", SOUTH)
        with LocalFleet(
            workers=2, beat=True, callbacks=True, settings=settings, provider=provider, log_level="DEBUG"
        ) as running:
            yield running


@pytest.fixture
def provider(fleet: LocalFleet, limner: Limner) -> SandboxProvider:
    """The stand-in, reset after the previous test."""
    assert fleet.provider
    return fleet.provider


def made_by(provider: SandboxProvider) -> Counter[str]:
    return Counter(task["account"] for task in provider.ledger())


def calls(provider: SandboxProvider, endpoint: str, account: str) -> list[dict[str, Any]]:
    return [call for call in provider.calls() if call["endpoint"] == endpoint and call["account"] == account]


def standing(limner: Limner, account: str) -> AccountStatus:
    return next(status for status in limner.accounts() if status.account == account)


def finish(jobs: list[Job]) -> None:
    for job in jobs:
        assert job.result(WAIT).urls


def test_accounts_share_the_work(limner: Limner, provider: SandboxProvider) -> None:
    finish(limner.submit_many(f"shared {number}" for number in range(40)))
    made = made_by(provider)
    assert made.total() == 40
    assert min(made["north"], made["south"]) >= 15


@pytest.mark.parametrize("account", ["north", "south"])
def test_a_pinned_job_is_sent_only_by_its_account(
    limner: Limner, provider: SandboxProvider, account: str
) -> None:
    jobs = limner.submit_many((f"pinned {number}" for number in range(20)), account=account)
    finish(jobs)
    assert made_by(provider) == {account: 20}
    assert {job.status().account for job in jobs} == {account}


def test_a_task_is_read_with_the_key_of_its_account(limner: Limner, provider: SandboxProvider) -> None:
    provider.faults(record_500={"next": 5})  # so that some are read twice
    finish(limner.submit_many(f"read {number}" for number in range(30)))
    owners = {task["task_id"]: task["account"] for task in provider.ledger()}
    reads = [call for call in provider.calls() if call["endpoint"] == "recordInfo"]
    assert {call["task_id"] for call in reads} == set(owners)
    assert set(owners.values()) == {"north", "south"}
    assert [call for call in reads if call["account"] != owners[call["task_id"]]] == []


def test_only_the_account_without_credits_pauses_and_a_top_up_resumes_it(
    limner: Limner, provider: SandboxProvider
) -> None:
    provider.set_credits(0, "south")
    pinned = limner.submit_many((f"southern {number}" for number in range(4)), account="south")
    eventually(lambda: standing(limner, "south").pause)
    pause = standing(limner, "south").pause
    assert pause
    assert pause.cause == "no_credits"
    # Meanwhile the other account does all jobs that are not pinned.
    finish(limner.submit_many(f"either {number}" for number in range(40)))
    assert made_by(provider) == {"north": 40}
    assert standing(limner, "north").pause is None
    assert [job.status().state for job in pinned] == ["queued"] * 4
    # No createTask probes for new credits, because the balance shows them.
    refused = calls(provider, "createTask", "south")
    assert 1 <= len(refused) <= 4

    provider.set_credits(1000, "south")
    finish(pinned)
    assert made_by(provider) == {"north": 40, "south": 4}
    again = calls(provider, "createTask", "south")[len(refused) :]
    assert [call["outcome"] for call in again] == ["200"] * 4
    eventually(lambda: standing(limner, "south").pause is None)


def test_a_refused_key_pauses_only_its_account(limner: Limner, provider: SandboxProvider) -> None:
    provider.revoke(NORTH)
    pinned = limner.submit("northern", account="north")
    eventually(lambda: standing(limner, "north").pause)
    finish(limner.submit_many(f"either {number}" for number in range(20)))
    assert made_by(provider) == {"south": 20}
    assert pinned.status().state == "queued"
    provider.restore(NORTH)
    finish([pinned])
    assert made_by(provider) == {"north": 1, "south": 20}


def test_the_other_account_does_the_work_of_a_paused_one(limner: Limner, provider: SandboxProvider) -> None:
    limner.pause("south", reason="audit")
    finish(limner.submit_many(f"either {number}" for number in range(20)))
    assert made_by(provider) == {"north": 20}
    assert limner.resume("south")
    finish([limner.submit("southern", account="south")])


def test_no_log_contains_a_key(fleet: LocalFleet, limner: Limner, provider: SandboxProvider) -> None:
    # The logs must not contain the keys even when requests with them fail.
    provider.faults(create_401={"next": 1}, create_500={"next": 1}, drop_before_accept={"next": 1})
    jobs = limner.submit_many((f"logged {number}" for number in range(6)), account="south")
    eventually(lambda: standing(limner, "south").pause)
    limner.resume("south")
    eventually(lambda: all(job.status().state.ended for job in jobs))
    assert sorted(job.status().state for job in jobs) == ["failed", *["succeeded"] * 5]
    logs = {path.name: path.read_text(errors="replace") for path in fleet.log_dir.iterdir()}
    assert {"worker-1.log", "worker-2.log", "beat.log", "callbacks.log", "provider.log"} <= set(logs)
    assert all(logs[name] for name in ("worker-1.log", "worker-2.log", "beat.log"))
    for name, text in logs.items():
        assert NORTH not in text, name
        assert SOUTH not in text, name
    fleet.check()
