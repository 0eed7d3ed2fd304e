"""Requests that are refused before anything is stored or sent."""

from typing import Any

import pytest
from pydantic import ValidationError

from limner import TextToImage
from limner.models import faults


def test_a_prompt_is_enough() -> None:
    request = TextToImage(prompt="a fox")
    assert request.rendering_speed == "BALANCED"
    assert request.image_size == "square_hd"
    assert request.num_images == 1
    assert request.expand_prompt


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": " \n\t"}, "prompt"),
        ({"prompt": "x" * 5001}, "prompt"),
        ({"prompt": "🦊" * 2501}, "prompt"),
        ({"prompt": "\ud800"}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": b"fox"}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": "a", "negative_prompt": "x" * 5001}, "negative_prompt"),
        ({"prompt": "a", "rendering_speed": "FAST"}, "rendering_speed"),
        ({"prompt": "a", "rendering_speed": "turbo"}, "rendering_speed"),
        ({"prompt": "a", "style": "FICTION"}, "style"),
        ({"prompt": "a", "image_size": "square-hd"}, "image_size"),
        ({"prompt": "a", "num_images": 0}, "num_images"),
        ({"prompt": "a", "num_images": 5}, "num_images"),
        ({"prompt": "a", "num_images": "1"}, "num_images"),
        ({"prompt": "a", "num_images": True}, "num_images"),
        ({"prompt": "a", "num_images": 1.0}, "num_images"),
        ({"prompt": "a", "seed": -1}, "seed"),
        ({"prompt": "a", "seed": 2**31}, "seed"),
        ({"prompt": "a", "seed": 1.5}, "seed"),
        ({"prompt": "a", "expand_prompt": "yes"}, "expand_prompt"),
        ({"prompt": "a", "expand_prompt": 1}, "expand_prompt"),
        ({"prompt": "a", "style_codes": []}, "style_codes"),
        ({"prompt": "a", "style_codes": ["xyz"]}, "style_codes"),
        ({"prompt": "a", "style_codes": "0123ABCD"}, "style_codes"),
        ({"prompt": "a", "style": "AUTO", "style_codes": ["0123ABCD"]}, "style_codes"),
        ({"prompt": "a", "aspect_ratio": "1:1"}, "aspect_ratio"),
    ],
)
def test_bad_input_is_refused_by_the_fields_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        TextToImage(**fields)


@pytest.mark.parametrize("prompt", ["x" * 5000, "🦊" * 2500, "é" * 5000, "\x00 is a character", "一" * 5000])
def test_the_longest_prompts_are_taken(prompt: str) -> None:
    assert TextToImage(prompt=prompt).prompt == prompt


def test_a_request_survives_being_stored() -> None:
    request = TextToImage(prompt="a", style_codes=["0123ABCD"], seed=0, num_images=4, expand_prompt=False)
    assert TextToImage.model_validate_json(request.model_dump_json(exclude_none=True)) == request


def test_the_faults_of_a_crowd_of_odd_names_stay_readable() -> None:
    with pytest.raises(ValidationError) as refused:
        TextToImage.model_validate({"prompt": "a", **{f"{'x' * 1000}{number}": 1 for number in range(1000)}})
    lines = faults(refused.value)
    assert len(lines) == 11
    assert lines[0] == f"{'x' * 64}…: Extra inputs are not permitted"
    assert lines[-1] == "and 990 more"
