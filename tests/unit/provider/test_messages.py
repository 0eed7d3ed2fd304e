import pytest
from pydantic import SecretStr

from provider.messages import Requests, read_headers, read_location

KEY = SecretStr("kie-secret-5c94f1aa3f0c9a5b")
TIMEOUTS = {"connect": 1.0, "read": 2.0, "write": 3.0}


def requests(url: str) -> Requests:
    return Requests(url, KEY, "limner", TIMEOUTS)


@pytest.mark.parametrize(
    ("url", "origin", "host", "target"),
    [
        ("https://api.kie.ai", "https://api.kie.ai:443", b"api.kie.ai", b"/x?y=1"),
        ("https://API.kie.ai:443", "https://api.kie.ai:443", b"api.kie.ai", b"/x?y=1"),
        ("http://sandbox:8080/base", "http://sandbox:8080", b"sandbox:8080", b"/base/x?y=1"),
        ("http://[::1]:1/kie", "http://::1:1", b"[::1]:1", b"/kie/x?y=1"),
    ],
)
def test_a_request_goes_to_the_url_s_origin_and_path(
    url: str, origin: str, host: bytes, target: bytes
) -> None:
    made = requests(url)
    request = made.get("/x?y=1")
    assert str(made.origin) == str(request.url.origin) == origin
    assert (b"Host", host) in request.headers
    assert request.url.target == target
    assert request.extensions == {"timeout": TIMEOUTS}


def test_requests_share_no_headers() -> None:
    made = requests("https://api.kie.ai")
    first, read, second = made.post("/x", b"{}"), made.get("/x"), made.post("/x", b"[1,2]")
    assert (b"Content-Length", b"2") in first.headers
    assert (b"Content-Length", b"5") in second.headers
    assert not {name for name, _ in read.headers} & {b"Content-Length", b"Content-Type"}
    assert len(first.headers) == len(second.headers) == len(read.headers) + 2


def test_representations_do_not_show_the_key() -> None:
    made = requests("https://api.kie.ai")
    assert KEY.get_secret_value() not in f"{made!r} {made.post('/x', b'')!r}"


def test_header_names_are_lower_case_and_repeated_values_are_joined() -> None:
    raw = [(b"Retry-After", b"2"), (b"X", b"\xfc"), (b"retry-after", b"3")]
    assert read_headers(raw) == {"retry-after": "2, 3", "x": "ü"}


@pytest.mark.parametrize(
    ("status", "location", "read"),
    [
        (302, "https://kie.ai/login", "https://kie.ai/login"),
        (308, "/v2/api?key=hunter2", "/v2/api"),
        (301, "https://user:hunter2@kie.ai/x#hunter2", "https://kie.ai/x"),
        (302, "//hunter2@kie.ai", "//kie.ai"),
        (302, "https://kie.ai/a@b", "https://kie.ai/a@b"),
        (302, "x" * 5000, "x" * 500),
        (200, "https://kie.ai", ""),
    ],
)
def test_the_location_of_a_redirect_is_read_without_secrets(status: int, location: str, read: str) -> None:
    assert read_location(status, {"location": location}) == read


def test_a_redirect_without_a_location_leads_nowhere() -> None:
    assert read_location(302, {}) == ""
