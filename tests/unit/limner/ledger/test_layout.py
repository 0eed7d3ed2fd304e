"""The layout's lists have all that scripts and Python use, and nothing else. No script runs here."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

import pytest

from limner.cli import words
from limner.ledger.layout import constants
from limner.ledger.layout.events import EVENTS
from limner.ledger.layout.fields import FIELDS
from limner.ledger.layout.keys import KEYS
from limner.ledger.record import _TOKEN, Record
from limner.ledger.scripts import assembly
from limner.ledger.scripts.script import Script
from limner.ledger.tables import within
from tests.repository import ROOT

PAGE: Final = ROOT / "docs" / "ledger.md"

CONSTANTS: Final = {name: value for name, value in vars(constants).items() if name.isupper()}
GIVEN: Final = {"P", "A", "NOW", "FIELDS", "NUMBERS", "REQUIRED"}
"""The other lines at the head of a script (``limner.ledger.scripts.assembly``)."""

WRITTEN: Final = {name: assembly.source(name) for name in assembly.names_in()} | {
    f"parts/{name}": assembly.part(name) for name in assembly.names_in("parts")
}
"""The Lua files as they are written."""
CODE: Final = {name: assembly._COMMENT.sub("", text) for name, text in WRITTEN.items()}
"""The same without their comments."""
BARE: Final = {name: assembly._STRING.sub("''", code) for name, code in CODE.items()}
"""And with their strings empty."""
FUNCTIONS: Final = {
    function: (part, text)
    for part in assembly.names_in("parts")
    for function, text in assembly._functions(part)
}

PYTHON: Final = {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text("utf-8"))
    for folder in ("limner", "provider", "config", "worker", "tasks")
    for path in sorted((ROOT / folder).rglob("*.py"))
}

NOT_FIELDS: Final = {"id", "was", "known_tasks", "of_attempts", "changed"}
"""The attributes of a loaded record besides its fields (``record.lua``)."""
_TARGET: Final = r"[\w.]+(?:\[[^\]\n]*\])?"
ASSIGNED: Final = re.compile(
    rf"(?:^|\bthen|\belse|\bdo)[ ]*({_TARGET}(?:, {_TARGET})*) =(?!=)(?P<nothing> nil(?:, nil)*(?:$| end))?",
    re.MULTILINE,
)
"""The targets of an assignment, and whether all of them get nil."""
COMPARED: Final = re.compile(r"[\w.]+ [=~]= '[^'\n]*'")
CAPITALS: Final = re.compile(r"\b[A-Z][A-Z_0-9]*\b")

ON_RECORDS: Final = {
    # The load, and that of a field of an attempt. The save gathers its arguments.
    ("parts/record", "HMGET"),
    ("parts/record", "HGET"),
    # A record without its version is damaged, and no unknown job.
    ("parts/record", "EXISTS"),
    # The id or one field shows if a job is new, and the record of the key's job may be large.
    ("submit", "EXISTS"),
    ("submit", "HMGET"),
    # The audit of slots in flight asks a hundred records for one field.
    ("parts/quota", "HGET"),
    # The record goes to the caller, as it was saved.
    ("parts/ends", "HGETALL"),
    ("fail", "HGETALL"),
    ("begin_polls", "HGETALL"),
    ("begin_copies", "HGETALL"),
    ("report_copies", "HGETALL"),
    ("deliver", "HGETALL"),
    # How long the record is kept is no part of it.
    ("parts/keeping", "PERSIST"),
    ("parts/results", "PEXPIRE"),
    ("put_back", "PEXPIRE"),
    # A dropped record may be one that cannot be loaded.
    ("put_back", "HGET"),
}
"""The commands on a record's key, by file."""


def users(pattern: str | re.Pattern[str], texts: dict[str, str] = CODE) -> dict[str, set[str]]:
    """The matches of the pattern, and their files."""
    found: dict[str, set[str]] = {}
    for name, text in texts.items():
        for what in re.findall(pattern, text):
            found.setdefault(what, set()).add(name)
    return found


def imported_from(module: str) -> set[str]:
    return {
        alias.name
        for tree in PYTHON.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == module
        for alias in node.names
    }


