"""The lifetime of child processes, and of the stand-in as one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from sandbox.kie.server import ProviderDied, SandboxProvider
from sandbox.processes.children import WATCHER, Child
from tests.integration.sandbox.conftest import client_of, create, until
from tests.repository import ROOT

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace() -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)"
    read, write = os.pipe()
    with os.fdopen(read) as reader, os.fdopen(write, "wb") as output:
        child = Child([sys.executable, "-c", code], output=output)
        assert reader.readline() == "1\n"
        child.stop(0.2)
    assert child.returncode == -signal.SIGKILL


def test_a_child_has_its_own_session() -> None:
    child = Child(SLEEP)
    try:
        assert os.getsid(child.pid) == child.pid != os.getsid(0)
    finally:
        child.kill()


def test_the_watcher_kills_the_child_when_its_owner_has_ended() -> None:
    # The watcher replaces the death signal on systems without one, but it runs anywhere.
    code = (
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen({SLEEP!r})\n"
        f"argv = [sys.executable, '-I', '-S', '-c', {WATCHER!r}, str(os.getpid()), str(child.pid)]\n"
        "print(child.pid, subprocess.Popen(argv).pid, flush=True)\n"
        "sys.stdin.read()\n"
        "os._exit(0)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdin is not None
    assert owner.stdout is not None
    with owner.stdin, owner.stdout as output:
        pids = [int(pid) for pid in output.readline().split()]
        assert all(psutil.pid_exists(pid) for pid in pids)
    owner.wait(20)
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids))


def test_the_provider_ends_with_its_owner() -> None:
    code = (
        "import time; from sandbox.kie.server import SandboxProvider\n"
        "with SandboxProvider() as provider: print(provider.pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    with owner.stdout as output:
        pid = int(output.readline())
    owner.kill()
    owner.wait(20)
    until(lambda: not psutil.pid_exists(pid))


def test_the_provider_starts_from_any_folder_and_stops_cleanly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with SandboxProvider() as provider:
        pid = provider.pid
        assert httpx.get(f"{provider.url}/sandbox/healthz", trust_env=False).json()["ok"] is True
    assert not psutil.pid_exists(pid)


def test_a_restarted_provider_has_the_same_port_and_an_empty_ledger() -> None:
    with SandboxProvider() as provider:
        url = provider.url
        with client_of(provider) as client:
            create(client)
        provider.kill()
        provider.restart()
        assert (provider.url, provider.ledger()) == (url, [])


def test_a_port_in_use_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with SandboxProvider() as provider:
        with pytest.raises(ProviderDied):
            SandboxProvider(port=int(provider.url.rsplit(":", 1)[1])).start()
        assert "in use" in capfd.readouterr().err
