"""Places for the id in a callback's body."""

import json
from typing import Any

import pytest

from sandbox.kie.faults.callback_ids import CALLBACK_IDS

USUAL = {"code": 200, "msg": "done", "data": {"taskId": "t1", "state": "success"}}


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("task_id", {**USUAL, "data": {"task_id": "t1", "state": "success"}}),
        ("record_id", {**USUAL, "data": {"recordId": "t1", "state": "success"}}),
        ("top_level", {**USUAL, "taskId": "t1", "data": {"state": "success"}}),
        ("data_string", {**USUAL, "data": json.dumps(USUAL["data"])}),
        ("data_list", {**USUAL, "data": [USUAL["data"]]}),
        ("bare", USUAL["data"]),
        ("missing", {**USUAL, "data": {"state": "success"}}),
    ],
)
def test_the_id_has_the_place_of_its_variant(variant: str, expected: Any) -> None:
    assert CALLBACK_IDS[variant](json.loads(json.dumps(USUAL))) == expected


def test_no_variant_was_left_out() -> None:
    assert len(CALLBACK_IDS) == 7
