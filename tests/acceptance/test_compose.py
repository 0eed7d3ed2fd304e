"""The compose file's settings, and its services as running processes."""

import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis

from config import Settings
from limner import Limner, TextToImage
from limner._redis import connect
from limner.ledger import Ledger
from sandbox.local.fleet import CHECKOUT
from sandbox.processes.children import Child
from tests.acceptance.compose import (
    INTERPOLATION,
    PORTS,
    ComposeError,
    Stack,
    copied,
    interpolated,
    named_volumes,
    networks,
    seconds,
    services,
)
from tests.conftest import eventually
from worker.health.findings import Verdict
from worker.health.memory_checks import jobs_kept, memory
from worker.services import LEASE_MARGIN

SERVICES = sorted(services())
OURS = sorted(name for name, service in services().items() if "build" in service)
DIGEST = re.compile(r":\d+\.\d+\.\d+-[\w-]+@sha256:[0-9a-f]{64}$")
PASSWORD = "0a1b2c3d-of-Redis"
SECRETS = {
    "REDIS_PASSWORD": PASSWORD,
    "LIMNER_API_KEY": "a-key-in-env",
    "LIMNER_CALLBACK_HMAC_KEY": "a-callback-key",
    "FLOWER_BASIC_AUTH": "operator:secret",
    "AWS_SECRET_ACCESS_KEY": "a-key-of-a-bucket",
}
STORE = {"redis_url", "redis_timeout_seconds", "prefix"}
CELERY = {"broker_url", "result_url", "queue", "intake_queue_type"}
NOT_OF_WORKERS = {"api_key", "callback_hmac_key", "schedule_file", "idempotency_seconds"}
NEEDED = {
    "worker": set(Settings.model_fields) - NOT_OF_WORKERS,
    "beat": STORE | {"idempotency_seconds", "heartbeat_file"},
    "callbacks": STORE | {"callback_url", "callback_hmac_key"},
    "flower": STORE | CELERY,
}
FLEET = {"limner", "provider", "config", "worker", "tasks"}


def option(command: list[str], name: str) -> str:
    return command[command.index(name) + 1]


def passed_on(service: dict[str, Any]) -> set[str]:
    """The variables that a service takes from the environment of the compose command, or from .env."""
    return {name for name, value in service.get("environment", {}).items() if value is None}


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


def test_a_service_is_restarted_limited_and_stopped_with_grace(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert set(service["deploy"]["resources"]["limits"]) == {"memory", "cpus"}
    assert seconds(service["stop_grace_period"]) >= 10


def test_the_log_of_a_service_is_rotated(service: dict[str, Any]) -> None:
    assert service["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}


def test_a_service_has_a_health_check_with_a_time_out(service: dict[str, Any]) -> None:
    check = service["healthcheck"]
    assert check["test"][0] == "CMD"
    assert seconds(check["timeout"]) <= seconds(check["interval"]) * 2


def test_an_image_from_elsewhere_is_named_by_its_digest(service: dict[str, Any]) -> None:
    image = interpolated(service["image"], {})
    assert ("build" in service) == (image in {"limner", "limner-local"})
    assert "build" in service or DIGEST.search(image), image


def test_the_images_are_built_on_an_image_that_is_named_by_its_digest() -> None:
    dockerfile = (CHECKOUT / "Dockerfile").read_text()
    stages = set(re.findall(r" AS (\S+)", dockerfile))
    bases = set(re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)) - stages
    assert bases == {"${PYTHON_IMAGE}"}
    [image] = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile, re.MULTILINE)
    assert DIGEST.search(image)


def test_ports_are_published_on_loopback_only(service: dict[str, Any]) -> None:
    ports = [interpolated(port, {}) for port in service.get("ports", [])]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in ports), ports


def test_redis_is_reached_from_its_own_network_only() -> None:
    assert "ports" not in services()["redis"]
    assert services()["redis"]["networks"] == ["store"]
    assert networks()["store"] == {"internal": True}
    assert "store" not in services()["sandbox"].get("networks", [])
    assert services()["beat"]["networks"] == ["store"]


