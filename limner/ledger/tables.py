"""Makes the tables of ``docs/ledger.md`` from the layout, as Markdown."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from limner.ledger.layout.events import EVENTS, EventType
from limner.ledger.layout.fields import FIELDS
from limner.ledger.layout.keys import KEYS
from limner.ledger.scripts.assembly import names_in, script_text

BEGIN: Final = "<!-- From here, as `python -m limner.ledger docs/ledger.md` writes it. -->\n"
END: Final = "<!-- Until here. -->\n"
"""The lines of a page that enclose the tables."""


def tables() -> str:
    """The tables of fields, keys and events, each in a section of its own."""
    writers = _writers()
    fields = [(f"`{field.name}`", field.kind, ", ".join(writers[field.name]), field.why) for field in FIELDS]
    keys = [(f"`{key.name}{key.of}`", key.kind, key.holds) for key in KEYS.values()]
    events = [(f"`{event.name}`", event.says, _recorded_on(event)) for event in EVENTS]
    return "\n".join(
        [
            *_section("Fields of a record", ("field", "kind", "written by", "why"), fields),
            *_section("Keys", ("key", "type", "holds"), keys),
            *_section("Events", ("event", "meaning", "recorded in"), events),
        ]
    )


def within(page: str) -> str:
    """The page with its tables replaced; raises ValueError if it lacks the two lines that enclose them."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"a page needs these two lines, in this order:\n{BEGIN}{END}")
    return f"{head}{begin}\n{tables()}\n{end}{tail}"


def _writers() -> dict[str, list[str]]:
    """The scripts that assign to each field."""
    found: dict[str, list[str]] = {field.name: [] for field in FIELDS}
    for script in names_in():
        text = script_text(script, "")
        written = {name for target in _TARGET.findall(text) for name in _NAME.findall(target)}
        for name in written | {f"{name}:N" for name in _OF_ATTEMPT.findall(text)}:
            if name in found:
                found[name].append(script)
    return found


_TARGET: Final = re.compile(r"((?:\bjob\.\w+, )*\bjob\.\w+) = ")
_NAME: Final = re.compile(r"job\.(\w+)")
_OF_ATTEMPT: Final = re.compile(r"set_of_attempt\(job, '(\w+)'")


def _recorded_on(event: EventType) -> str:
    if event.of_account:
        return "the stream, about an account"
    return "the job's log" if event.noted else "the job's log and the stream"


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"## {title}\n"
    for cells in (columns, ["---"] * len(columns), *rows):
        yield f"| {' | '.join(cells)} |"
    yield ""
