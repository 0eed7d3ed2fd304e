"""A trial: a program in an environment with the wheel, against a fleet of this checkout."""

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from release.ranges.environments import Unresolvable, installed, make
from release.ranges.releases import Neighbour
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey

__all__ = ["Outcome", "fleet", "run", "try_neighbour", "try_pins", "wanted"]

SECONDS: Final = 180.0
_ROOT: Final = Path(__file__).parents[2]
_STRICTLY: Final = """
import runpy, sys, warnings
warnings.filterwarnings("error", module="limner")
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Makes a warning about the way in which our code uses a package an error."""
_SETTINGS: Final = MappingProxyType(
    {
        "LIMNER_RATE_REQUESTS": "10000",
        "LIMNER_READS_PER_SECOND": "1000",
        "LIMNER_USUAL_SECONDS": '{"TURBO": 0.5, "BALANCED": 0.5, "QUALITY": 0.5}',
    }
)


@dataclass(frozen=True)
class Outcome:
    """The end of a trial: the releases that were installed, and the fault, None if there is none."""

    releases: dict[str, str]
    fault: str | None
    report: dict[str, Any]
    """The report of the program itself."""


@contextmanager
def fleet() -> Iterator[LocalFleet]:
    """A fleet with a quick provider, for any number of trials."""
    provider = SandboxProvider(duration=0.1, creates=0, reads=0)
    with LocalFleet(settings=_SETTINGS, provider=provider, callbacks=True) as running:
        yield running


def try_pins(wheel: Path, redis: str, pydantic: str, fleet_url: str) -> Outcome:
    """Try the wheel with these releases of its two dependencies."""
    requirements = [str(wheel), f"redis=={redis}", f"pydantic=={pydantic}"]
    return _try(requirements, "release.ranges.backend", fleet_url)


def try_neighbour(wheel: Path, neighbour: Neighbour, fleet_url: str) -> Outcome:
    """Try the wheel beside another package; pip chooses the releases."""
    return _try([*wanted(wheel, neighbour)], neighbour.program, fleet_url)


def wanted(wheel: Path, neighbour: Neighbour) -> list[str]:
    """The requirements of the wheel together with those of a neighbour."""
    extra = f"[{neighbour.extra}]" if neighbour.extra else ""
    return [f"limner{extra} @ {wheel.as_uri()}", *neighbour.requirements]


def _try(requirements: Sequence[str], program: str, fleet_url: str) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="limner-trial-") as folder:
        try:
            python = make(Path(folder), requirements)
        except Unresolvable as error:
            return Outcome({}, str(error), {})
        return run(python, program, fleet_url)


def run(python: Path, program: str, fleet_url: str) -> Outcome:
    """Have the interpreter run a module of this checkout as a program."""
    with EmbeddedValkey() as other:
        # Without -I, this checkout and the user's packages could be imported.
        ended = subprocess.run(
            [python, "-I", "-c", _STRICTLY, _ROOT / f"{program.replace('.', '/')}.py", fleet_url, other.url],
            cwd=python.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    if ended.returncode:
        return Outcome(installed(python), ended.stderr.strip() or "it failed without a word", {})
    return Outcome(installed(python), None, json.loads(ended.stdout))
