"""The tables of ``docs/compatibility.md``, made from the outcomes of trials."""

import platform
from collections.abc import Mapping, Sequence
from typing import Final

from release.ranges.trials import Outcome

__all__ = ["BEGIN", "END", "tables", "within"]

BEGIN: Final = "<!-- From here, as `python -m release.ranges docs/compatibility.md` writes it. -->\n"
END: Final = "<!-- Until here. -->\n"
"""The lines of a page that enclose the tables."""

_SHOWN: Final = ("redis", "pydantic", "kombu", "starlette")


def tables(pins: Mapping[tuple[str, str], Outcome], neighbours: Mapping[str, Outcome]) -> str:
    """Both tables, as Markdown: redis-py by pydantic, and the neighbours with what pip chose."""
    pydantic = list(dict.fromkeys(release for _, release in pins))
    grid = [
        [redis, *(_cell(pins.get((redis, each))) for each in pydantic)]
        for redis in dict.fromkeys(release for release, _ in pins)
    ]
    beside = [
        [f"`{name}`", *(outcome.releases.get(each, "") for each in _SHOWN), _cell(outcome)]
        for name, outcome in neighbours.items()
    ]
    return "\n".join(
        [
            f"Tried with Python {platform.python_version()}:",
            "",
            *_table(["redis-py \\ pydantic", *pydantic], grid),
            "",
            *_table(["installed beside", *(f"{each} chosen by pip" for each in _SHOWN), "works"], beside),
        ]
    )


def within(page: str, made: str) -> str:
    """The page with its tables replaced; raises ValueError if it lacks the two lines that enclose them."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"a page needs these two lines, in this order:\n{BEGIN}{END}")
    return f"{head}{begin}\n{made}\n\n{end}{tail}"


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    return "no" if outcome.fault else "yes"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]
