"""``python -m limner check``."""

import asyncio

import pytest

from limner import Limner
from limner._redis import connect
from limner.ledger import Ledger
from tests.integration.limner.cli.conftest import Run


@pytest.fixture
def ledger(valkey_url: str) -> Ledger:
    return Ledger(connect(valkey_url))


@pytest.fixture
def limner(valkey_url: str) -> Limner:
    return Limner(valkey_url)


def test_a_sound_ledger_has_no_findings(limner_cli: Run, limner: Limner) -> None:
    limner.submit("a fox")
    assert limner_cli("check") == []


def test_a_finding_has_its_job_and_what_to_do(limner_cli: Run, limner: Limner, ledger: Ledger) -> None:
    job = limner.submit("a fox")
    ledger.store.redis.zrem(ledger.prefix + "ready", job.id)
    [found] = limner_cli("check", code=1)
    assert found == {
        "kind": "in_no_index",
        "subject": job.id,
        "what": "is queued and in no index, so nothing will happen to it",
        "advice": "`python -m limner check --repair` repairs it",
        "repaired": False,
    }
    [repaired] = limner_cli("check", "--repair")
    assert repaired == {**found, "repaired": True}
    assert limner_cli("check") == []


def test_asynchronous_code_checks_as_well(limner: Limner, ledger: Ledger) -> None:
    ledger.store.redis.set(ledger.prefix + "stranger", 1)
    [found] = asyncio.run(limner.acheck())
    assert (found.kind, found.subject) == ("unknown_key", "stranger")
