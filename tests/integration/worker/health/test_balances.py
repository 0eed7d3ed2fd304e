"""Balances read over real connections: from the stand-in, and from servers that answer in its place."""

import json
import time
from decimal import Decimal

import pytest
from pydantic import SecretStr

from config import Settings
from sandbox.kie.server import SandboxProvider
from tests.integration.provider.raw import Conversation, RawServer
from tests.integration.worker.health.conftest import MakeSettings
from tests.integration.worker.health.servers import CERTIFICATE, Answer, closed_port, serving
from worker.health.balances import read_balances
from worker.health.faults import Fault

TWO = {"north": {"key": "env:NORTH"}, "south": {"key": "env:SOUTH"}}


def only(settings: Settings, **options: float) -> Decimal | Fault:
    [answer] = read_balances(settings, **options).values()
    return answer


def fault(settings: Settings, **options: float) -> Fault:
    answer = only(settings, **options)
    assert isinstance(answer, Fault)
    return answer


def always(status: int, body: bytes = b"", **headers: str) -> Answer:
    return lambda _path, _headers: (status, headers, body)


def test_the_balance_of_each_account_is_read(
    provider: SandboxProvider, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NORTH", "key-of-north")
    monkeypatch.setenv("SOUTH", "made-up")
    provider.set_credits(12.5, "north")
    answers = read_balances(make_settings(provider.url, accounts=TWO))
    assert answers["north"] == Decimal("12.5")
    south = answers["south"]
    assert isinstance(south, Fault)
    assert (south.setting, south.cause) == ("LIMNER_ACCOUNTS: south", "unauthorized")
    assert "made-up" not in str(south)


def test_a_wrong_key_is_named(provider: SandboxProvider, make_settings: MakeSettings) -> None:
    found = fault(make_settings(provider.url, api_key=SecretStr("made-up-key-of-nobody")))
    assert (found.setting, found.cause) == ("LIMNER_API_KEY", "unauthorized")
    assert "made-up-key" not in str(found)


def test_a_path_too_many_is_named(provider: SandboxProvider, make_settings: MakeSettings) -> None:
    found = fault(make_settings(f"{provider.url}/kie"))
    assert (found.setting, found.cause) == ("LIMNER_API_URL", "gateway")
    assert "has no such path" in str(found)


def test_the_prefix_of_a_proxy_is_followed(make_settings: MakeSettings) -> None:
    def answer(path: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return (200, {}, b'{"code":200,"data":7}') if path == "/kie/api/v1/chat/credit" else (404, {}, b"")

    with serving(answer) as url:
        assert only(make_settings(f"{url}/kie")) == Decimal(7)


def test_a_page_is_told_without_its_tags(make_settings: MakeSettings) -> None:
    with serving(always(200, b"<html><title>Kie AI</title></html>")) as url:
        found = fault(make_settings(url))
    assert (found.setting, found.cause) == ("LIMNER_API_URL", "gateway")
    assert "in place of the API's answer (HTTP 200): Kie AI;" in str(found)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_with_its_location(make_settings: MakeSettings, status: int) -> None:
    with serving(always(status, b"moved", Location="https://user:hunter2@kie.ai/login?k=hunter2")) as url:
        found = fault(make_settings(url))
    assert (found.setting, found.cause) == ("LIMNER_API_URL", "gateway")
    assert f"is redirected to https://kie.ai/login (HTTP {status})" in str(found)
    assert "hunter2" not in str(found)


def test_the_key_is_not_repeated_from_a_location(make_settings: MakeSettings) -> None:
    key = "kie-secret-5c94f1aa3f0c9a5b"
    with serving(always(302, b"", Location=f"https://kie.ai/{key}")) as url:
        assert key not in str(fault(make_settings(url, api_key=SecretStr(key))))


def test_a_port_without_a_server_is_named(make_settings: MakeSettings) -> None:
    found = fault(make_settings(f"http://127.0.0.1:{closed_port()}"))
    assert (found.setting, found.cause) == ("LIMNER_API_URL", "unreachable")
    assert "no connection to 127.0.0.1" in str(found)


def test_a_name_that_nobody_knows_is_named(make_settings: MakeSettings) -> None:
    found = fault(make_settings("https://no-such-host.invalid"))
    assert (found.setting, found.cause) == ("LIMNER_API_URL", "unreachable")
    assert "the name of no-such-host.invalid cannot be looked up" in str(found)


def test_a_certificate_that_nobody_trusts_is_named(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(always(200, b'{"code":200,"data":7}'), tls=True) as url:
        found = fault(make_settings(url))
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert only(make_settings(url)) == Decimal(7)
    assert (found.setting, found.cause) == ("SSL_CERT_FILE", "unreachable")
    assert "is not trusted" in str(found)


def test_a_server_without_tls_is_named(make_settings: MakeSettings) -> None:
    with serving(always(200)) as url:
        found = fault(make_settings(url.replace("http:", "https:")))
    assert (found.setting, found.cause) == ("LIMNER_API_URL", "unreachable")
    assert "speaks no TLS" in str(found)


def test_a_proxy_that_is_not_there_is_named(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:hunter2@127.0.0.1:{closed_port()}")
    found = fault(make_settings("https://api.kie.ai"))
    assert (found.setting, found.cause) == ("HTTPS_PROXY", "unreachable")
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_refuses_is_named(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    with serving(always(status, b"no")) as url:
        monkeypatch.setenv("HTTPS_PROXY", url)
        found = fault(make_settings("https://api.kie.ai"))
    assert (found.setting, found.cause) == ("HTTPS_PROXY", "unreachable")
    assert f"the proxy refuses: {status}" in str(found)


@pytest.mark.parametrize("status", [500, 503])
def test_a_fault_of_the_provider_is_told_as_such(make_settings: MakeSettings, status: int) -> None:
    body = json.dumps({"code": status, "msg": "Server exception"}).encode()
    with serving(always(200, body)) as url:
        found = fault(make_settings(url))
    assert (found.setting, found.cause) == ("LIMNER_API_URL", "faulty")
    assert f"a fault of its own (code {status}): Server exception" in str(found)


@pytest.mark.parametrize("data", ["null", "{}", '"plenty"'])
def test_a_balance_that_is_no_number_closes_nothing(make_settings: MakeSettings, data: str) -> None:
    with serving(always(200, b'{"code":200,"msg":"success","data":%s}' % data.encode())) as url:
        assert fault(make_settings(url)).cause is None


def test_a_server_that_hangs_costs_a_bounded_time(
    make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NORTH", "key-of-north")
    monkeypatch.setenv("SOUTH", "key-of-south")
    with RawServer(Conversation.wait) as server:
        began = time.monotonic()
        answers = read_balances(make_settings(server.url, accounts=TWO), within=0.5)
        assert time.monotonic() - began < 3.0
    for found in answers.values():
        assert isinstance(found, Fault)
        assert (found.setting, found.cause) == ("LIMNER_API_URL", "unreachable")
        assert "did not answer within 0.5 s" in str(found)
