"""Callback bodies as large as those of long prompts."""

import json

import pytest

from sandbox.kie.faults.bodies import BODY_BYTES, big_param

PARAM = {"input": {"prompt": "红色的风筝"}, "callBackUrl": None, "model": "m"}


@pytest.mark.parametrize("size", BODY_BYTES.values())
def test_a_body_is_as_large_as_asked_and_holds_the_prompt_in_three_layers(size: int) -> None:
    layers = big_param(PARAM, size)
    body = json.dumps({"data": {"param": layers}})
    assert size <= len(body) <= size + 1000
    assert json.loads(json.loads(layers)["input"])["prompt"] == "红色的风筝"


def test_a_character_takes_nine_bytes_in_the_body() -> None:
    long = {**PARAM, "input": {"prompt": "红" * 1000}}
    short = {**PARAM, "input": {"prompt": ""}}
    assert len(json.dumps(big_param(long, 0))) - len(json.dumps(big_param(short, 0))) == 9000
