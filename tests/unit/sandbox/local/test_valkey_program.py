"""The choice of the server program, and the data that it can read."""

import json
from pathlib import Path

import pytest

from sandbox.local.valkey_program import STAMP, ValkeyError, Version, check_stamp

VALKEY_9 = Version("valkey", (9, 1, 0))


def test_a_new_folder_is_marked_as_the_server_s(tmp_path: Path) -> None:
    check_stamp(tmp_path, VALKEY_9)
    assert json.loads((tmp_path / STAMP).read_text()) == {"server": "valkey", "version": [9, 1, 0]}


def test_a_newer_server_opens_the_folder_and_an_older_one_does_not_any_more(tmp_path: Path) -> None:
    check_stamp(tmp_path, Version("valkey", (8, 0, 1)))
    check_stamp(tmp_path, VALKEY_9)
    with pytest.raises(
        ValkeyError, match=r"was written by valkey 9\.1\.0, and this server is valkey 8\.0\.1"
    ):
        check_stamp(tmp_path, Version("valkey", (8, 0, 1)))


def test_a_server_of_another_make_opens_no_folder(tmp_path: Path) -> None:
    check_stamp(tmp_path, VALKEY_9)
    with pytest.raises(ValkeyError, match=r"this server is redis 99\.0"):
        check_stamp(tmp_path, Version("redis", (99, 0)))
    assert json.loads((tmp_path / STAMP).read_text())["server"] == "valkey"


@pytest.mark.parametrize("name", ["appendonlydir", "dump.rdb"])
def test_data_of_an_unknown_server_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(ValkeyError, match="holds data of an unknown server"):
        check_stamp(tmp_path, VALKEY_9)
    assert not (tmp_path / STAMP).exists()
