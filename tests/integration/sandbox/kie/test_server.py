"""The stand-in as a process of its own, from its start to its end."""

import httpx
import psutil
import pytest

from sandbox.kie.server import ProviderDied, SandboxProvider
from tests.integration.sandbox.conftest import client_of, create


def test_what_was_not_started_has_neither_a_url_nor_a_process() -> None:
    provider = SandboxProvider()
    assert provider.url == ""
    with pytest.raises(ProviderDied, match="was not started"):
        provider.ledger()
    with pytest.raises(ProviderDied, match="was not started"):
        provider.kill()


def test_a_wrong_option_is_refused_before_a_process_is_made() -> None:
    with pytest.raises(ValueError, match="speed: must be above 0"):
        SandboxProvider(speed=0)


def test_a_restart_forgets_the_tasks_and_keeps_the_port() -> None:
    with SandboxProvider(faults={"stuck": 1}) as provider:
        url, pid = provider.url, provider.pid
        with client_of(provider) as client:
            create(client)
        provider.restart()
        assert (provider.url, provider.ledger()) == (url, [])
        assert list(provider.faults()) == ["stuck"]
        assert not psutil.pid_exists(pid)


def test_after_the_stop_nobody_answers() -> None:
    with SandboxProvider() as provider:
        url = provider.url
        assert httpx.get(f"{url}/sandbox/healthz", trust_env=False).json()["ok"]
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/sandbox/healthz", trust_env=False)
