"""A Sentinel of its own: its secrets, and its end."""

from pathlib import Path

import psutil
import pytest
import redis

from sandbox.local.commands import says
from sandbox.local.sentinel import SERVICE, Sentinel
from sandbox.local.valkey import EmbeddedValkey


def test_a_sentinel_keeps_its_secrets_and_leaves_nothing_behind() -> None:
    with EmbeddedValkey() as primary:
        with Sentinel(primary, quorum=1, password="guard") as sentinel:
            answer = says(sentinel.port, "guard", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            assert answer == ["127.0.0.1", str(primary.port)]
            with pytest.raises(redis.AuthenticationError):
                says(sentinel.port, None, "SENTINEL", "MASTERS")
            process = psutil.Process(sentinel.pid)
            assert primary.password not in " ".join(process.cmdline())
            file = Path(process.cwd()) / "sentinel.conf"
            assert file.exists()
            assert file.parent.stat().st_mode & 0o777 == 0o700
        assert not file.exists()
        assert not psutil.pid_exists(process.pid)
        assert primary.running


def test_a_sentinel_without_a_password_serves_everybody() -> None:
    with EmbeddedValkey() as primary, Sentinel(primary, quorum=1) as sentinel:
        assert says(sentinel.port, None, "PING")
        sentinel.kill()
        assert not sentinel.running
