"""The way of callbacks, tried over real connections: with our receiver, and with others in its place."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr

from config import Settings
from limner.ledger import Ledger
from sandbox.local.valkey import EmbeddedValkey
from tests.conftest import eventually
from tests.integration.worker.health.conftest import MakeSettings
from tests.integration.worker.health.servers import closed_port, serving
from worker.callbacks import make_app
from worker.health.callback_checks import check_callbacks, judged
from worker.health.findings import Finding, Verdict

SUCCESS = b'{"code":200,"msg":"success"}'


@contextmanager
def receiving(settings: Settings) -> Iterator[str]:
    """The fleet's receiver with these settings; yields its URL."""
    server = uvicorn.Server(uvicorn.Config(make_app(settings), port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        [listener] = server.servers[0].sockets
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def only(settings: Settings, ledger: Ledger) -> Finding:
    [finding] = check_callbacks(settings, ledger)
    return finding


@pytest.fixture
def local(make_settings: MakeSettings) -> Any:
    """A factory of settings with a provider on loopback, which reaches loopback."""
    return lambda url, **options: make_settings("http://127.0.0.1:1", callback_url=url, **options)


@pytest.mark.parametrize("key", [None, SecretStr("hunter2")])
def test_a_callback_comes_back_and_leaves_nothing(
    make_settings: MakeSettings, local: Any, ledger: Ledger, key: SecretStr | None
) -> None:
    with receiving(make_settings("https://api.kie.ai", callback_hmac_key=key)) as url:
        finding = only(local(url, callback_hmac_key=key), ledger)
    assert (finding.verdict, finding.found) == (Verdict.OK, f"{url} takes callbacks")
    assert ledger.journal.unmatched_callbacks() == []
    assert ledger.journal.callback_counts() == {}


def test_callbacks_of_others_are_kept(make_settings: MakeSettings, local: Any, ledger: Ledger) -> None:
    ledger.journal.keep_unmatched("a job", "a task")
    with receiving(make_settings("https://api.kie.ai")) as url:
        assert only(local(url), ledger).verdict is Verdict.OK
    assert [each.job_id for each in ledger.journal.unmatched_callbacks()] == ["a job"]
    assert ledger.journal.callback_counts() == {"unknown_job": 1}


def test_a_receiver_with_another_key_is_told(make_settings: MakeSettings, local: Any, ledger: Ledger) -> None:
    with receiving(make_settings("https://api.kie.ai", callback_hmac_key=SecretStr("other"))) as url:
        finding = only(local(url, callback_hmac_key=SecretStr("hunter2")), ledger)
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("LIMNER_CALLBACK_HMAC_KEY: ")
    assert "hunter2" not in str(finding)


def test_a_receiver_of_another_ledger_is_told(
    make_settings: MakeSettings, local: Any, ledger: Ledger
) -> None:
    with (
        EmbeddedValkey() as other,
        receiving(make_settings("https://api.kie.ai", redis_url=other.url)) as url,
    ):
        finding = only(local(url), ledger)
    assert finding.verdict is Verdict.FAIL
    assert "this ledger has no callback of it" in finding.found
    assert "LIMNER_REDIS_URL" in finding.advice


def test_a_receiver_without_its_redis_is_told(
    make_settings: MakeSettings, local: Any, ledger: Ledger
) -> None:
    nowhere = f"redis://127.0.0.1:{closed_port()}/0"
    with receiving(make_settings("https://api.kie.ai", redis_url=nowhere)) as url:
        finding = only(local(url), ledger)
    assert finding.verdict is Verdict.FAIL
    assert "does not reach its Redis" in finding.found


def test_an_address_without_a_receiver_is_told(local: Any, ledger: Ledger) -> None:
    finding = only(local(f"http://127.0.0.1:{closed_port()}"), ledger)
    assert finding.verdict is Verdict.FAIL
    assert "cannot be reached from here: [Errno" in finding.found
    assert "uvicorn worker.callbacks:app" in finding.advice


def test_a_page_in_place_of_the_receiver_is_told(local: Any, ledger: Ledger) -> None:
    with serving(lambda *_: (404, {}, b"<h1>Not here</h1>")) as url:
        finding = only(local(url), ledger)
    assert finding.verdict is Verdict.FAIL
    assert finding.found.endswith("(HTTP 404): Not here")


def test_a_redirect_is_told_with_its_location(local: Any, ledger: Ledger) -> None:
    with serving(lambda *_: (301, {"Location": "https://hooks.example/?k=hunter2"}, b"")) as url:
        finding = only(local(url), ledger)
    assert finding.verdict is Verdict.FAIL
    assert "is redirected to https://hooks.example/ (HTTP 301)" in finding.found


def test_the_token_goes_to_the_receiver_alone(local: Any, ledger: Ledger) -> None:
    paths: list[str] = []

    def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        paths.append(path)
        return 200, {}, SUCCESS

    with serving(answer) as url:
        finding = only(local(url), ledger)
    [path] = paths
    assert path.startswith("/callbacks/doctor-")
    assert path.rpartition("/")[2] not in str(finding)


def test_without_a_callback_url_nothing_is_sent(make_settings: MakeSettings, ledger: Ledger) -> None:
    began = time.monotonic()
    finding = only(make_settings("https://api.kie.ai"), ledger)
    assert finding.verdict is Verdict.OK
    assert "not set" in finding.found
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("http://10.0.0.7:8090", Verdict.WARN),
        ("http://callbacks:8090", Verdict.WARN),
        ("http://localhost:8090", Verdict.WARN),
        ("https://8.8.8.8", Verdict.OK),
        ("https://hooks.example.com", Verdict.OK),
    ],
)
def test_an_address_that_only_this_network_reaches_is_told(
    make_settings: MakeSettings, url: str, verdict: Verdict
) -> None:
    settings = make_settings("https://api.kie.ai", callback_url=url)
    finding = judged(settings, 200, {}, SUCCESS, arrived=True, unsigned=False)
    assert finding.verdict is verdict
