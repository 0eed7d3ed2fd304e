"""The checks of objects' names, and their URLs."""

import pytest

from worker.copies.locations import checked, joined, probe_name


@pytest.mark.parametrize(
    "name", ["1.png", "a/b=20/1.png.thumb.webp", ".limner/check", "..a/b..", "a/...", "=="]
)
def test_a_relative_name_is_taken(name: str) -> None:
    assert checked(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/..",
        "a/./b",
        "a b",
        "a\n",
        "a\\b",
        "a%2e",
        "ä",
        "a#1",
        "a" * 1001,
    ],
)
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of an object"):
        checked(name)


def test_a_name_is_joined_to_a_base() -> None:
    assert joined("https://cdn.example.com/i", "a/b=20.png") == "https://cdn.example.com/i/a/b=20.png"
    with pytest.raises(ValueError, match="not the name"):
        joined("https://cdn.example.com/i", "../a")


def test_two_probes_have_different_names() -> None:
    assert checked(probe_name()) != probe_name()
