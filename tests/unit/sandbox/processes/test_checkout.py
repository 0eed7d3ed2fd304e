"""The environment of the sandbox's own processes."""

import os

from sandbox.processes.checkout import with_checkout
from tests.repository import ROOT


def test_the_sandbox_is_found_from_any_folder() -> None:
    assert with_checkout({}) == {"PYTHONPATH": str(ROOT)}


def test_what_was_on_the_path_stays_there_behind_it() -> None:
    environment = {"PYTHONPATH": "/elsewhere", "HOME": "/h"}
    assert with_checkout(environment) == {
        "PYTHONPATH": os.pathsep.join([str(ROOT), "/elsewhere"]),
        "HOME": "/h",
    }
    assert environment["PYTHONPATH"] == "/elsewhere"