def test_nothing_starts_without_a_password_for_redis() -> None:
    text = (CHECKOUT / "docker-compose.yml").read_text()
    for variables in ({}, {"REDIS_PASSWORD": ""}):
        with pytest.raises(ComposeError, match=r"REDIS_PASSWORD is missing a value: see \.env\.example"):
            interpolated(text, variables)
    assert "#REDIS_PASSWORD=" in (CHECKOUT / ".env.example").read_text()
    assert PASSWORD in interpolated(text, {"REDIS_PASSWORD": PASSWORD})


def test_every_variable_of_the_compose_file_is_in_the_example() -> None:
    text = (CHECKOUT / "docker-compose.yml").read_text()
    given = {name for name, _, _ in INTERPOLATION.findall(text) if name}
    given |= {name for service in services().values() for name in passed_on(service)}
    example = re.findall(r"^#?(\w+)=", (CHECKOUT / ".env.example").read_text(), re.MULTILINE)
    assert given <= set(example)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_gets_the_settings_that_it_needs(name: str) -> None:
    assert "env_file" not in services()[name]
    given = services()[name].get("environment", {})
    fields = {
        variable.removeprefix("LIMNER_").lower() for variable in given if variable.startswith("LIMNER_")
    }
    assert fields == NEEDED.get(name, set())


def test_every_setting_can_be_given_to_the_service_that_needs_it() -> None:
    # The schedule is mounted at the path of the default, and the key is a file.
    assert set().union(*NEEDED.values()) == set(Settings.model_fields) - {"api_key", "schedule_file"}


def test_no_health_check_inspects_workers_through_the_broker(service: dict[str, Any]) -> None:
    assert "inspect" not in str(service["healthcheck"])


def test_redis_persists_its_data_and_evicts_nothing() -> None:
    command = services()["redis"]["command"]
    assert option(command, "--appendonly") == "yes"
    assert option(command, "--appendfsync") == "everysec"
    assert option(command, "--maxmemory-policy") == "noeviction"
    assert services()["redis"]["volumes"] == [f"redis-data:{option(command, '--dir')}"]


def test_redis_has_room_for_its_data_within_the_memory_of_its_container() -> None:
    service = services()["redis"]
    data = in_bytes(interpolated(option(service["command"], "--maxmemory"), {}))
    limit = in_bytes(interpolated(service["deploy"]["resources"]["limits"]["memory"], {}))
    # While it rewrites its append-only file, it may need every page twice; a tenth is for fragmentation.
    assert limit >= 2 * 1.1 * data + in_bytes("128mb")
    [finding] = memory(
        {"used_memory": in_bytes("64mb"), "maxmemory": data},
        kept=jobs_kept(Settings(redis_url="redis://redis:6379/0")),
        seconds=Settings.model_fields["result_ttl_seconds"].default,
    )
    assert finding.verdict is Verdict.OK, finding


