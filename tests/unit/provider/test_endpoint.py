from pathlib import Path

import pytest
from pydantic import SecretStr

from limner.errors import ConfigurationError
from provider import KieClient
from provider.endpoint import environment_proxy, proxy_variable, tls_context

KEY = SecretStr("kie-secret-5c94f1aa3f0c9a5b")


@pytest.fixture(autouse=True)
def no_proxy_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.kie.ai",
        "ftp://api.kie.ai",
        "https://",
        "https:///jobs",
        "https://a:port",
        "https://a:99999",
        "https://999.1.1.1",
        "https://user:hunter2@api.kie.ai",
        "https://hunter2@api.kie.ai",
        "https://api.kie.ai?k=hunter2",
        "https://api.kie.ai/#x",
        "https://api.kie.ai/a b",
        "https://api.kie.ai\n",
        "https://[::1",
        "https://ä",
        "https://api..kie.ai",
        f"https://{'a' * 64}.kie.ai",
    ],
)
def test_an_unusable_url_is_refused_with_the_setting_s_name(url: str) -> None:
    with pytest.raises(ConfigurationError, match="LIMNER_API_URL") as caught:
        KieClient(url, KEY)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["https://api.kie.ai", "http://sandbox:8080/", "https://[::1]:1/kie"])
def test_a_usable_url_is_accepted(url: str) -> None:
    with KieClient(url, KEY) as client:
        assert repr(client) == f"KieClient({url.rstrip('/')!r})"


@pytest.mark.parametrize(
    "key", ["", " ", "hunter2\n", "hunter2\r\nX: y", "hunter 2", "hunter2é", "hunter2\x00"]
)
def test_an_unusable_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigurationError, match="LIMNER_API_KEY") as caught:
        KieClient("https://api.kie.ai", SecretStr(key))
    assert "hunter" not in repr(caught.value)


def test_the_environment_s_proxy_is_used_unless_the_host_is_exempt(monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment_proxy("https://api.kie.ai") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://user:p%40ss@proxy.internal:3128")
    proxy = environment_proxy("https://api.kie.ai")
    assert proxy is not None
    assert (proxy.url.host, proxy.url.port, proxy.auth) == (b"proxy.internal", 3128, (b"user", b"p@ss"))
    assert environment_proxy("http://api.kie.ai") is None
    monkeypatch.setenv("NO_PROXY", "api.kie.ai")
    assert environment_proxy("https://api.kie.ai") is None


def test_a_proxy_that_is_not_an_http_proxy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.internal:1080")
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY"):
        KieClient("https://api.kie.ai", KEY)


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("https://api.kie.ai/api/v1", "https://api.kie.ai"),
        ("https://api.kie.ai/api/v1/", "https://api.kie.ai"),
        ("https://api.kie.ai/api/v1/jobs", "https://api.kie.ai"),
        ("https://api.kie.ai/api/v1/jobs/createTask", "https://api.kie.ai"),
        ("https://api.kie.ai/API/V1/jobs/recordinfo", "https://api.kie.ai"),
        ("https://api.kie.ai/api/v1/chat/credit", "https://api.kie.ai"),
        ("https://gate.example/kie/api/v1/jobs", "https://gate.example/kie"),
        ("https://gate.example/kie/createTask", "https://gate.example/kie"),
    ],
)
def test_a_url_with_a_request_s_path_is_refused_with_the_right_form(url: str, right: str) -> None:
    with pytest.raises(ConfigurationError, match="LIMNER_API_URL must not end in") as caught:
        KieClient(url, KEY)
    assert str(caught.value).endswith(f"; write {right}")


@pytest.mark.parametrize("url", ["https://gate.example/kie", "https://gate.example/api/v1/kie"])
def test_a_proxy_may_have_a_path_of_its_own(url: str) -> None:
    with KieClient(url, KEY) as client:
        assert repr(client) == f"KieClient({url!r})"


def test_the_variable_that_names_the_proxy_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert proxy_variable("https://api.kie.ai") is None
    monkeypatch.setenv("ALL_PROXY", "http://proxy.internal:3128")
    assert proxy_variable("https://api.kie.ai") == "ALL_PROXY"
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.internal:3128")
    assert proxy_variable("https://api.kie.ai") == "HTTPS_PROXY"
    assert proxy_variable("http://api.kie.ai") == "ALL_PROXY"
    monkeypatch.setenv("NO_PROXY", "api.kie.ai")
    assert proxy_variable("https://api.kie.ai") is None


def test_certificates_that_cannot_be_read_are_a_wrong_setting(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match=r"SSL_CERT_FILE .*\(No such file or directory\)"):
        tls_context()
    empty = tmp_path / "empty.pem"
    empty.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(empty))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        KieClient("https://api.kie.ai", KEY)
