"""Metadata that every part can store: what is refused is named, and what is accepted is read back equal."""

import enum
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pytest

from limner.metadata import MAX_METADATA_BYTES, MAX_METADATA_DEPTH, checked_metadata, metadata_json


class Size(enum.IntEnum):
    LARGE = 3


class Colour(enum.StrEnum):
    RED = "red"


def nested(levels: int) -> dict[str, Any]:
    """An object of so many levels, of which it is the first."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def arrays(levels: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return {"a": value}


def doubled(times: int) -> dict[str, Any]:
    """A small object in memory that has 2 to the power of ``times`` values."""
    value: Any = 1
    for _ in range(times):
        value = [value, value]
    return {"a": value}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (nested(MAX_METADATA_DEPTH + 1), "at most 32 levels deep, more are at a.a.a"),
        (nested(50_000), "at most 32 levels deep"),
        (arrays(MAX_METADATA_DEPTH), "at most 32 levels deep"),
        (doubled(31), "at most 4096 bytes as JSON"),
        ({str(number): 0 for number in range(100_000)}, "at most 4096 bytes as JSON"),
        ({"a": "x" * 10_000_000}, "at most 4096 bytes as JSON"),
        ({"a": 10**640}, "a number of more than 640 digits at a"),
        ({"a": 10**100_000}, "a number of more than 640 digits at a"),
        ({"a": [1, float("inf")]}, "a number that is not finite at a.1"),
        ({"a": {"b": float("nan")}}, "a number that is not finite at a.b"),
        ({"a": ["\udc00"]}, r"half a character \(a lone surrogate\) at a.0"),
        ({"\ud800": 1}, r"half a character \(a lone surrogate\)"),
        ({"a": {1: "x"}}, "a key of type int at a"),
        ({"a": {1: "x", "1": "y"}}, "a key of type int at a"),
        ({"a": {None: "x"}}, "a key of type NoneType at a"),
        ({"a": datetime.now(UTC)}, "a value of type datetime at a"),
        ({"a": uuid4()}, "a value of type UUID at a"),
        ({"a": b"x"}, "a value of type bytes at a"),
        ({"a": {1, 2}}, "a value of type set at a"),
        (
            {"a": {"__type__": "datetime", "__value__": "tomorrow"}},
            "which Celery reads as a type of its own at a",
        ),
        ({"__type__": "of mine", "__value__": 1}, "which Celery reads as a type of its own"),
        ({"é" * 100: float("nan")}, r"not finite at (\\xe9){40}.*"),
    ],
)
def test_what_could_not_be_stored_is_refused_with_its_place(metadata: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refused:
        checked_metadata(metadata)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize(
    ("metadata", "read_back"),
    [
        (None, {}),
        (nested(MAX_METADATA_DEPTH), nested(MAX_METADATA_DEPTH)),
        (arrays(MAX_METADATA_DEPTH - 1), arrays(MAX_METADATA_DEPTH - 1)),
        ({"a": (1, (2,))}, {"a": [1, [2]]}),
        ({"a": MappingProxyType({"b": 1})}, {"a": {"b": 1}}),
        ({"a": 2**53 + 1}, {"a": 2**53 + 1}),
        ({"a": 1 - 10**640}, {"a": 1 - 10**640}),
        ({"a": "\x00\x7f\u2028"}, {"a": "\x00\x7f\u2028"}),
        ({"": {"": None}}, {"": {"": None}}),
        ({"a": Size.LARGE, "b": Colour.RED}, {"a": 3, "b": "red"}),
        ({"__type__": "x", "__value__": 1, "more": 2}, {"__type__": "x", "__value__": 1, "more": 2}),
    ],
)
def test_what_is_accepted_is_read_back_as_json_has_it(metadata: Any, read_back: Mapping[str, Any]) -> None:
    checked = checked_metadata(metadata)
    assert checked == read_back
    assert json.loads(metadata_json(checked)) == checked
    assert all(type(value) in (dict, list, int, str) or value is None for value in checked.values())


def test_a_change_afterwards_does_not_reach_the_copy() -> None:
    given = {"a": {"b": [1]}}
    checked = checked_metadata(given)
    given["a"]["b"].append(2)
    assert checked == {"a": {"b": [1]}}


def test_the_greatest_size_is_taken_in_bytes() -> None:
    assert checked_metadata({"a": "é" * ((MAX_METADATA_BYTES - 8) // 2)})
    with pytest.raises(ValueError, match="these are 4098"):
        checked_metadata({"a": "é" * ((MAX_METADATA_BYTES - 6) // 2)})
