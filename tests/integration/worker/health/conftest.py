"""Settings of a fleet, its ledger, and the stand-in for the provider."""

from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from config import Settings
from limner._redis import connect
from limner.ledger import Ledger
from sandbox.kie.server import SandboxProvider

MakeSettings = Callable[..., Settings]
KEY = "sandbox-key"


@pytest.fixture(autouse=True)
def only_the_tests_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


@pytest.fixture(scope="module")
def provider() -> Iterator[SandboxProvider]:
    with SandboxProvider(accounts="north=key-of-north,south=key-of-south") as running:
        yield running


@pytest.fixture
def ledger(valkey_url: str) -> Iterator[Ledger]:
    with connect(valkey_url) as client:
        yield Ledger(client)


@pytest.fixture
def make_settings(valkey_url: str) -> MakeSettings:
    """A factory of settings with one account, or with those that the options name."""

    def make(api_url: str, **options: object) -> Settings:
        key = {} if "accounts" in options else {"api_key": SecretStr("key-of-north")}
        return Settings(**{"redis_url": valkey_url, "api_url": api_url, **key, **options})  # type: ignore[arg-type]

    return make
