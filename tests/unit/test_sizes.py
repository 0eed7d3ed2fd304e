"""The ratchet on sizes, for this repository and in examples."""

from pathlib import Path

import pytest

from tests import sizes
from tests.repository import committed

SMALL = {"lines": {"a.py": 300}, "function_lines": {}, "parameters": {}}


def test_the_list_has_the_sizes_of_the_repository() -> None:
    if not committed():
        pytest.skip("an exported tree has no list of its files")
    wrong = sizes.complaints(sizes.listed(), sizes.measured())
    assert not wrong, "\n".join([*wrong, "python -m tests.sizes writes tests/sizes.toml anew"])


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ({"a.py": 300}, None),
        ({"a.py": 301}, 'has grown from 300: split it, or say in the commit why not and write "a.py" = 301'),
        ({"a.py": 299}, 'has shrunk from 300: write "a.py" = 299'),
        ({}, "is gone, or no more than 250: remove its line"),
    ],
)
def test_an_entry_must_equal_the_size(lines: dict[str, int], complaint: str | None) -> None:
    complaints = sizes.complaints(SMALL, {**SMALL, "lines": lines})
    assert complaints == ([f"[lines] a.py: {complaint}"] if complaint else [])


def test_a_new_excess_is_reported_with_the_line_to_add() -> None:
    [complaint] = sizes.complaints(SMALL, {**SMALL, "parameters": {"b.py: C.f": 9}})
    assert complaint.startswith("[parameters] b.py: C.f: has 9, more than 8: split it")
    assert complaint.endswith('add "b.py: C.f" = 9')


def test_functions_are_measured_with_their_qualified_names() -> None:
    body = "\n".join(["        pass"] * 60)
    text = f"class C:\n    def f(self, a, b, *c, d, e, f, g, h, **i):\n{body}\n"
    measured = {(kind, name): size for kind, name, size in sizes._sizes("b.py", text)}
    assert measured == {
        ("lines", "b.py"): 62,
        ("function_lines", "b.py: C.f"): 61,
        ("parameters", "b.py: C.f"): 9,
    }


def test_the_list_reads_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "sizes.toml"
    path.write_text(sizes.written(SMALL))
    assert sizes.listed(path) == SMALL
