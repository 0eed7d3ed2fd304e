"""The examination put together: from an environment to findings, against real servers."""

import threading
from collections.abc import Iterator

import pytest
import redis

from sandbox.kie.server import SandboxProvider
from tests.integration.worker.health.servers import closed_port
from worker.health.doctor import bounded, check_settings, examine
from worker.health.findings import Finding, Verdict, ok


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: object, valkey_url: str) -> None:
    """The settings of a fleet, and none from elsewhere."""
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.setenv("LIMNER_REDIS_URL", valkey_url)
    monkeypatch.setenv("LIMNER_API_KEY", "key-of-north")
    monkeypatch.setenv("LIMNER_API_URL", f"http://127.0.0.1:{closed_port()}")


def checks(findings: list[Finding]) -> list[str]:
    return list(dict.fromkeys(finding.check for finding in findings))


def failures(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.verdict is Verdict.FAIL]


def test_a_fleet_that_can_work_has_no_failure(
    provider: SandboxProvider, monkeypatch: pytest.MonkeyPatch, valkey_url: str
) -> None:
    monkeypatch.setenv("LIMNER_API_URL", provider.url)
    findings = list(examine())
    assert failures(findings) == []
    assert checks(findings) == [
        "settings",
        "redis",
        "memory",
        "rights",
        "ledger",
        "losses",
        "clock",
        "broker",
        "results",
        "provider",
        "pauses",
        "workers",
        "copies",
        "callbacks",
    ]
    with redis.Redis.from_url(valkey_url) as client:
        assert not [key for key in client.scan_iter() if key.startswith(b"limner:")]


def test_without_the_ledger_s_redis_the_provider_is_still_asked(
    provider: SandboxProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_API_URL", provider.url)
    monkeypatch.setenv("LIMNER_REDIS_URL", f"redis://:hunter2@127.0.0.1:{closed_port()}/0")
    findings = list(examine())
    assert [finding.check for finding in failures(findings)] == ["redis", "broker", "results"]
    assert "cannot be reached" in failures(findings)[0].found
    assert "provider" in checks(findings)
    assert "rights" not in checks(findings)
    assert "hunter2" not in str(findings)


def test_a_provider_that_is_away_is_one_failure() -> None:
    [failure] = failures(list(examine()))
    assert failure.check == "provider"
    assert failure.found.startswith("LIMNER_API_URL: no connection to 127.0.0.1")


def test_wrong_settings_are_named_one_by_one_and_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_API_KEY", "'kie-secret'")
    monkeypatch.setenv("LIMNER_RATE_REQUESTS", "0")
    findings = list(examine())
    assert [finding.check for finding in findings] == ["settings", "settings"]
    assert {finding.found.partition(":")[0] for finding in failures(findings)} == {
        "LIMNER_API_KEY",
        "LIMNER_RATE_REQUESTS",
    }
    assert "LIMNER_API_KEY: has quotes around it" in str(findings)
    assert "kie-secret" not in str(findings)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("LIMNER_API_KEY", "", "LIMNER_API_KEY: not set"),
        ("LIMNER_API_URL", "https://api.kie.ai/api/v1", "LIMNER_API_URL must not end in /api/v1"),
        ("HTTPS_PROXY", "socks5://proxy:1080", "HTTPS_PROXY must be"),
        ("SSL_CERT_FILE", "/no/such/file.pem", "SSL_CERT_FILE or SSL_CERT_DIR cannot be read"),
    ],
)
def test_a_setting_of_the_provider_that_is_wrong_keeps_nothing_else_from_its_check(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv("LIMNER_API_URL", "https://api.kie.ai")
    monkeypatch.setenv(variable, value)
    findings = list(examine())
    [failure] = failures(findings)
    assert (failure.check, failure.found[: len(told)]) == ("settings", told)
    assert "rights" in checks(findings)
    assert "provider" not in checks(findings)


def test_a_misspelt_setting_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_API_KYE", "hunter2")
    settings, [finding] = check_settings()
    assert settings
    assert finding.verdict is Verdict.WARN
    assert finding.found == "LIMNER_API_KYE: there is no such setting; did you mean LIMNER_API_KEY?"


def test_a_check_that_hangs_does_not_hang_the_others() -> None:
    hang = threading.Event()

    def act() -> Iterator[Finding]:
        hang.wait()
        yield ok("x", "late")

    [finding] = bounded("x", act, seconds=0.1)
    hang.set()
    assert (finding.check, finding.verdict) == ("x", Verdict.FAIL)
    assert "did not end within 0.1 s" in finding.found


def test_a_fault_of_a_check_is_told_without_its_text_and_keeps_what_was_found() -> None:
    def act() -> Iterator[Finding]:
        yield ok("x", "early")
        raise RuntimeError("redis://:hunter2@host")

    first, second = bounded("x", act)
    assert first == ok("x", "early")
    assert (second.verdict, second.found) == (Verdict.FAIL, "the doctor itself has a fault: RuntimeError")
