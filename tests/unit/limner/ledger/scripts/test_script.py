"""A script's arguments, as a class of it sends and reads them."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from limner.ledger.layout.constants import LARGEST
from limner.ledger.scripts.script import Json, YesOrNo, counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Example(YesOrNo):
    """Arguments of every type, for the text of a script that needs none."""

    NAME: ClassVar[str] = "check_layout"
    name: str
    lane: str | None
    sure: bool
    count: int
    seconds: float | None
    error: Json
    caps: Json | None


FULL = Example(name="j1", lane="a", sure=True, count=7, seconds=0.5, error={"a": 1}, caps=[1])
EMPTY = Example(name="", lane=None, sure=False, count=0, seconds=None, error={}, caps=None)


def test_arguments_are_sent_as_text_in_the_order_of_the_fields() -> None:
    assert FULL.arguments() == ["j1", "a", "1", "7", "0.5", '{"a":1}', "[1]"]


def test_what_is_not_given_is_sent_as_an_empty_text() -> None:
    assert EMPTY.arguments() == ["", "", "", "0", "", "{}", ""]


def test_the_script_reads_each_argument_by_its_type() -> None:
    [line] = [line for line in Example.text().splitlines() if line.startswith("local A = ")]
    assert line == (
        "local A = {name = ARGV[2], lane = ARGV[3] ~= '' and ARGV[3] or nil, sure = ARGV[4] == '1', "
        "count = (tonumber(ARGV[5]) or ARGV[5]), "
        "seconds = ARGV[6] ~= '' and (tonumber(ARGV[6]) or ARGV[6]) or nil, error = cjson.decode(ARGV[7]), "
        "caps = ARGV[8] ~= '' and cjson.decode(ARGV[8]) or nil}"
    )


def test_redis_names_a_script_by_the_digest_of_its_text() -> None:
    assert Example.sha() == hashlib.sha1(Example.text().encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("number", [LARGEST, -LARGEST, float("inf"), float("nan")])
def test_a_number_that_lua_cannot_count_with_is_refused_by_its_name(number: float) -> None:
    script = Example(name="", lane=None, sure=False, count=0, seconds=number, error={}, caps=None)
    with pytest.raises(ValueError, match=r"check_layout: seconds: .* is no number that can be counted with"):
        script.arguments()


@pytest.mark.parametrize("number", [LARGEST, float("inf"), float("nan")])
def test_a_number_within_a_json_argument_is_refused_by_its_name(number: float) -> None:
    script = replace(EMPTY, error={"detail": [{"seconds": number}]})
    with pytest.raises(ValueError, match=r"check_layout: error\.detail\.seconds: .* is no number"):
        script.arguments()


def test_a_json_argument_that_is_nested_too_deeply_is_refused_by_its_name() -> None:
    deep: dict[str, Any] = {}
    for _ in range(60):
        deep = {"a": deep}
    with pytest.raises(ValueError, match=r"check_layout: error[.a]*: is nested too deeply"):
        replace(EMPTY, error=deep).arguments()


def test_a_text_that_is_too_long_is_refused_by_its_name() -> None:
    with pytest.raises(ValueError, match=r"check_layout: name: a text of 16000001 characters"):
        replace(EMPTY, name="x" * 16_000_001).arguments()


def test_half_a_character_is_replaced() -> None:
    script = replace(EMPTY, name="a\ud800", error={"\udc00": ["\ud83d\ude00 \ud83d"]})
    name, *_, error, _ = script.arguments()
    assert name == "a\ufffd"
    assert json.loads(error) == {"\ufffd": ["\U0001f600 \ufffd"]}


def test_the_largest_number_that_is_exact_in_lua_is_counted_with() -> None:
    assert counted("cost", LARGEST - 1) == LARGEST - 1


def test_a_script_that_does_what_it_is_asked_answers_yes() -> None:
    replies: list[Any] = [1, 0, None]
    assert [FULL.read(reply) for reply in replies] == [True, False, False]
