"""The compose file's settings, and its services as running processes."""

import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from limner import Limner, TextToImage
from limner._connection import connect
from limner.ledger import Ledger
from sandbox.local.fleet import CHECKOUT
from sandbox.processes.children import Child
from tests.acceptance.compose import PORTS, Stack, copied, seconds, services
from tests.conftest import eventually
from worker.services import LEASE_MARGIN

SERVICES = sorted(services())
OURS = sorted(name for name, service in services().items() if "build" in service)
FLEET = {"limner", "provider", "config", "worker", "tasks"}


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> dict[str, Any]:
    return services()[request.param]


def test_a_service_has_no_privileges_and_can_write_only_to_its_volumes(
    service: dict[str, Any],
) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"] not in {"", "root", "0", "0:0"}
    assert not service.get("privileged")


def test_a_service_is_restarted_and_has_a_memory_limit(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert service["deploy"]["resources"]["limits"]["memory"]


def test_ports_are_published_on_loopback_only(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_no_health_check_inspects_workers_through_the_broker(service: dict[str, Any]) -> None:
    assert "inspect" not in str(service["healthcheck"])


def test_redis_persists_its_data_and_evicts_nothing() -> None:
    command = services()["redis"]["command"]
    assert option(command, "--appendonly") == "yes"
    assert option(command, "--appendfsync") == "everysec"
    assert option(command, "--maxmemory-policy") == "noeviction"
    assert services()["redis"]["volumes"] == [f"redis-data:{option(command, '--dir')}"]


def test_a_worker_has_time_to_finish_its_current_step() -> None:
    longest = Settings.model_fields["request_timeout_seconds"].default + LEASE_MARGIN
    assert seconds(services()["worker"]["stop_grace_period"]) > longest


def test_only_workers_get_the_key_and_no_image_contains_it() -> None:
    assert [name for name, service in services().items() if "secrets" in service] == ["worker"]
    assert "API_KEY" not in (CHECKOUT / "Dockerfile").read_text()


@pytest.mark.parametrize(("target", "packages"), [("fleet", FLEET), ("local", FLEET | {"sandbox"})])
def test_an_image_has_the_packages_that_its_services_need(target: str, packages: set[str]) -> None:
    assert copied(target) == packages


def test_the_build_context_has_exactly_the_copied_folders() -> None:
    kept = re.findall(r"^!(.+)$", (CHECKOUT / ".dockerignore").read_text(), re.MULTILINE)
    assert set(kept) == copied("local") | {"requirements/*.lock"}


def test_the_image_and_the_compose_file_agree_on_the_worker_command_and_health_check() -> None:
    dockerfile = (CHECKOUT / "Dockerfile").read_text()
    listed = re.findall(r"CMD (\[.+\])$", dockerfile, re.MULTILINE)
    worker = services()["worker"]
    assert worker["command"] in [json.loads(words) for words in listed]
    assert worker["healthcheck"]["test"][1:] in [json.loads(words) for words in listed]


def free_ports() -> list[int]:
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in PORTS]
        return [listener.getsockname()[1] for listener in listeners]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    folder = tmp_path_factory.mktemp("compose")
    for name in ("tmp", "data", "secrets", "no-secrets"):
        (folder / name).mkdir()
    (folder / "secrets" / "limner_api_key").write_text("sandbox-key\n")
    ports = dict(zip(PORTS, free_ports(), strict=True))
    env_file = {"LIMNER_API_URL": "http://sandbox:8080", "LIMNER_CALLBACK_URL": "http://callbacks:8090"}
    return Stack(folder, ports, env_file=env_file)


def wait_until_healthy(stack: Stack, name: str, child: Child) -> None:
    def is_healthy() -> bool:
        assert child.running, stack.log(name).read_text()
        return stack.probe(name).returncode == 0

    eventually(is_healthy, within=40, every=0.2)


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[dict[str, Child]]:
    """Every service, started in the order of the dependencies, each after the previous one is healthy."""
    children: dict[str, Child] = {}
    try:
        for name in ("redis", "sandbox", "callbacks", "worker", "flower", "beat"):
            # By default the stand-in's images take as long as the real ones.
            children[name] = stack.start(name, *(["--duration", "0.3"] if name == "sandbox" else []))
            if "test" in services()[name]["healthcheck"]:
                wait_until_healthy(stack, name, children[name])
        yield children
    finally:
        for child in reversed(children.values()):
            child.stop(10)


def test_a_service_that_is_not_running_is_unhealthy(tmp_path: Path) -> None:
    idle = Stack(tmp_path, dict(zip(PORTS, free_ports(), strict=True)), env_file={})
    (tmp_path / "no-secrets").mkdir()
    (tmp_path / "secrets").mkdir()
    checked = [name for name in SERVICES if "test" in services()[name]["healthcheck"]]
    assert [name for name in checked if idle.probe(name).returncode == 0] == []


def test_each_service_runs(stack: Stack, running: dict[str, Child]) -> None:
    assert set(running) == set(SERVICES)
    eventually(lambda: b"beat: Starting" in stack.log("beat").read_bytes())
    for name, child in running.items():
        assert child.running, stack.log(name).read_text()


def test_a_job_is_done(stack: Stack, running: dict[str, Child]) -> None:
    with Limner(f"redis://127.0.0.1:{stack.ports['6379']}/0") as limner:
        result = limner.submit(TextToImage(prompt="a harbour in the compose file")).result(timeout=30)
    (url,) = result.urls
    assert url.startswith(f"http://127.0.0.1:{stack.ports['8080']}/")


def test_the_provider_calls_back(stack: Stack, running: dict[str, Child]) -> None:
    url = f"redis://127.0.0.1:{stack.ports['6379']}/0"
    with Limner(url) as limner, connect(url) as client:
        counts = Ledger(client).journal.callback_counts
        before = sum(counts().values())
        limner.submit(TextToImage(prompt="a harbour that calls")).result(timeout=30)
        eventually(lambda: sum(counts().values()) > before)
        assert counts().keys() <= {"expected", "repeated"}


def test_a_job_survives_a_killed_redis(stack: Stack, running: dict[str, Child]) -> None:
    with Limner(f"redis://127.0.0.1:{stack.ports['6379']}/0") as limner:
        job = limner.submit(TextToImage(prompt="a harbour after the storm"))
        job.result(timeout=30)
        persisted(stack.folder / "data", job.id)
        running["redis"].kill()
        assert stack.probe("redis").returncode != 0
        running["redis"] = stack.start("redis")
        wait_until_healthy(stack, "redis", running["redis"])
        assert job.result(timeout=30).urls


def persisted(data: Path, job_id: str) -> None:
    """Wait until the append-only file has the job; it is synced once a second."""
    eventually(lambda: any(job_id.encode() in path.read_bytes() for path in data.rglob("*.aof")))


def test_services_stop_cleanly_and_write_nothing_into_the_image(
    stack: Stack, running: dict[str, Child]
) -> None:
    for name in OURS:
        running[name].signal(signal.SIGTERM)
    for name in OURS:
        # uvicorn shuts down cleanly and then ends by the signal that it received.
        assert running[name].wait(15) in {0, -signal.SIGTERM}, stack.log(name).read_text()
        app = stack.app(name)
        assert written(app) == written(CHECKOUT, only=copied(services()[name]["build"]["target"]))


def written(root: Path, only: set[str] | None = None) -> set[str]:
    """The paths, relative to the root, of all files in it or in some of its folders."""
    return {
        path.relative_to(root).as_posix()
        for folder in sorted(only or {"."})
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