def arguments(code: str) -> list[str]:
    """The text between a call's parentheses, after the opening one."""
    found, depth = [""], 0
    for token in re.findall(r"'[^'\n]*'|.|\n", code):
        if token in tuple("({["):
            depth += 1
        elif token in tuple(")}]"):
            depth -= 1
        if depth < 0:
            break
        if token == "," and depth == 0:
            found.append("")
        else:
            found[-1] += token
    return [text.strip() for text in found]


def calls(code: str, function: str) -> Iterator[list[str]]:
    """The arguments of each call of a function."""
    for call in re.finditer(rf"(?<!function )(?<![\w.:]){function}\(", code):
        yield arguments(code[call.end() :])


# Fields


def fields_in_lua() -> dict[str, set[str]]:
    found = {name: files for name, files in users(r"\bjob\.(\w+)").items() if name not in NOT_FIELDS}
    for name, code in CODE.items():
        for field, _ in fields_of_attempts(code):
            found.setdefault(field, set()).add(name)
    return found


def fields_of_attempts(code: str) -> Iterator[tuple[str, str]]:
    """The fields of attempts that are read, and those that are set, each with its value."""
    for function in ("of_attempt", "set_of_attempt"):
        for _, what, _, *value in calls(code, function):
            # It may be in a variable.
            names = (
                re.findall(rf"\b{what}(?:, \w+)* = '(\w+)'", code) if what.isidentifier() else [what[1:-1]]
            )
            yield from ((f"{name}:N", value[0] if value else "") for name in names)


def written_fields(code: str) -> Iterator[str]:
    for found in ASSIGNED.finditer(code):
        if not found["nothing"]:
            yield from re.findall(r"\bjob\.(\w+)", found[1])
    yield from (field for field, value in fields_of_attempts(code) if value not in ("", "nil"))


def read_fields(code: str) -> Iterator[str]:
    yield from re.findall(r"\bjob\.(\w+)", ASSIGNED.sub("", code))
    yield from re.findall(r"'HGET', JOB \.\. \w+, '(\w+)'", code)
    yield from (field for field, value in fields_of_attempts(code) if not value)


def fields_in_python() -> set[str]:
    record = inspect.getsource(Record)
    queue = (ROOT / "limner/ledger/queue.py").read_text("utf-8")
    asked = re.search(r"\bnames = (\([^)]*\))\n.*\n.*hmget\(JOB\(", queue)
    assert asked, "queue.py does not read records as this test believes"
    return {
        *re.findall(r'\bfields(?:\[|\.get\()"(\w+)"', record),
        *re.findall(r'"(\w+)" in fields\b', record),
        *re.findall(r'\.hget\(JOB\([^)]*\), "(\w+)"\)', queue),
        *ast.literal_eval(asked[1]),
        f"{_TOKEN}N",
    }


def test_the_list_has_each_field_once() -> None:
    names = [field.name for field in FIELDS]
    assert len(names) == len(set(names))


def test_fields_that_scripts_name_are_on_the_list() -> None:
    on_the_list = {field.name for field in FIELDS}
    assert {name: files for name, files in fields_in_lua().items() if name not in on_the_list} == {}


def test_fields_that_python_reads_are_on_the_list() -> None:
    assert fields_in_python() - {field.name for field in FIELDS} == set()


def test_each_field_is_written() -> None:
    written = {name for code in CODE.values() for name in written_fields(code)}
    assert {field.name for field in FIELDS} - written == set()


def test_each_field_is_read() -> None:
    read = {name for code in CODE.values() for name in read_fields(code)} | fields_in_python()
    assert {field.name for field in FIELDS} - read == set()


def test_a_record_is_loaded_once_and_saved_once() -> None:
    commands = {
        (name, command)
        for name, code in CODE.items()
        for command in re.findall(r"redis\.p?call\('(\w+)', JOB \.\.", code)
    }
    assert commands == ON_RECORDS
    # No other command gets the key in another way.
    assert users(r"(?<!', )\bJOB\b") == {"JOB": {"parts/record"}}


# Keys and constants


