"""The local fleet: the processes that it starts, and their complete removal."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

from limner import Limner
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import CHECKOUT, FleetError, LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from tests.processes import MARK, running_for, wait_until


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder that marks all processes of the test."""
    monkeypatch.setenv(MARK, str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # the module caches the folder
    return tmp_path


def quick() -> SandboxProvider:
    return SandboxProvider(duration=0.1)


def test_a_fleet_of_two_workers_runs_and_leaves_nothing_behind(folder: Path) -> None:
    with LocalFleet(workers=2, provider=quick()) as fleet, Limner(fleet.redis_url) as limner:
        log = fleet.workers[0].log
        assert len(running_for(folder)) == 4  # two workers, the stand-in, Valkey
        assert limner.submit("a red kite").result(timeout=30).urls[0].startswith(f"{fleet.api_url}/")
        assert "ready" in log.read_text()
    assert running_for(folder) == []
    assert list(folder.iterdir()) == []


def test_a_killed_worker_stays_listed_and_another_can_replace_it() -> None:
    with LocalFleet(provider=quick()) as fleet, Limner(fleet.redis_url) as limner:
        fleet.kill_worker(0)
        assert not fleet.workers[0].running
        with pytest.raises(FleetError, match=r"worker-1 ended with status -9"):
            fleet.check()
        assert fleet.start_worker() is fleet.workers[1]
        assert limner.submit("a red kite").result(timeout=30).urls


def test_a_worker_that_cannot_start_is_reported_with_its_own_message(folder: Path) -> None:
    with pytest.raises(FleetError, match="LIMNER_RATE_REQUESTS"):
        LocalFleet(settings={"LIMNER_RATE_REQUESTS": "many"}).start()
    assert running_for(folder) == []


def test_workers_do_not_inherit_settings_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_RATE_REQUESTS", "many")
    with LocalFleet() as fleet:
        assert fleet.workers[0].running


def test_settings_with_server_urls_start_no_servers(folder: Path) -> None:
    with EmbeddedValkey() as valkey, quick() as provider:
        settings = {
            "LIMNER_REDIS_URL": valkey.url,
            "LIMNER_API_URL": provider.url,
            "LIMNER_API_KEY": "sandbox-key",
        }
        with LocalFleet(settings=settings) as fleet, Limner(valkey.url) as limner:
            assert (fleet.valkey, fleet.provider, fleet.redis_url) == (None, None, valkey.url)
            assert limner.submit("a red kite").result(timeout=30).urls
        assert len(running_for(folder)) == 2  # not ours to stop


def test_a_frozen_worker_does_not_block_the_stop(folder: Path) -> None:
    with LocalFleet() as fleet:
        os.kill(fleet.workers[0].pid, signal.SIGSTOP)
        began = time.monotonic()
    assert time.monotonic() - began < 15
    assert running_for(folder) == []


def test_no_process_outlives_a_killed_owner(folder: Path) -> None:
    program = (
        "from sandbox.local.fleet import LocalFleet; LocalFleet().start(); print('up', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == b"up\n"
        assert len(psutil.Process(owner.pid).children()) == 3
        owner.kill()
    wait_until(lambda: not running_for(folder))


def test_workers_may_copy_images_from_the_stand_in_beside_the_hosts_of_the_settings(tmp_path: Path) -> None:
    settings = {
        "LIMNER_COPY_TO": f"file://{tmp_path}/images",
        "LIMNER_COPY_PLAIN_HOSTS": "images.example",
        "LIMNER_COPY_PATIENCE_SECONDS": "30",
    }
    with LocalFleet(provider=quick(), settings=settings) as fleet, Limner(fleet.redis_url) as limner:
        named = f"images.example,{urlsplit(fleet.api_url or '').netloc}"
        assert fleet.environment["LIMNER_COPY_PLAIN_HOSTS"] == named
        assert limner.submit("a red kite").result(timeout=60).copied


def test_no_host_may_be_fetched_from_without_tls_by_a_fleet_that_copies_nothing() -> None:
    with LocalFleet(workers=0, provider=quick()) as fleet:
        assert "LIMNER_COPY_PLAIN_HOSTS" not in fleet.environment
