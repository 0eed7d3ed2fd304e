"""The doctor's checks of the provider, over real connections."""

from email.utils import formatdate

import pytest

from sandbox.kie.server import SandboxProvider
from tests.integration.provider.raw import RawServer, always, http
from tests.integration.worker.health.conftest import MakeSettings
from tests.integration.worker.health.servers import closed_port, serving
from worker.health.findings import Verdict
from worker.health.provider_checks import check_provider, check_provider_clock

TWO = {"north": {"key": "env:NORTH"}, "south": {"key": "env:SOUTH"}}


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORTH", "key-of-north")
    monkeypatch.setenv("SOUTH", "key-of-south")


def test_each_account_s_balance_is_told(provider: SandboxProvider, make_settings: MakeSettings) -> None:
    provider.set_credits(12.5, "north")
    provider.set_credits(0, "south")
    north, south = check_provider(make_settings(provider.url, accounts=TWO))
    assert north.verdict is Verdict.OK
    assert north.found == f"{provider.url} takes the key of account north, which has 12.5 credits left"
    assert (south.verdict, south.advice) == (Verdict.WARN, "top up")


def test_a_fault_that_accounts_share_is_told_once(make_settings: MakeSettings) -> None:
    [finding] = check_provider(make_settings(f"http://127.0.0.1:{closed_port()}", accounts=TWO))
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("LIMNER_API_URL: no connection")
    assert finding.found.endswith(" (accounts north, south)")
    assert finding.advice


def test_a_balance_that_is_not_told_is_no_failure(make_settings: MakeSettings) -> None:
    with serving(lambda *_: (200, {}, b'{"code":200,"data":null}')) as url:
        [finding] = check_provider(make_settings(url))
    assert finding.verdict is Verdict.WARN


def test_the_provider_s_clock_is_compared(provider: SandboxProvider) -> None:
    [finding] = check_provider_clock(provider.url)
    assert (finding.verdict, finding.found) == (Verdict.OK, "this machine and the provider agree")


def test_a_clock_that_differs_is_told() -> None:
    with RawServer(always(http(b"", headers=f"Date: {formatdate(0, usegmt=True)}\r\n"))) as server:
        [finding] = check_provider_clock(server.url)
    assert finding.verdict is Verdict.WARN
    assert finding.found.endswith(" s ahead of the provider")


@pytest.mark.parametrize("date", ["", "Date: yesterday\r\n"])
def test_without_a_date_nothing_is_told(date: str) -> None:
    with RawServer(always(http(b"", headers=date))) as server:
        assert list(check_provider_clock(server.url)) == []


def test_without_an_answer_nothing_is_told() -> None:
    assert list(check_provider_clock(f"http://127.0.0.1:{closed_port()}")) == []
