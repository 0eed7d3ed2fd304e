"""Outages of Redis as workers meet and tell them: nothing bought twice, nothing lost, few lines."""

import time
from pathlib import Path

from limner import Job, Limner
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import FleetProcess, LocalFleet
from sandbox.local.grumbling import GARBAGE, GrumblingProxy
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.fleet.conftest import ROOMY, quick_provider

WAIT = 60.0
SHORT = ("-I", "tests.integration.fleet.short_patience")


def durable() -> EmbeddedValkey:
    return EmbeddedValkey(aof=True, appendfsync="always")


def created(fleet: LocalFleet) -> int:
    assert fleet.provider
    return int(fleet.provider.summary()["created"])


def slow_answers() -> SandboxProvider:
    """A stand-in whose answers come late enough for a fault to begin before them."""
    return quick_provider(create_latency=1.0)


def lines(worker: FleetProcess, *words: str) -> list[str]:
    return [line for line in worker.log.read_text().splitlines() if all(word in line for word in words)]


def test_a_paid_answer_survives_an_outage_beyond_the_patience_and_the_death_of_its_worker(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "rescue"
    settings = {**ROOMY, "LIMNER_RESCUE_FOLDER": str(folder)}
    with LocalFleet(settings=settings, provider=slow_answers(), valkey=durable(), workers=0) as fleet:
        assert fleet.valkey
        assert fleet.provider
        worker = fleet.start_worker(arguments=SHORT)
        with Limner(fleet.redis_url) as limner:
            jobs = limner.submit_many(f"boat {number}" for number in range(5))
            eventually(lambda: created(fleet) == 5)
            fleet.valkey.kill()
            eventually(
                lambda: len(lines(worker, "CRITICAL", "python -m limner resolve", "--adopt")) == 5,
                within=40.0,
            )
            assert len(list(folder.iterdir())) == 5
            assert "boat" not in "".join(each.read_text() for each in folder.iterdir())
            fleet.kill_worker(0)
            fleet.valkey.restart()
            fleet.start_worker()
            for job in jobs:
                assert job.result(WAIT).urls
        assert fleet.provider.summary()["bought_more_than_once"] == 0
        assert created(fleet) == 5
        assert list(folder.iterdir()) == []


def test_an_outage_takes_a_few_lines_of_each_worker() -> None:
    with LocalFleet(settings=ROOMY, provider=quick_provider(), valkey=durable(), workers=0) as fleet:
        assert fleet.valkey
        worker = fleet.start_worker(arguments=SHORT)
        with Limner(fleet.redis_url) as limner:
            assert limner.submit("before").result(WAIT).urls
            before = len(worker.log.read_text().splitlines())
            fleet.valkey.kill()
            time.sleep(8.0)
            fleet.valkey.restart()
            assert limner.submit("after").result(WAIT).urls
            eventually(lambda: lines(worker, "ERROR", "the outage is over"), within=60.0)
        told = worker.log.read_text().splitlines()[before:]
        outage = [line for line in told if " outage " in line]
        assert [len([line for line in outage if part in line]) for part in ("begins", "is over")] == [1, 1]
        lasts = [line for line in outage if "lasts for" in line]
        assert 2 <= len(lasts) <= 15
        assert len(outage) == 2 + len(lasts), "\n".join(told)
        assert not [line for line in told if "CRITICAL" in line or "Traceback" in line]
        loud = [line for line in told if "ERROR" in line or "WARNING" in line]
        assert loud == outage, "\n".join(told)


COMPLAINTS = (
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "CLUSTERDOWN The cluster is down",
    "NOSCRIPT No matching script. Please use EVAL.",
    "ERR max daily request limit exceeded. Limit: 500000",
    "NOPERM this user has no permissions to run the 'hset' command",
    "UNBLOCKED force unblock from blocking operation, instance state changed",
    "LOADING Redis is loading the dataset in memory",
    "READONLY You can't write against a read only replica.",
    GARBAGE,
)
FAULT_SECONDS = 2.5


def test_nothing_that_redis_says_ends_a_process_or_loses_an_answer(tmp_path: Path) -> None:
    with (
        durable() as valkey,
        GrumblingProxy(valkey.url) as proxy,
        LocalFleet(
            settings={**ROOMY, "LIMNER_REDIS_URL": proxy.url},
            provider=quick_provider(create_latency=0.3),
            callbacks=True,
            beat=True,
            log_dir=tmp_path,
        ) as fleet,
        Limner(valkey.url) as limner,
    ):
        assert fleet.provider
        jobs: list[Job] = []

        def all_ended() -> bool:
            return all(job.status().state.ended for job in jobs)

        for number, complaint in enumerate(COMPLAINTS):
            bought = created(fleet)
            jobs += limner.submit_many(f"boat {number} {each}" for each in range(6))
            eventually(lambda: created(fleet) > bought, within=30.0)  # noqa: B023
            with proxy.grumbles(complaint):
                time.sleep(FAULT_SECONDS)
            fleet.check()
            eventually(all_ended, within=WAIT)
        for job in jobs:
            assert job.result(WAIT).urls
        assert fleet.provider.summary()["bought_more_than_once"] == 0
        assert created(fleet) == 6 * len(COMPLAINTS)
        fleet.check()
        for worker in fleet.workers:
            assert not lines(worker, "Traceback"), worker.log.read_text()
