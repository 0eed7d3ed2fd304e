"""The setting that is named for each answer to the question for the balance."""

import pytest

from provider import Cause, Unreadable, Why
from worker.health.faults import Fault, Way, fault_of, overdue, quoted

URL = "https://api.kie.ai"
WAY = Way(URL, "LIMNER_API_KEY")
PROXIED = Way(URL, "LIMNER_ACCOUNTS: north", "HTTPS_PROXY")


def unconnected(message: str) -> Unreadable:
    return Unreadable(Why.NOT_CONNECTED, None, None, message, Cause.NOT_CONNECTED)


def page(status: int, why: Why = Why.NOT_JSON, cause: Cause | None = None) -> Unreadable:
    return Unreadable(why, None, status, "<html><h1>Not\x20here</h1>", cause)


def refused(code: int, cause: Cause | None, http_status: int = 200) -> Unreadable:
    why = Why.UNKNOWN_CODE if cause is None else Why.REFUSED
    return Unreadable(why, code, http_status, "told so", cause)


UNTRUSTED = unconnected(
    "ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate"
)
OTHER_HOST = unconnected(
    "ConnectError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, "
    "certificate is not valid for 'api.kie.ai'."
)
PLAIN = unconnected("ConnectError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)")
NAMELESS = unconnected("ConnectError: [Errno -2] Name or service not known")
CLOSED = unconnected("ConnectError: [Errno 111] Connection refused")
SLOW = Unreadable(Why.TIMED_OUT, None, None, "ReadTimeout: timed out")
CUT = Unreadable(Why.BROKEN_OFF, None, None, "RemoteProtocolError: Server disconnected")


@pytest.mark.parametrize(
    ("answer", "way", "setting", "cause", "words"),
    [
        (UNTRUSTED, WAY, "SSL_CERT_FILE", "unreachable", "is not trusted"),
        (UNTRUSTED, PROXIED, "SSL_CERT_FILE", "unreachable", "your network or proxy"),
        (OTHER_HOST, WAY, "LIMNER_API_URL", "unreachable", "of another host"),
        (PLAIN, WAY, "LIMNER_API_URL", "unreachable", "api.kie.ai speaks no TLS"),
        (NAMELESS, WAY, "LIMNER_API_URL", "unreachable", "the name of api.kie.ai cannot be looked up"),
        (NAMELESS, PROXIED, "HTTPS_PROXY", "unreachable", "the name of the proxy of HTTPS_PROXY"),
        (CLOSED, WAY, "LIMNER_API_URL", "unreachable", "no connection to api.kie.ai: [Errno 111]"),
        (CLOSED, PROXIED, "HTTPS_PROXY", "unreachable", "no connection to the proxy"),
        (SLOW, WAY, "LIMNER_API_URL", "unreachable", "does not answer in time"),
        (CUT, WAY, "LIMNER_API_URL", "unreachable", "breaks the exchange off"),
        (
            unconnected("ProxyError: 407 Proxy Authentication Required"),
            PROXIED,
            "HTTPS_PROXY",
            "unreachable",
            "the proxy refuses: 407",
        ),
        (page(407), PROXIED, "HTTPS_PROXY", "gateway", "asks for credentials"),
        (page(404), WAY, "LIMNER_API_URL", "gateway", "has no such path (HTTP 404): Not here; give"),
        (page(404, Why.REFUSED, Cause.GATEWAY), WAY, "LIMNER_API_URL", "gateway", "has no such path"),
        (refused(404, None), WAY, "LIMNER_API_URL", "gateway", "has no such path (code 404)"),
        (page(200), WAY, "LIMNER_API_URL", "gateway", "a page in place of the API's answer (HTTP 200)"),
        (page(403, Why.TOO_LONG), WAY, "LIMNER_API_URL", "gateway", "(HTTP 403)"),
        (page(302), WAY, "LIMNER_API_URL", "gateway", "is redirected to https://kie.ai/login (HTTP 302)"),
        (refused(401, Cause.UNAUTHORIZED), WAY, "LIMNER_API_KEY", "unauthorized", "refuses the key"),
        (refused(401, Cause.UNAUTHORIZED), PROXIED, "LIMNER_ACCOUNTS: north", "unauthorized", "(code 401)"),
        (refused(500, Cause.SERVER_FAULT), WAY, "LIMNER_API_URL", "faulty", "a fault of its own (code 500)"),
        (refused(503, None, 503), WAY, "LIMNER_API_URL", "faulty", "a fault of its own (HTTP 503)"),
        (refused(429, Cause.RATE_LIMITED), WAY, "LIMNER_API_URL", None, "does not tell the balance"),
        (
            Unreadable(Why.BAD_DATA, 200, 200, "success"),
            WAY,
            "LIMNER_API_URL",
            None,
            "jobs are sent all the same",
        ),
    ],
)
def test_the_setting_at_fault_is_named(
    answer: Unreadable, way: Way, setting: str, cause: str | None, words: str
) -> None:
    fault = fault_of(answer, "https://kie.ai/login", way)
    assert (fault.setting, fault.cause) == (setting, cause)
    assert str(fault).startswith(f"{setting}: ")
    assert words in str(fault)


def test_a_redirect_to_nowhere_is_told_as_such() -> None:
    assert "is redirected to nowhere" in str(fault_of(page(302), "", WAY))


def test_a_way_without_any_answer_is_unreachable() -> None:
    fault = overdue(PROXIED, 10.0)
    assert (fault.setting, fault.cause) == ("HTTPS_PROXY", "unreachable")
    assert "did not answer within 10 s" in fault.found


def test_a_fault_is_kept_like_a_refusal() -> None:
    fault = Fault("LIMNER_API_URL", "no connection", "look", "unreachable", None, 502)
    assert fault.error() == {
        "cause": "unreachable",
        "code": None,
        "http_status": 502,
        "message": "LIMNER_API_URL: no connection",
    }


def test_words_of_others_are_quoted_without_tags_and_cut() -> None:
    assert quoted("<p class='x'>Access  <b>denied</b> <scr") == ": Access denied"
    assert quoted("<html></html>") == ""
    assert len(quoted("x" * 500)) == 202