def test_names_in_capitals_are_keys_or_constants() -> None:
    known = {*KEYS, *CONSTANTS, *GIVEN}
    assert {name: files for name, files in users(CAPITALS, BARE).items() if name not in known} == {}


def test_no_name_and_no_key_is_there_twice() -> None:
    assert KEYS.keys() & CONSTANTS.keys() == set()
    texts = [key.name for key in KEYS.values()]
    assert len(texts) == len(set(texts))


def test_each_key_is_used() -> None:
    named = {*users(CAPITALS, BARE), *assembly.HEAD_KEYS}
    used = named | imported_from("limner.ledger.layout.keys")
    assert KEYS.keys() - used == set()


def test_each_constant_is_used() -> None:
    used = {*users(CAPITALS, BARE), *imported_from("limner.ledger.layout.constants")}
    assert CONSTANTS.keys() - used == set()


def test_scripts_can_have_each_constant() -> None:
    assert {name: value for name, value in CONSTANTS.items() if not isinstance(value, int | str)} == {}


def test_no_script_has_constants_of_its_own() -> None:
    assert users(r"\blocal ([A-Z][A-Z_0-9]*)\b", BARE) == {}


def test_no_script_spells_a_key() -> None:
    assert users(r"\bP\b", BARE) == {}
    # Key names that are ordinary words are other things as well.
    telling = {key.name for key in KEYS.values() if not key.name.isalpha()}
    assert {text for text in users(r"'([^'\n]*)'") if text in telling} == set()


def spelled_keys(tree: ast.Module) -> Iterator[str]:
    """Literals that are keys by their poll, or follow a prefix."""
    telling = {key.name for key in KEYS.values() if not key.name.isalpha()}

    def is_prefix(node: ast.AST) -> bool:
        return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).endswith("prefix")

    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if text in telling or text.startswith("limner:{"):
                yield text
            case ast.BinOp(left=left, op=ast.Add(), right=ast.Constant(value=str(text))) if is_prefix(left):
                yield text
            case ast.JoinedStr(values=[ast.FormattedValue(value=left), ast.Constant(value=str(text)), *_]):
                # After a dot, it is a queue or another name of the broker.
                if is_prefix(left) and not text.startswith("."):
                    yield text


def test_python_has_each_key_from_the_list() -> None:
    spelled = {
        name: sorted(found)
        for name, tree in PYTHON.items()
        if name != "limner/ledger/layout/keys.py" and (found := set(spelled_keys(tree)))
    }
    assert spelled == {}


# Events

STREAM, LOG, ACCOUNT = "stream", "log", "account"
Flow = tuple[str, int]
"""A function, and the place among its arguments at which it takes an event."""
TELLERS: Final[dict[Flow, set[str]]] = {
    ("announce", 1): {STREAM},
    ("note", 1): {LOG},
    ("announce_account", 1): {ACCOUNT},
}


def passed(code: str, flow: Flow) -> Iterator[str]:
    """The arguments that calls of a function pass at that position; for comparisons, their results."""
    function, place = flow
    for given in calls(code, function):
        if place < len(given):
            yield COMPARED.sub("", given[place])


def flows() -> dict[Flow, set[str]]:
    """All functions of the parts that take an event, and the places where they report it."""
    known = dict(TELLERS)
    while True:
        found: dict[Flow, set[str]] = {}
        for function, (_, text) in FUNCTIONS.items():
            taken = arguments(text.split("(", 1)[1])
            for flow, told in known.items():
                handed_on = {
                    word for one in passed(text, flow) for word in re.findall(r"(?<![\w.'])\w+", one)
                }
                for place, name in enumerate(taken):
                    if name in handed_on and (function, place) not in TELLERS:
                        found.setdefault((function, place), set()).update(told)
        if known == TELLERS | found:
            return known
        known = TELLERS | found


def told_events() -> dict[str, set[str]]:
    """The events of all scripts, and the places that report each."""
    events: dict[str, set[str]] = {}
    for flow, told in flows().items():
        for code in CODE.values():
            for one in passed(code, flow):
                # A local may hold the event.
                meant = [one, *(_local(code, name) for name in re.findall(r"(?<![\w.'])[a-z_]+", one))]
                for name in re.findall(r"'(\w+)'", " ".join(meant)):
                    events.setdefault(name, set()).update(told)
    return events


