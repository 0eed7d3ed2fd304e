from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from limner.models import TextToImage
from provider import KieClient, Timeouts

KEY = "kie-secret-5c94f1aa3f0c9a5b"
PROMPT = TextToImage(prompt="a red kite over a salt flat")
QUICK = Timeouts(connect=0.5, read=0.5, write=0.5, total=1.0)

MakeClient = Callable[..., KieClient]


@pytest.fixture
def make_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeClient]:
    """A factory of clients with short time-outs, which are closed after the test."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    clients: list[KieClient] = []

    def make(url: str, *, timeouts: Timeouts = QUICK, max_body_bytes: int = 100_000) -> KieClient:
        clients.append(KieClient(url, SecretStr(KEY), timeouts, max_body_bytes=max_body_bytes))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
