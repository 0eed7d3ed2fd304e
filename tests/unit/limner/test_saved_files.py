"""The names that files of images get, and what is said of their bytes."""

import hashlib
import os
from pathlib import Path

import pytest

from limner.saved_files import digest_of, extension_of, stem


@pytest.mark.parametrize(
    "job_id",
    [
        "../../x",
        "/etc/passwd",
        "..",
        ".hidden",
        "-rf",
        "a\x00b",
        "a\nb",
        "a b",
        "C:\\x",
        "狐",
        "\ud800",
        "x" * 200,
        "é" * 200,
    ],
)
def test_a_name_is_one_visible_part_of_a_path_however_odd_the_job(job_id: str) -> None:
    name = stem(job_id)
    assert name.isascii()
    assert set(name) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
    assert not name.startswith("-")
    assert 0 < len(name) <= 120


def test_the_usual_id_of_a_job_is_its_name() -> None:
    assert stem("5a2f1f0e-2f0b-4d55-9a0e-8c8e3a1b7c11") == "5a2f1f0e-2f0b-4d55-9a0e-8c8e3a1b7c11"


def test_ids_that_differ_give_names_that_differ_also_where_case_counts_for_nothing() -> None:
    ids = ["a/b", "a_b", "a.b", "A_B", "a\\b", "x" * 150, "x" * 151, "x" * 100]
    assert len({stem(job_id).lower() for job_id in ids}) == len(ids)


@pytest.mark.parametrize(
    ("head", "extension"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\r", "png"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01", "jpg"),
        (b"GIF89a\x01\x00\x01\x00\x00\x00", "gif"),
        (b"GIF87a\x01\x00\x01\x00\x00\x00", "gif"),
        (b"RIFF\x24\x00\x00\x00WEBP", "webp"),
        (b"RIFF\x24\x00\x00\x00WAVE", None),
        (b"<!doctype html>", None),
        (b"\x89PN", None),
        (b"", None),
    ],
)
def test_the_first_bytes_say_what_an_image_is(head: bytes, extension: str | None) -> None:
    assert extension_of(head) == extension


def test_a_digest_is_that_of_a_regular_file_only(tmp_path: Path) -> None:
    file, link, pipe = tmp_path / "file", tmp_path / "link", tmp_path / "pipe"
    file.write_bytes(b"a fox")
    link.symlink_to(file)
    os.mkfifo(pipe)
    assert digest_of(file) == hashlib.sha256(b"a fox").hexdigest()
    assert [digest_of(path) for path in (link, pipe, tmp_path, tmp_path / "none")] == [None] * 4
