"""The options of a submit: each is checked once, by its name."""

import inspect
import json
from types import MappingProxyType
from typing import Any

import pytest

from limner.client import Limner
from limner.errors import InvalidRequest
from limner.options import LONGEST_FOLDER, OPTIONS, SubmitKeywords, SubmitOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"priority": -1}, "priority: must be a whole number from 0 to 9, not -1"),
        ({"priority": 10}, "priority: must be a whole number from 0 to 9, not 10"),
        ({"priority": "5"}, "priority: must be a whole number from 0 to 9, not '5'"),
        ({"priority": True}, "priority: must be a whole number from 0 to 9, not True"),
        ({"priority": 5.0}, "priority: must be a whole number from 0 to 9, not 5.0"),
        ({"priority": None}, "priority: must be a whole number from 0 to 9, not None"),
        ({"priority": 10**5000}, "priority: must be a whole number from 0 to 9, not a number so large"),
        ({"priority": "x" * 100_000}, "priority: must be a whole number from 0 to 9, not a str"),
        ({"metadata": "text"}, "metadata: must be a mapping with text keys"),
        ({"metadata": [1]}, "metadata: must be a mapping with text keys"),
        ({"metadata": {1: 2}}, "metadata: must be a mapping with text keys"),
        ({"metadata": {"a": object()}}, "metadata: cannot be written as JSON"),
        ({"metadata": {"a": float("nan")}}, "metadata: cannot be written as JSON"),
        ({"metadata": {"a": "\ud800"}}, "metadata: cannot be written as JSON"),
        ({"metadata": {"a": "x" * 4090}}, "metadata: at most 4096 bytes as JSON, these are 4098"),
        ({"lane": ""}, "lane: must be a text of 1 to 64 printable characters"),
        ({"lane": "x" * 65}, "lane: must be a text of 1 to 64 printable characters"),
        ({"lane": "a\tb"}, "lane: must be a text of 1 to 64 printable characters"),
        ({"lane": "\ud800"}, "lane: must be a text of 1 to 64 printable characters"),
        ({"lane": 5}, "lane: must be a text of 1 to 64 printable characters"),
        ({"account": ""}, "account: must be a text of 1 to 64 printable characters"),
        ({"expires_in": 0}, "expires_in: must be a number of seconds above 0 and up to 10000000"),
        ({"expires_in": -1}, "expires_in: must be a number of seconds above 0 and up to 10000000"),
        ({"expires_in": 10_000_001}, "expires_in: must be a number of seconds above 0 and up to 10000000"),
        ({"expires_in": 10**400}, "expires_in: must be a number of seconds above 0 and up to 10000000"),
        ({"expires_in": float("nan")}, "expires_in: must be a number of seconds above 0 and up to 10000000"),
        ({"expires_in": "5"}, "expires_in: must be a number of seconds above 0 and up to 10000000"),
        ({"expires_in": [5]}, "expires_in: must be a number of seconds above 0 and up to 10000000"),
        ({"expires_in": True}, "expires_in: must be a number of seconds above 0 and up to 10000000"),
    ],
)
def test_a_bad_option_is_refused_by_its_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        SubmitOptions.checked(**options)
    assert str(refused.value).startswith(message)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    "folder",
    [
        "",
        "/",
        "/orders",
        "orders/",
        "orders//4711",
        ".",
        "..",
        "orders/..",
        "../orders",
        "orders/./4711",
        ".limner",
        "orders/.hidden",
        "orders.",
        "orders./4711",
        "orders\\4711",
        "C:orders",
        "orders\0",
        "orders\n",
        "orders 4711",
        "orders%2f4711",
        "orders?x",
        "ordérs",
        "orders\uff0f4711",
        "\uff0e\uff0e",
        "orders/\u0664",
        "\ud800",
        "x" * 101,
        "/".join(["x" * 100, "y" * 100]),
        5,
        b"orders",
        ["orders"],
        True,
    ],
)
def test_a_folder_that_could_leave_the_prefix_or_that_a_store_could_refuse_is_refused(folder: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^copy_to: must be a relative folder of at most 200 char"):
        SubmitOptions.checked(copy_to=folder)


@pytest.mark.parametrize(
    "folder", ["orders/4711", "a", "-", "_a/B-1/v1.2", "x" * 100, "/".join(["x" * 99, "y" * 100])]
)
def test_a_folder_is_taken_as_it_is(folder: str) -> None:
    assert len(folder) <= LONGEST_FOLDER
    assert SubmitOptions.checked(copy_to=folder).copy_to == folder


@pytest.mark.parametrize("copy", [0, 1, "no", None])
def test_only_a_truth_value_says_if_images_are_copied(copy: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^copy: Input should be a valid boolean$"):
        SubmitOptions.checked(copy=copy)


def test_options_come_back_by_the_names_under_which_they_are_given() -> None:
    told = SubmitOptions.checked(copy=False, copy_to="orders")
    assert (told.copied, told.keywords()["copy"]) == (False, False)
    assert SubmitOptions.checked(**told.keywords()) == told


def test_metadata_that_contain_themselves_are_refused() -> None:
    metadata: dict[str, Any] = {}
    metadata["a"] = metadata
    with pytest.raises(InvalidRequest, match="metadata: cannot be written as JSON"):
        SubmitOptions.checked(metadata=metadata)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(InvalidRequest, match=r"^priority: .*; lane: .*"):
        SubmitOptions.checked(priority=10, lane="")


def test_what_need_not_be_said() -> None:
    told = SubmitOptions.checked(metadata=None, lane=None, account=None, expires_in=None)
    assert told == SubmitOptions.checked() == SubmitOptions()
    assert (told.priority, told.metadata, told.metadata_json) == (5, {}, "{}")
    assert (told.lane, told.account, told.expires_in) == (None, None, None)


def test_the_bounds_are_taken() -> None:
    longest = "x" * (4096 - len('{"a":""}'))
    told = SubmitOptions.checked(priority=9, metadata={"a": longest}, lane="é" * 64, expires_in=10_000_000)
    assert len(told.metadata_json) == 4096
    assert SubmitOptions.checked(priority=0).priority == 0


def test_any_mapping_will_do_for_metadata_and_stays_the_callers_own() -> None:
    given: dict[str, Any] = {"é": [1, None]}
    told = SubmitOptions.checked(metadata=MappingProxyType(given))
    given["later"] = True
    assert json.loads(told.metadata_json) == {"é": [1, None]}


def test_a_misspelt_option_is_a_type_error_that_names_it_as_of_any_function() -> None:
    misspelt: dict[str, Any] = {"prioritty": 9}
    with pytest.raises(TypeError, match="prioritty: there is no such option; there are priority, metadata"):
        SubmitOptions.checked(**misspelt)
    limner = Limner("redis://127.0.0.1:1/0")
    for submit in (limner.submit, limner.submit_many):
        with pytest.raises(TypeError, match="prioritty"):
            submit("a", **misspelt)


def test_the_keywords_are_the_fields() -> None:
    assert [*SubmitKeywords.__annotations__] == [*OPTIONS]
    assert SubmitKeywords.__required_keys__ == frozenset()


@pytest.mark.parametrize("name", ["submit", "submit_many", "asubmit", "asubmit_many"])
def test_every_submit_takes_them(name: str) -> None:
    *_, options = inspect.signature(getattr(Limner, name)).parameters.values()
    assert options.kind is inspect.Parameter.VAR_KEYWORD
    assert "SubmitKeywords" in str(options.annotation)


def test_options_do_not_change() -> None:
    options: Any = SubmitOptions()
    with pytest.raises(ValueError, match="frozen"):
        options.priority = 9
