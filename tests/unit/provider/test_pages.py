"""Pages of intermediaries: which prove that a createTask was not processed, and their text (contract 1.3)."""

import pytest

from provider import Cause, Refused, Trouble, Unknown, read_create
from provider.pages import excerpt
from tests.unit.provider.test_answers import NO_ENVELOPES, body


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308, 404, 521, 525, 526, 530])
@pytest.mark.parametrize("raw", [*NO_ENVELOPES, b"{}", b'{"status":404,"error":"Not Found"}'])
def test_an_answer_in_place_of_the_api_is_a_gateway_s(raw: bytes, status: int) -> None:
    answer = read_create(status, {"retry-after": "3"}, raw)
    assert isinstance(answer, Refused)
    assert (answer.cause, answer.code, answer.http_status) == (Cause.GATEWAY, None, status)
    assert (answer.retry_after, answer.trouble) == (3.0, Trouble.GATEWAY)


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_challenge_is_a_gateway_s(status: int) -> None:
    answer = read_create(status, {"CF-Mitigated": " Challenge"}, b"<title>Just a moment</title>")
    cause = Cause.RATE_LIMITED if status == 429 else Cause.GATEWAY
    assert answer == Refused(cause, None, status, "Just a moment")


def test_an_envelope_says_more_than_a_challenge() -> None:
    answer = read_create(403, {"cf-mitigated": "challenge"}, body(402, "pay"))
    assert answer == Refused(Cause.NO_CREDITS, 402, 403, "pay")


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://user:pass@www.kie.ai:8443/login?next=secret#x", "https://www.kie.ai:8443/login"),
        ("/login?next=secret", "/login"),
        ("https://" + "secret" * 1000 + "@h/", "https://h/"),
        ("https://[::1/", "an invalid URL"),
        ("https://h/callbacks/7/secret", "https://h/callbacks/***"),
        ("https://h/" + "x" * 10_000, "https://h/" + "x" * 140),
    ],
)
def test_a_redirect_names_its_target_without_secrets(location: str, told: str) -> None:
    answer = read_create(302, {"Location": location}, b"<b>Moved</b>")
    assert answer == Refused(Cause.GATEWAY, None, 302, f"redirect to {told} Moved")


@pytest.mark.parametrize(
    ("page", "text"),
    [
        (
            b"<html><head><title>502</title><style>p {}</style></head><body>Bad <b>Gate</b>way",
            "502 Bad Gate way",
        ),
        (b"<script>alert(1)</script>a<!-- b -->c<script>d", "a c"),
        (b"a &lt;b&gt;c&lt;/b&gt; &amp; d", "a c & d"),
        (b"5 < 6 and 7 > 6", "5 < 6 and 7 > 6"),
        (b"Bad <a href='", "Bad"),
        ("<p>坏网关".encode("utf-16"), "坏网关"),
        (b"error code: 521", "error code: 521"),
        (b'{"message":"no"}', '{"message":"no"}'),
        (b"see https://h/callbacks/7/token", "see https://h/callbacks/***"),
    ],
)
def test_an_excerpt_of_a_page_is_its_text(page: bytes, text: str) -> None:
    assert excerpt(page) == text


def test_an_excerpt_of_a_page_can_be_read_whatever_its_bytes() -> None:
    assert excerpt(b"<html>\xff\n" + b"x" * 10_000).startswith("\ufffd xxx")
    assert len(excerpt(b"x" * 10_000)) == 200


@pytest.mark.parametrize("part", [b"<script", b"<!--", b"<", b"<a", b"&", b"&lt;", b"<script></script"])
def test_a_monstrous_page_costs_no_time_that_grows_with_its_square(part: bytes) -> None:
    # A quadratic search of these takes minutes, and the test has a time limit.
    excerpt(part * 1_000_000)


def test_the_time_of_a_page_that_proves_nothing_is_read_as_well() -> None:
    answer = read_create(503, {"retry-after": "7"}, b"<html>Service Unavailable</html>")
    assert isinstance(answer, Unknown)
    assert answer.retry_after == 7.0
