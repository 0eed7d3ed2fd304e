import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.local.valkey import EmbeddedValkey, ValkeyError
from tests.integration.sandbox.conftest import until
from tests.repository import ROOT


def connected(server: EmbeddedValkey) -> redis.Redis:
    return redis.Redis.from_url(server.url, socket_timeout=5)


def configured(server: EmbeddedValkey, name: str) -> str:
    answer = connected(server).config_get(name)
    assert isinstance(answer, dict)
    return str(answer[name])


def test_the_server_requires_its_password_and_leaves_nothing_behind() -> None:
    with EmbeddedValkey() as server:
        assert connected(server).ping()
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=server.port, retry=Retry(NoBackoff(), 0)).ping()
        folder = Path(configured(server, "dir"))
        assert configured(server, "maxmemory-policy") == "noeviction"
        assert configured(server, "appendonly") == "no"
        assert server.url.split(":")[2].split("@")[0] not in " ".join(psutil.Process(server.pid).cmdline())
        pid = server.pid
    assert not folder.exists()
    assert not psutil.pid_exists(pid)


def test_twelve_servers_can_start_at_once_on_different_ports() -> None:
    with ThreadPoolExecutor(12) as pool:
        servers = list(pool.map(lambda _: EmbeddedValkey().start(), range(12)))
    try:
        # The pool's threads have ended, and a server must not die with the thread that started it.
        assert all(connected(server).ping() for server in servers)
        assert len({server.port for server in servers}) == 12
    finally:
        for server in servers:
            server.stop()


def test_a_restart_after_a_kill_keeps_data_port_and_password() -> None:
    with EmbeddedValkey(aof=True) as server:
        url, pid = server.url, server.pid
        client = connected(server)
        for number in range(500):
            client.rpush("queue", number)
        server.kill()
        with pytest.raises(redis.ConnectionError):
            connected(server).ping()
        server.restart()
        assert server.url == url
        assert server.pid != pid
        assert connected(server).llen("queue") == 500


def test_a_paused_server_answers_nothing_until_it_is_resumed() -> None:
    with EmbeddedValkey() as server:
        client = redis.Redis.from_url(server.url, socket_timeout=0.3, retry=None)
        client.ping()
        server.pause()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        server.resume()
        assert connected(server).ping()


def test_a_paused_server_can_be_stopped() -> None:
    server = EmbeddedValkey().start()
    pid = server.pid
    server.pause()
    server.stop()
    assert not psutil.pid_exists(pid)


def test_a_data_folder_is_kept_stamped_and_reopened(tmp_path: Path) -> None:
    with EmbeddedValkey(data_dir=tmp_path) as server:
        connected(server).set("kept", "yes")
    stamp = json.loads((tmp_path / "server.json").read_text())
    assert stamp["server"] in ("valkey", "redis")
    with EmbeddedValkey(data_dir=tmp_path) as server:
        assert connected(server).get("kept") == b"yes"


@pytest.mark.parametrize(
    "writer", [{"server": "valkey", "version": [99, 0]}, {"server": "other", "version": [1]}]
)
def test_a_folder_of_a_newer_or_another_server_is_refused(tmp_path: Path, writer: dict[str, object]) -> None:
    (tmp_path / "server.json").write_text(json.dumps(writer))
    with pytest.raises(ValkeyError, match="was written by"):
        EmbeddedValkey(data_dir=tmp_path).start()
    assert json.loads((tmp_path / "server.json").read_text()) == writer


def test_data_without_a_stamp_is_refused(tmp_path: Path) -> None:
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(ValkeyError, match="unknown server"):
        EmbeddedValkey(data_dir=tmp_path).start()


def test_two_servers_never_share_a_folder(tmp_path: Path) -> None:
    with EmbeddedValkey(data_dir=tmp_path) as server:
        with pytest.raises(ValkeyError, match="in use"):
            EmbeddedValkey(data_dir=tmp_path).start()
        assert connected(server).ping()


def test_a_fixed_port_in_use_is_an_error() -> None:
    with EmbeddedValkey() as server, pytest.raises(ValkeyError, match=str(server.port)):
        EmbeddedValkey(port=server.port).start()


def test_without_any_server_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValkeyError, match=r"'\.\[sandbox\]'"):
        EmbeddedValkey().start()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_server_ends_with_its_owner(number: signal.Signals) -> None:
    code = (
        "import time; from sandbox.local.valkey import EmbeddedValkey\n"
        "with EmbeddedValkey() as server: print(server.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout as output:
        server_pid = int(output.readline())
    assert psutil.pid_exists(server_pid)
    owner.send_signal(number)
    owner.wait(20)
    until(lambda: not psutil.pid_exists(server_pid))


def test_the_folder_of_a_killed_owner_is_removed_by_the_next() -> None:
    code = (
        "import time; from sandbox.local.valkey import EmbeddedValkey\n"
        "server = EmbeddedValkey().start(); print(server.url, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout as output:
        client: Any = redis.Redis.from_url(output.readline().strip())
        folder = Path(str(client.config_get("dir")["dir"]))
        server_pid = client.info("server")["process_id"]
    assert folder.exists()
    owner.kill()
    owner.wait(20)
    # The server ends a moment after its owner, and keeps its folder until then.
    until(lambda: not psutil.pid_exists(server_pid))
    with EmbeddedValkey():
        assert not folder.exists()


def test_a_forked_copy_of_the_owner_does_not_end_the_server() -> None:
    code = (
        "import os, sys; from sandbox.local.valkey import EmbeddedValkey\n"
        "server = EmbeddedValkey().start()\n"
        "if os.fork() == 0: server.stop(); sys.exit()\n"
        "os.wait()\n"
        "import redis; print(redis.Redis.from_url(server.url).ping())"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.strip() == "True", run.stderr


def test_the_command_prints_a_url_and_stops_cleanly() -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "valkey"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    assert command.stdout is not None
    with command.stdout as output:
        assert redis.Redis.from_url(output.readline().strip()).ping()
    command.send_signal(signal.SIGINT)
    assert command.wait(20) == 0
