from typing import Any

import pytest

from sandbox.kie.faults.refusals import Refusal
from sandbox.kie.tasks.orders import MODEL, TaskOrder, read_order


def read(**given: Any) -> TaskOrder | Refusal:
    return read_order({"model": MODEL, "input": {"prompt": "a kite", **given}})


def test_defaults_are_one_balanced_image() -> None:
    order = read()
    assert isinstance(order, TaskOrder)
    assert (order.rendering_speed, order.images, order.credits) == ("BALANCED", 1, 7.0)


@pytest.mark.parametrize(("speed", "price"), [("TURBO", 14.0), ("BALANCED", 28.0), ("QUALITY", 40.0)])
def test_the_price_is_per_image(speed: str, price: float) -> None:
    order = read(rendering_speed=speed, num_images="4")
    assert isinstance(order, TaskOrder)
    assert order.credits == price


def test_unknown_fields_are_ignored_and_kept() -> None:
    order = read(style_codes=["0011AABB"], colour="red")
    assert isinstance(order, TaskOrder)
    assert order.input["colour"] == "red"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"prompt": ""}, "is required"),
        ({"prompt": None}, "is required"),
        ({"rendering_speed": "turbo"}, "range of allowed options"),
        ({"style": "FICTION"}, "range of allowed options"),
        ({"image_size": "huge"}, "range of allowed options"),
        ({"num_images": "5"}, "range of allowed options"),
        ({"num_images": 2}, "range of allowed options"),
        ({"seed": "7"}, "within the specified range"),
        ({"expand_prompt": "true"}, "range of allowed options"),
        ({"negative_prompt": "x" * 5001}, "text length cannot exceed"),
        ({"prompt": "x" * 5001}, "text length cannot exceed"),
    ],
)
def test_invalid_input_is_code_500_with_the_provider_s_text(given: dict[str, Any], text: str) -> None:
    refusal = read(**given)
    assert isinstance(refusal, Refusal)
    assert refusal.code == 500
    assert text in refusal.text


@pytest.mark.parametrize("body", [None, [], {"model": "ideogram/v9", "input": {"prompt": "a"}}, {}])
def test_an_unknown_model_is_code_422(body: Any) -> None:
    refusal = read_order(body)
    assert isinstance(refusal, Refusal)
    assert refusal.code == 422


def test_a_missing_input_is_a_missing_field() -> None:
    assert read_order({"model": MODEL}) == Refusal(500, "This field is required: input")
