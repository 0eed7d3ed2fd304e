"""The text of a script holds what the script needs, and nothing else."""

import re

from limner.ledger.layout.constants import VERSION
from limner.ledger.layout.fields import FIELDS
from limner.ledger.scripts.assembly import names_in, part, parts_of, script_text, source, uses

FIELD_NAMES = {field.name for field in FIELDS}


def test_the_first_line_names_the_parts() -> None:
    assert uses("-- Uses: record, wakeup.\nreturn 1\n") == ["record", "wakeup"]
    assert uses("return 1 -- Uses: record.\n") == []


def test_a_part_stands_after_those_that_it_builds_on() -> None:
    for script in names_in():
        order = parts_of(script)
        for at, name in enumerate(order):
            assert set(uses(part(name))) <= set(order[:at]), (script, name)


def test_a_text_has_no_comment() -> None:
    assert "--" in source("submit")
    assert [name for name in names_in() if re.search(r"^\s*--", script_text(name, ""), re.MULTILINE)] == []


def test_functions_that_a_script_does_not_call_are_left_out() -> None:
    defined = set(re.findall(r"^local function (\w+)", part("record"), re.MULTILINE))
    kept = set(re.findall(r"^function L\.(\w+)", script_text("hold", ""), re.MULTILINE))
    assert defined & kept
    assert defined - kept


def test_functions_and_constants_are_fields_of_one_table() -> None:
    text = script_text("submit", "").partition("local L = ")[2]
    assert f"VERSION = {VERSION}" in text
    assert re.search(r"(?<![\w.])(?:local function|VERSION(?! = ))", text) is None


def test_a_script_loads_no_field_that_it_does_not_name() -> None:
    text = script_text("hold", "")
    [loaded] = re.findall(r"FIELDS = \{([^}]*)\}", text)
    fields = set(re.findall(r"'(\w+)'", loaded))
    assert fields == {"v"} | {name for name in re.findall(r"\bjob\.(\w+)", text) if name in FIELD_NAMES}
    assert fields < FIELD_NAMES


def test_the_arguments_are_read_before_the_script_begins() -> None:
    text = script_text("hold", "local A = {job = ARGV[2]}\n")
    assert text.index("local A = ") < text.index("local L = ")
