"""A worker that starts while something that it needs is away or wrong."""

from pathlib import Path

import pytest

from limner import Limner
from sandbox.local.fleet import FleetError, LocalFleet
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider

WAIT = 60.0


def test_a_worker_starts_without_the_provider_and_begins_when_it_is_back() -> None:
    with (
        LocalFleet(workers=0, settings=ROOMY, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        assert fleet.provider
        fleet.provider.stop()
        worker = fleet.start_worker()
        [line] = [line for line in worker.log.read_text().splitlines() if "ERROR" in line]
        assert "LIMNER_API_URL: no connection to 127.0.0.1" in line
        fleet.provider.restart()
        job = limner.submit("patience")
        assert job.result(WAIT).urls
        assert len(fleet.provider.ledger(prompt="patience")) == 1
        eventually(lambda: not any(account.pause for account in limner.accounts()))
        fleet.check()


def test_a_worker_that_cannot_store_copies_says_why_and_does_not_start(tmp_path: Path) -> None:
    no_folder = tmp_path / "images"
    no_folder.write_text("a file")
    with LocalFleet(workers=0, settings={**ROOMY, "LIMNER_COPY_TO": f"file://{no_folder}"}) as fleet:
        with pytest.raises(FleetError) as failure:
            fleet.start_worker()
        [line] = [line for line in str(failure.value).splitlines() if line.startswith("limner:")]
        assert line.startswith("limner: LIMNER_COPY_TO: ")
        assert str(no_folder) in line


def test_a_worker_of_steps_alone_needs_no_storage(tmp_path: Path) -> None:
    no_folder = tmp_path / "images"
    no_folder.write_text("a file")
    settings = {
        **ROOMY,
        "LIMNER_COPY_TO": f"file://{no_folder}",
        "LIMNER_COPY_PLAIN_HOSTS": "127.0.0.1",
        "LIMNER_COPY_PATIENCE_SECONDS": "0.5",
    }
    with (
        LocalFleet(workers=0, settings=settings, provider=quick_provider()) as fleet,
        Limner(fleet.redis_url) as limner,
    ):
        fleet.start_worker(arguments=("-Q", "limner,limner.steps"))
        job = limner.submit("steps alone")
        assert not job.result(WAIT).copied
        no_folder.unlink()
        fleet.start_worker(arguments=("-Q", "limner.copies"))
        eventually(lambda: job.result(WAIT).copied)
        fleet.check()
