"""A worker that starts while the provider is away."""

from limner import Limner
from sandbox.local.fleet import LocalFleet
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
