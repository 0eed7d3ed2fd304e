"""The URLs of images, in whatever shape a record holds them (contract 2.2, 10)."""

import json
from typing import Any

import pytest

from provider.urls import MAX_URL, MAX_URLS, Found, read_urls

A, B = "https://tempfile.aiquickdraw.com/r/a.png", "HTTP://images.example/b?x=1#y"
LONG = "https://s3.example/a.png?" + "x" * (MAX_URL - 25)


def urls(data: dict[str, Any], api_url: str = "https://api.kie.ai/base") -> tuple[str, ...]:
    return read_urls(data, api_url).urls


@pytest.mark.parametrize(
    "result",
    [
        {"resultUrls": [A, B]},
        {"result_urls": [A, B, A]},
        {"urls": f"{A},{B}"},
        {"urls": f"{A}\n{B}"},
        {"images": [{"url": A}, {"url": B}]},
        {"images": {"0": A, "1": B}},
        {"imageUrl": A, "image_url": B},
        {"resultUrls": json.dumps([A, B])},
        {"data": {"output": [{"image": {"url": A}}, {"image": {"url": B}}]}},
        {"resultUrls": ["", None, A, 7, "  " + B + " "]},
        [A, B],
        f"{A} {B}",
    ],
)
@pytest.mark.parametrize("field", ["resultJson", "response"])
def test_urls_are_taken_from_any_shape(field: str, result: Any) -> None:
    for shape in (result, json.dumps(result), json.dumps(json.dumps(result))):
        assert read_urls({field: shape}, "https://api.kie.ai") == Found((A, B))


@pytest.mark.parametrize(
    "data", [{"resultUrls": [A]}, {"imageUrl": A}, {"images": [{"src": A}]}, {"data": {"x": [A]}}]
)
def test_urls_are_taken_from_the_record_itself(data: dict[str, Any]) -> None:
    assert urls({"resultJson": "", "response": None, **data}) == (A,)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"resultJson": None},
        {"resultJson": ""},
        {"resultJson": "not json"},
        {"resultJson": "[]"},
        {"resultJson": 5},
        {"resultJson": {"resultUrls": None}},
        {"resultJson": {"resultUrls": [""]}},
        {"resultJson": {"resultObject": {"text": "a"}}},
        {"resultJson": {"resultObject": {"text": "/a/b"}}},
        {"failMsg": A},
        {"model": A},
        {"param": json.dumps({"input": {"image_url": A}, "callBackUrl": A})},
        {"param": {"input": {"image_url": A}}},
        {"callBackUrl": A},
        {"resultJson": {"firstFrameUrl": A, "lastFrameUrl": A, "callBackUrl": A, "input": {"url": A}}},
    ],
)
def test_without_an_image_there_is_no_url(data: dict[str, Any]) -> None:
    assert read_urls(data, "https://api.kie.ai") == Found()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a/b.png",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://a/b c",
        "https://a/\n/c",
        "https://a/\u202egnp",
        LONG + "x",
        "/" + "x" * (MAX_URL - 1),
        "https://a\\@b/",
        "word",
        "v1.2",
    ],
)
def test_an_unusable_url_is_left_out(url: str) -> None:
    assert urls({"resultJson": {"resultUrls": [url, A]}}) == (A,)


def test_a_long_url_is_taken() -> None:
    assert len(LONG) == MAX_URL
    assert urls({"resultJson": {"resultUrls": [LONG]}}) == (LONG,)


def test_urls_are_limited_in_number_and_keep_their_order() -> None:
    many = [f"https://images.example/{number}.png" for number in range(100)]
    assert urls({"resultJson": {"resultUrls": many}}) == tuple(many[:MAX_URLS])


@pytest.mark.parametrize(
    ("sent", "url"),
    [
        ("/r/a.png", "https://api.kie.ai/r/a.png"),
        ("r/a.png", "https://api.kie.ai/r/a.png"),
        ("./r/a.webp?x=/y", "https://api.kie.ai/r/a.webp?x=/y"),
        ("../a.jpg", "https://api.kie.ai/a.jpg"),
        ("/files/9c1e", "https://api.kie.ai/files/9c1e"),
    ],
)
def test_a_relative_url_belongs_to_the_api_s_host_and_is_counted(sent: str, url: str) -> None:
    found = read_urls({"resultJson": {"resultUrls": [sent, A]}}, "https://api.kie.ai/base")
    assert found == Found((url, A), 1)


@pytest.mark.parametrize("host", ["h.example", "localhost:8080", "[::1]"])
def test_a_url_without_a_scheme_has_https(host: str) -> None:
    found = read_urls({"resultJson": {"resultUrls": [f"//{host}/a.png"]}}, "http://api")
    assert found == Found((f"https://{host}/a.png",))


def test_the_parsed_result_comes_first_and_sources_are_not_mixed() -> None:
    assert urls({"resultJson": {"resultUrls": [B]}, "response": {"resultUrls": [A]}}) == (A,)
    assert urls({"resultJson": {"resultUrls": [B]}, "response": {"resultUrls": []}}) == (B,)
    assert urls({"resultJson": {"resultUrls": [B]}, "resultUrls": [A]}) == (B,)


def test_absolute_urls_of_a_later_source_come_before_relative_ones() -> None:
    assert read_urls({"response": {"url": "/a.png"}, "resultJson": {"url": A}}, "https://h") == Found((A,))
    found = read_urls({"response": {"url": "/a.png"}, "resultJson": {"url": "/b.png"}}, "https://h")
    assert found == Found(("https://h/a.png",), 1)


def test_a_result_without_a_bottom_is_left_unread() -> None:
    deep: Any = A
    for _ in range(50):
        deep = [deep]
    assert urls({"resultJson": {"resultUrls": deep}}) == ()


@pytest.mark.parametrize("part", [" ", " ,", "a.png?", "://a ", "https://a ", "/", "."])
def test_a_monstrous_result_costs_no_time_that_grows_with_its_square(part: str) -> None:
    # A quadratic search of these takes minutes, and the test has a time limit.
    whole = part * (100_000 // len(part))
    urls({"resultJson": {"urls": [f"x{whole}://", *[f"x{whole[:8000]} x"] * 100]}})