def _local(code: str, name: str) -> str:
    found = re.search(rf"\blocal {name} = (.*)$", code, re.MULTILINE)
    return COMPARED.sub("", found[1]) if found else ""


def test_the_list_has_each_event_once() -> None:
    names = [event.name for event in EVENTS]
    assert len(names) == len(set(names))


def test_events_are_told_as_the_list_says() -> None:
    listed = {
        event.name: {LOG} if event.noted else {ACCOUNT} if event.of_account else {STREAM} for event in EVENTS
    }
    assert told_events() == listed


def test_the_command_line_has_words_for_each_event() -> None:
    assert words._EVENTS.keys() == {event.name for event in EVENTS}


# Scripts and parts


def scripts(parent: Any = Script) -> Iterator[type[Script[Any]]]:
    for each in parent.__subclasses__():
        # `slots=True` replaces a class, and the one before may still be there.
        current = getattr(sys.modules[each.__module__], each.__name__, None) is each
        if "NAME" in vars(each) and current and each.__module__.startswith("limner."):
            yield each
        yield from scripts(each)


SCRIPTS: Final = sorted(scripts(), key=lambda script: script.NAME)
by_name: Final = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.NAME)


def test_each_script_has_one_class() -> None:
    assert [script.NAME for script in SCRIPTS] == assembly.names_in()
    assert {script.__module__.split(".")[:2] == ["limner", "ledger"] for script in SCRIPTS} == {True}


@by_name
def test_a_class_has_the_arguments_that_its_script_reads(script: Any) -> None:
    text = script.text()
    named = {field.name for field in fields(script)}
    read = set(re.findall(r"\bA\.(\w+)", text))
    assert read - named == set()
    if re.search(r"[(,] ?A\b(?!\.)", text):
        # Handed on as a whole, they have another name there.
        read |= set(re.findall(r"\.(\w+)", text))
    assert named - read == set()


@by_name
def test_a_script_has_each_function_that_it_calls(script: Any) -> None:
    # One that is left out, or that is handed on and not called, keeps the name that it has in its part.
    bare = re.findall(r"(?<![\w.:])[a-z_]\w*\b(?! *=[^=])", assembly._STRING.sub("''", script.text()))
    assert set(bare) & FUNCTIONS.keys() == set()


def test_each_part_is_used() -> None:
    used = {part for name in assembly.names_in() for part in assembly.parts_of(name)}
    assert used == set(assembly.names_in("parts"))


def test_each_function_of_a_part_is_used() -> None:
    texts = [script.text() for script in SCRIPTS]
    defined = {name for text in texts for name in re.findall(r"^function L\.(\w+)", text, re.MULTILINE)}
    assert FUNCTIONS.keys() - defined == set()


def test_no_function_has_the_name_of_a_part_s() -> None:
    own = users(r"\blocal function (\w+)\(", {name: BARE[name] for name in assembly.names_in()})
    assert own.keys() & FUNCTIONS.keys() == set()
    assert len(FUNCTIONS) == sum(
        len(list(assembly._functions(part))) for part in assembly.names_in("parts")
    ), "two parts have a function of the same name"


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_names_the_parts_that_it_uses(name: str) -> None:
    mentioned = re.findall(r"(?<![\w.:])[a-z_]\w*\b(?!\s*=[^=])", BARE[name])
    needed = {FUNCTIONS[word][0] for word in mentioned if word in FUNCTIONS} - {name.removeprefix("parts/")}
    named = assembly.uses(WRITTEN[name])
    assert sorted(named) == sorted(needed)


# The page


def test_the_page_has_the_tables() -> None:
    page = PAGE.read_text("utf-8")
    assert within(page) == page, "python -m limner.ledger docs/ledger.md"


def test_the_page_quotes_scripts_as_they_are() -> None:
    quoted = re.findall(r"^```lua\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert quoted
    assert [block for block in quoted if not any(block in text for text in WRITTEN.values())] == []
