"""The checks and the parts of a submission, without a Redis."""

import json
from typing import Any

import pytest

from limner import InvalidRequest, TextToImage
from limner.options import SubmitOptions
from limner.submission import prepare

REQUEST = TextToImage(prompt="a")


@pytest.mark.parametrize("key", ["", "  ", "k" * 256, 7, "\ud800"])
def test_a_bad_key_is_refused_by_its_name(key: Any) -> None:
    with pytest.raises(InvalidRequest, match="idempotency_key: must be a text of 1 to 255 characters"):
        prepare(REQUEST, idempotency_key=key)


def test_what_is_no_request_is_refused() -> None:
    anything: Any = {"prompt": "a"}
    with pytest.raises(InvalidRequest, match="request: a TextToImage or a prompt is needed, not dict"):
        prepare(anything)


class Marked(TextToImage):
    tenant: str = "shop"


@pytest.mark.parametrize(
    ("unchecked", "message"),
    [
        (REQUEST.model_copy(update={"seed": -1}), "seed: Input should be greater than or equal to 0"),
        (REQUEST.model_copy(update={"prompt": 5}), "prompt: Input should be a valid string"),
        (REQUEST.model_copy(update={"prompt": " "}), "prompt: must not be blank"),
        (TextToImage.model_construct(prompt="a", num_images=9), "num_images: Input should be less than"),
        (
            TextToImage.model_construct(prompt="\ud800"),
            "request: it has a value that cannot be written as JSON",
        ),
        (
            REQUEST.model_copy(update={"prompt": object()}),
            "request: it has a value that cannot be written as JSON",
        ),
        (Marked(prompt="a"), "tenant: Extra inputs are not permitted"),
    ],
)
def test_a_request_that_escaped_its_checks_is_refused_by_the_field(
    unchecked: TextToImage, message: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        prepare(unchecked)
    assert str(refused.value).startswith(message)


def test_options_are_checked_and_carried_as_one_object() -> None:
    new = prepare(REQUEST, job_id="j", priority=7, lane="tenant", metadata={"order": 1})
    assert new.job_id == "j"
    assert new.options == SubmitOptions(priority=7, lane="tenant", metadata={"order": 1})
    with pytest.raises(InvalidRequest, match="priority: must be a whole number from 0 to 9, not 10"):
        prepare(REQUEST, priority=10)


def test_the_options_of_a_message_may_come_as_a_mapping() -> None:
    options: dict[str, Any] = {"priority": 3, "expires_in": 5}
    assert prepare(REQUEST, job_id="j", **options).options == SubmitOptions(priority=3, expires_in=5)


def test_equal_requests_have_equal_digests_whatever_was_left_to_the_defaults() -> None:
    one = prepare(REQUEST)
    same = prepare(TextToImage(prompt="a", num_images=1, image_size="square_hd"))
    other = prepare(TextToImage(prompt="a", num_images=2))
    assert one.digest == same.digest != other.digest
    assert json.loads(one.request)["prompt"] == "a"


def test_a_key_is_stored_as_a_digest() -> None:
    key = prepare(REQUEST, idempotency_key="customer 7").key
    assert key is not None
    assert "customer" not in key
