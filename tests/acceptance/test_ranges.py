"""The ends of the ranges that the wheel accepts, and its neighbours, from a package index."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement

from release.archives import build
from release.ranges.environments import Unresolvable, make, resolve
from release.ranges.releases import ENDS, NEIGHBOURS, PYDANTIC, REDIS
from release.ranges.trials import fleet, run, wanted
from sandbox.local.fleet import CHECKOUT, LocalFleet

RESOLVED: Final = [
    "celery[redis]==5.5.3",
    "celery[redis]==5.4.0 arq==0.28.0 fastapi==0.115.5 pydantic==2.8.2",
]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A package index that answers pip, which has what the lock pins."""
    try:
        resolve(tmp_path_factory.mktemp("index"), [f"redis=={REDIS[-1]}"])
    except Unresolvable as error:
        pytest.skip(f"no package index can be reached: {str(error).splitlines()[-1]}")


@pytest.fixture(scope="module")
def wheel(index: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranges")
    build(CHECKOUT, folder, "wheel")
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def running(index: None) -> Iterator[LocalFleet]:
    with fleet() as started:
        yield started


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("redis", "pydantic"), ENDS)
def test_a_backend_works_with_the_ends_of_both_ranges(
    redis: str, pydantic: str, wheel: Path, running: LocalFleet, tmp_path: Path
) -> None:
    python = make(tmp_path, [str(wheel), f"redis=={redis}", f"pydantic=={pydantic}"])
    outcome = run(python, "release.ranges.backend", running.redis_url)
    assert outcome.fault is None
    assert (outcome.report["redis"], outcome.report["pydantic"]) == (redis, pydantic)
    assert Path(outcome.report["from"]).is_relative_to(tmp_path)


@pytest.mark.timeout(300)
def test_an_application_of_fastapi_of_two_years_ago_works(
    wheel: Path, running: LocalFleet, tmp_path: Path
) -> None:
    python = make(tmp_path, wanted(wheel, NEIGHBOURS["fastapi==0.115.5"]))
    outcome = run(python, "release.ranges.fastapi_app", running.redis_url)
    assert outcome.fault is None
    assert outcome.report["fastapi"] == "0.115.5"


@pytest.mark.parametrize("name", RESOLVED)
def test_the_wheel_resolves_beside_a_neighbour(name: str, wheel: Path, tmp_path: Path) -> None:
    releases = resolve(tmp_path, wanted(wheel, NEIGHBOURS[name]))
    assert {"limner", "redis", "pydantic"} <= releases.keys()


def test_what_cannot_be_installed_together_is_told(wheel: Path, tmp_path: Path) -> None:
    with pytest.raises(Unresolvable, match="Cannot install limner"):
        resolve(tmp_path, [str(wheel), "redis==4.6.0"])


def test_the_ranges_begin_and_end_where_trials_do() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    ranges = {each.name: each.specifier for each in map(Requirement, project["dependencies"])}
    for name, tried in (("redis", REDIS), ("pydantic", PYDANTIC)):
        assert [release for release in tried if release not in ranges[name]] == []
    assert {spec.version for spec in ranges["redis"]} == {REDIS[0], str(int(REDIS[-1].split(".")[0]) + 1)}
