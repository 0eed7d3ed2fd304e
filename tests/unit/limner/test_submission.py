"""What a submission is refused for, without a Redis."""

import json
from typing import Any

import pytest

from limner import InvalidRequest, Limner, TextToImage
from limner.submission import prepare


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "http://localhost:6379",
        "redis+socket:///tmp/x",
        "redis://localhost:port",
        "redis://localhost:99999999",
        "unix://",
    ],
)
def test_a_malformed_url_is_refused_by_the_settings_name(url: str) -> None:
    with pytest.raises(InvalidRequest, match="LIMNER_REDIS_URL"):
        Limner(url)


def test_a_password_is_in_no_error_and_no_repr() -> None:
    with pytest.raises(InvalidRequest) as refused:
        Limner("redis://:hunter2@localhost:port/0")
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(Limner("redis://:hunter2@localhost/0"))


def test_the_environment_must_name_a_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIMNER_REDIS_URL", raising=False)
    with pytest.raises(InvalidRequest, match="LIMNER_REDIS_URL: not set"):
        Limner.from_env()
    monkeypatch.setenv("LIMNER_REDIS_URL", "redis://localhost/0")
    assert isinstance(Limner.from_env(), Limner)
    for wrong in ("soon", "-1", "nan"):
        monkeypatch.setenv("LIMNER_IDEMPOTENCY_SECONDS", wrong)
        with pytest.raises(InvalidRequest, match="LIMNER_IDEMPOTENCY_SECONDS"):
            Limner.from_env()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"priority": -1}, "priority"),
        ({"priority": 10}, "priority"),
        ({"priority": "5"}, "priority"),
        ({"priority": True}, "priority"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "  "}, "idempotency_key"),
        ({"idempotency_key": "k" * 256}, "idempotency_key"),
        ({"idempotency_key": 7}, "idempotency_key"),
        ({"metadata": "text"}, "metadata"),
        ({"metadata": {1: 2}}, "metadata"),
        ({"metadata": {"a": object()}}, "metadata"),
        ({"metadata": {"a": float("nan")}}, "metadata"),
        ({"metadata": {"a": "x" * 4100}}, "metadata"),
    ],
)
def test_a_bad_option_is_refused_by_its_name(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidRequest, match=named):
        prepare(TextToImage(prompt="a"), **options)


def test_equal_requests_have_equal_digests_whatever_was_left_to_the_defaults() -> None:
    one = prepare(TextToImage(prompt="a"))
    same = prepare(TextToImage(prompt="a", num_images=1, image_size="square_hd"))
    other = prepare(TextToImage(prompt="a", num_images=2))
    assert one.digest == same.digest != other.digest
    assert json.loads(one.request)["prompt"] == "a"


def test_a_key_is_stored_as_a_digest() -> None:
    key = prepare(TextToImage(prompt="a"), idempotency_key="customer 7").key
    assert key is not None
    assert "customer" not in key


@pytest.mark.parametrize(
    "url",
    [
        "redis://:pa/ss@host",
        "redis://[::1",
        "redis://:pass℀@host",
        "redis://:pass@h?foo=1",
        "redis://:pass@h:x",
    ],
)
def test_no_part_of_a_malformed_url_is_shown(url: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        Limner(url)
    assert "pa" not in str(refused.value).replace("password", "").replace("path", "")
    assert refused.value.__suppress_context__


@pytest.mark.parametrize("seconds", ["2 s", None, 0, -1, float("nan"), float("inf"), 1e18])
def test_durations_are_bounded(seconds: Any) -> None:
    for option in ("timeout", "idempotency_seconds"):
        with pytest.raises(InvalidRequest, match=option):
            Limner("redis://localhost/0", **{option: seconds})


def test_what_cannot_be_encoded_is_refused() -> None:
    request = TextToImage(prompt="a")
    with pytest.raises(InvalidRequest, match="idempotency_key"):
        prepare(request, idempotency_key="\ud800")
    with pytest.raises(InvalidRequest, match="metadata"):
        prepare(request, metadata={"a": "\ud800"})


def test_a_bad_prompt_in_short_form_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest, match="prompt"):
        Limner("redis://localhost/0").submit("")


def test_a_database_that_is_no_number_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="LIMNER_REDIS_URL"):
        Limner("redis://localhost/main")
