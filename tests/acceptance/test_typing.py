"""The types of the public API, as a user's checker reads them from the installed wheel, in strict mode."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from limner import Job, Limner
from release.archives import build, install, metadata_of
from sandbox.local.fleet import CHECKOUT

CODE: Final = CHECKOUT / "tests" / "typing" / "api.py"
PYRIGHT: Final = "pyright@1.1.414"
STRICT: Final[Mapping[str, object]] = {
    "typeCheckingMode": "strict",
    "reportUnnecessaryTypeIgnoreComment": "error",
    # They are mypy's.
    "enableTypeIgnoreComments": False,
}
TWICE_WRONG: Final = """
from limner import Limner
Limner("redis://").submit("a kite", priority="high")
answer: int = Limner("redis://").submit("a kite")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel."""
    folder = tmp_path_factory.mktemp("typing")
    build(CHECKOUT, folder, "wheel")
    (wheel,) = folder.glob("*.whl")
    return install(wheel, metadata_of(wheel).requires_dist or [], folder / "environment")


@pytest.fixture(scope="module")
def pyright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program of pyright. Its package for Python would download this one, too, and keep it for ever."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not (npm and node):
        pytest.skip("pyright needs node and npm")
    folder = tmp_path_factory.mktemp("pyright")
    options = ["--no-fund", "--no-audit", "--no-save", "--loglevel", "error", "--prefix", str(folder)]
    run = subprocess.run([npm, "install", *options, PYRIGHT], capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.skip(f"npm cannot install {PYRIGHT}: {run.stderr.strip().splitlines()[-1:]}")
    return folder / "node_modules" / "pyright" / "index.js"


def mypy_says(python: Path, code: str, folder: Path) -> list[str]:
    (folder / "api.py").write_text(code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--python-executable", str(python)]
    run = subprocess.run([*command, "api.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    return [line for line in run.stdout.splitlines() if ": error:" in line]


def pyright_says(pyright: Path, python: Path, code: str, folder: Path) -> list[str]:
    (folder / "api.py").write_text(code)
    (folder / "pyrightconfig.json").write_text(json.dumps({**STRICT, "include": ["api.py"]}))
    command = ["node", str(pyright), "--outputjson", "--pythonpath", str(python), "--project", "."]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    told = json.loads(run.stdout)
    assert told["summary"]["filesAnalyzed"] == 1
    return [f"{each['range']['start']['line'] + 1}: {each['message']}" for each in told["generalDiagnostics"]]


def test_mypy_accepts_a_user_s_code_and_finds_its_mistakes(python: Path, tmp_path: Path) -> None:
    assert mypy_says(python, CODE.read_text("utf-8"), tmp_path) == []
    assert len(mypy_says(python, TWICE_WRONG, tmp_path)) == 2


def test_pyright_accepts_a_user_s_code_and_finds_its_mistakes(
    pyright: Path, python: Path, tmp_path: Path
) -> None:
    assert pyright_says(pyright, python, CODE.read_text("utf-8"), tmp_path) == []
    assert len(pyright_says(pyright, python, TWICE_WRONG, tmp_path)) == 2


@pytest.mark.parametrize("owner", [Limner, Job])
def test_the_user_s_code_uses_every_public_method(owner: type) -> None:
    used = set(re.findall(r"\.(\w+)\(", CODE.read_text("utf-8")))
    assert {name for name, _ in inspect.getmembers(owner, inspect.isroutine) if name[0] != "_"} <= used
