"""The modules of the worker and of its steps load without settings, and load no settings."""

import subprocess
import sys

import pytest

from tests.repository import ROOT

IMPORT_ALL = """
import importlib, pkgutil, sys, tasks, worker
found = [module.name for package in (tasks, worker)
         for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in sorted({*found} - {"worker.main"}):
    try:
        importlib.import_module(name)
    except BaseException as error:
        sys.exit(f"{name}: {error!r}")
print(*found)
"""


def python(program: str) -> "subprocess.CompletedProcess[str]":
    """Run it in an empty environment."""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_modules_of_the_fleet_are_imported_without_settings() -> None:
    done = python(IMPORT_ALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"tasks.create_task", "worker.main", "worker.callbacks", "worker.schedule.beat"} <= {
        *done.stdout.split()
    }


@pytest.mark.parametrize("module", ["worker", "worker.main", "worker.callbacks"])
def test_the_app_of_a_command_line_says_which_setting_is_missing(module: str) -> None:
    done = python(f"from {module} import app")
    assert done.returncode == 1
    assert done.stderr == "limner: the settings are wrong\nLIMNER_REDIS_URL: not set\n"


def test_a_process_that_asks_for_no_app_loads_no_celery() -> None:
    assert python("import sys, worker; sys.exit('celery' in sys.modules)").returncode == 0