def in_bytes(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([mg])b?", size.lower()).groups()  # type: ignore[union-attr]
    return int(number) * (1 << {"m": 20, "g": 30}[unit])


def test_a_worker_has_time_to_finish_its_current_step() -> None:
    longest = Settings.model_fields["request_timeout_seconds"].default + LEASE_MARGIN
    assert seconds(services()["worker"]["stop_grace_period"]) > longest


def test_images_wait_on_a_disk_until_they_are_stored() -> None:
    worker = services()["worker"]
    place = worker["environment"]["TMPDIR"]
    volumes = [interpolated(volume, {}).split(":") for volume in worker["volumes"]]
    assert place in [target for _, target in volumes]
    assert all(name in named_volumes() for name, _ in volumes)
    assert not any(place.startswith(mount.partition(":")[0]) for mount in worker["tmpfs"])


def test_a_volume_for_images_may_be_a_folder_of_this_machine() -> None:
    listed = services()["worker"]["volumes"]
    assert "images:/srv/images" in [interpolated(volume, {}) for volume in listed]
    assert "./mine:/srv/images" in [interpolated(volume, {"IMAGES_FOLDER": "./mine"}) for volume in listed]
    assert "--owner 10001 --group 10001 /srv/images" in (CHECKOUT / "Dockerfile").read_text()


def test_only_workers_get_the_key_and_no_image_contains_it() -> None:
    assert [name for name, service in services().items() if "secrets" in service] == ["worker"]
    assert "API_KEY" not in (CHECKOUT / "Dockerfile").read_text()


def test_a_secret_reaches_only_the_services_that_use_it(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    stack = Stack(tmp_path, dict.fromkeys(PORTS, 1), variables=SECRETS)
    seen = {
        secret: {
            name for name in SERVICES if any(secret in value for value in stack.environment(name).values())
        }
        for secret in SECRETS.values()
    }
    assert seen == {
        PASSWORD: {"redis", "worker", "beat", "callbacks", "flower"},
        "a-key-in-env": set(),
        "a-callback-key": {"callbacks"},
        "operator:secret": {"flower"},
        "a-key-of-a-bucket": {"worker"},
    }


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
    for name in ("tmp", "data", "secrets", "no-secrets", "var/tmp", "srv/images"):
        (folder / name).mkdir(parents=True)
    (folder / "secrets" / "limner_api_key").write_text("sandbox-key\n")
    ports = dict(zip(PORTS, free_ports(), strict=True))
    variables = {
        "LIMNER_API_URL": "http://sandbox:8080",
        "LIMNER_CALLBACK_URL": "http://callbacks:8090",
        "LIMNER_COPY_TO": "file:///srv/images",
        "LIMNER_COPY_PLAIN_HOSTS": "sandbox",
        # A key in .env is an oversight. The worker uses the one in its file.
        "LIMNER_API_KEY": SECRETS["LIMNER_API_KEY"],
        "REDIS_PASSWORD": PASSWORD,
        "FLOWER_BASIC_AUTH": SECRETS["FLOWER_BASIC_AUTH"],
    }
    return Stack(folder, ports, variables=variables)


def redis_url(stack: Stack) -> str:
    return f"redis://:{PASSWORD}@127.0.0.1:{stack.ports['6379']}/0"


def wait_until_healthy(stack: Stack, name: str, child: Child) -> None:
    def is_healthy() -> bool:
        assert child.running, stack.log(name).read_text()
        return stack.probe(name) is None

    eventually(is_healthy, within=40, every=0.2)


@pytest.fixture(scope="module")
def running(stack: Stack) -> Iterator[dict[str, Child]]:
    """Every service, started in the order of the dependencies, each after the previous one is healthy."""
    children: dict[str, Child] = {}
    try:
        for name in ("redis", "sandbox", "callbacks", "worker", "flower", "beat"):
            # By default the stand-in's images take as long as the real ones.
            children[name] = stack.start(name, *(["--duration", "0.3"] if name == "sandbox" else []))
            wait_until_healthy(stack, name, children[name])
        yield children
    finally:
        for child in reversed(children.values()):
            child.stop(10)


def test_a_service_that_is_not_running_is_unhealthy(tmp_path: Path) -> None:
    idle = Stack(tmp_path, dict(zip(PORTS, free_ports(), strict=True)), variables=SECRETS)
    (tmp_path / "no-secrets").mkdir()
    (tmp_path / "secrets").mkdir()
    assert [name for name in SERVICES if idle.probe(name) is None] == []


def test_each_service_runs(stack: Stack, running: dict[str, Child]) -> None:
    assert set(running) == set(SERVICES)
    for name, child in running.items():
        assert child.running, stack.log(name).read_text()


@pytest.mark.parametrize("name", ["redis", "callbacks", "flower", "sandbox"])
def test_a_suspended_server_is_unhealthy_until_it_goes_on(
    stack: Stack, running: dict[str, Child], name: str
) -> None:
    running[name].signal(signal.SIGSTOP)
    try:
        assert stack.probe(name) is not None
    finally:
        running[name].signal(signal.SIGCONT)
    wait_until_healthy(stack, name, running[name])


@pytest.mark.parametrize(
    ("name", "file"), [("worker", "limner-heartbeat"), ("beat", "limner-heartbeat-beat")]
)
def test_a_suspended_process_is_unhealthy_until_it_goes_on(
    stack: Stack, running: dict[str, Child], name: str, file: str
) -> None:
    running[name].signal(signal.SIGSTOP)
    try:
        eventually(lambda: psutil.Process(running[name].pid).status() == psutil.STATUS_STOPPED)
        # As if it had been suspended for a minute.
        then = (stack.folder / "tmp" / file).stat().st_mtime - 60
        os.utime(stack.folder / "tmp" / file, (then, then))
        assert stack.probe(name) is not None
    finally:
        running[name].signal(signal.SIGCONT)
    wait_until_healthy(stack, name, running[name])


def test_redis_answers_nobody_without_its_password(stack: Stack, running: dict[str, Child]) -> None:
    port = stack.ports["6379"]
    for password in (None, "wrong"):
        with (
            redis.Redis(port=port, password=password) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
    stranger = Stack(stack.folder, stack.ports, variables={**stack.variables, "REDIS_PASSWORD": "wrong"})
    assert stranger.probe("redis") is not None
    assert PASSWORD not in " ".join(psutil.Process(running["redis"].pid).cmdline())


def test_redis_has_the_memory_and_the_policy_of_its_command(stack: Stack, running: dict[str, Child]) -> None:
    with redis.Redis.from_url(redis_url(stack)) as client:
        facts = client.info("memory")
    assert (facts["maxmemory"], facts["maxmemory_policy"]) == (1 << 30, "noeviction")


def test_flower_asks_for_its_login(stack: Stack, running: dict[str, Child]) -> None:
    url = f"http://127.0.0.1:{stack.ports['5555']}"
    for page in ("/", "/workers", "/api/tasks"):
        assert httpx.get(url + page).status_code == 401
        assert httpx.get(url + page, auth=("operator", "wrong")).status_code == 401
    assert httpx.get(url + "/workers", auth=("operator", "secret")).status_code == 200


def test_flower_does_not_start_without_a_login(stack: Stack, running: dict[str, Child]) -> None:
    variables = {name: value for name, value in stack.variables.items() if name != "FLOWER_BASIC_AUTH"}
    folder = stack.folder / "open"
    for name in ("tmp", "no-secrets"):
        (folder / name).mkdir(parents=True)
    open_to_all = Stack(folder, stack.ports, variables=variables)
    assert open_to_all.start("flower").wait(20) != 0
    assert "put FLOWER_BASIC_AUTH=USER:PASSWORD into .env" in open_to_all.log("flower").read_text()


def test_a_password_that_would_break_the_url_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    stack = Stack(tmp_path, dict(zip(PORTS, free_ports(), strict=True)), {"REDIS_PASSWORD": "pass/word"})
    assert stack.start("redis").wait(20) != 0
    assert "REDIS_PASSWORD: only letters, digits" in stack.log("redis").read_text()


def test_a_job_is_done(stack: Stack, running: dict[str, Child]) -> None:
    with Limner(redis_url(stack)) as limner:
        result = limner.submit(TextToImage(prompt="a harbour in the compose file")).result(timeout=30)
    (url,) = result.urls
    assert url.startswith(f"http://127.0.0.1:{stack.ports['8080']}/")
    (file,) = result.files
    copied_to = stack.folder / "srv" / "images"
    assert file.url == f"file://{copied_to}/{file.name}"
    assert sha256((copied_to / file.name).read_bytes()).hexdigest() == file.sha256
    # Nothing is left of the image on its way, and no outcome is kept that is on record.
    left = (stack.folder / "var" / "tmp").rglob("*")
    assert [path for path in left if path.name != "limner-rescue"] == []


def test_the_provider_calls_back(stack: Stack, running: dict[str, Child]) -> None:
    url = redis_url(stack)
    with Limner(url) as limner, connect(url) as client:
        counts = Ledger(client).journal.callback_counts
        before = sum(counts().values())
        limner.submit(TextToImage(prompt="a harbour that calls")).result(timeout=30)
        eventually(lambda: sum(counts().values()) > before)
        assert counts().keys() <= {"expected", "repeated"}


def test_a_job_survives_a_killed_redis(stack: Stack, running: dict[str, Child]) -> None:
    with Limner(redis_url(stack)) as limner:
        job = limner.submit(TextToImage(prompt="a harbour after the storm"))
        job.result(timeout=30)
        persisted(stack.folder / "data", job.id)
        running["redis"].kill()
        assert stack.probe("redis") is not None
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
