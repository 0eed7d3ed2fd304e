"""``python -m release``: both archives of the commit that is checked out, in dist/, checked."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from release.archives import (
    BACKEND,
    build,
    install,
    metadata_of,
    sources_in,
    wanted_in_sdist,
    wanted_in_wheel,
    wheel_files,
)
from release.commit import Refused, checked_version

ROOT: Final = Path(__file__).parents[1]
PROGRAM: Final = """
from importlib.metadata import version
from limner import Limner
print(version("limner"))
"""


def main() -> int:
    """Build, check, and put into dist/ what passes."""
    try:
        version = checked_version(ROOT)
        with tempfile.TemporaryDirectory(prefix="limner-release-") as name:
            archives = _build(Path(name), version)
            (ROOT / "dist").mkdir(exist_ok=True)
            for archive in archives:
                print(f"{hashlib.sha256(archive.read_bytes()).hexdigest()}  dist/{archive.name}")
                shutil.move(archive, ROOT / "dist" / archive.name)
    except Refused as refusal:
        print(f"no release: {refusal}", file=sys.stderr)
        return 1
    print(f"{version} is in dist/. Nothing was uploaded.")
    return 0


def _build(folder: Path, version: str) -> list[Path]:
    source, built = folder / "source", folder / "built"
    # A clone has what is committed, and no file that .gitignore hides from a look at the tree.
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)
    when = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=source, check=True, capture_output=True, text=True
    )
    # The time in the archives is the commit's, so that they are the same whoever builds them.
    build(source, built, env={**os.environ, "SOURCE_DATE_EPOCH": when.stdout.strip()})
    sdist, wheel = built / f"limner-{version}.tar.gz", built / f"limner-{version}-py3-none-any.whl"
    _same("built", {path.name for path in built.iterdir()}, {sdist.name, wheel.name})
    _same(sdist.name, sources_in(sdist), wanted_in_sdist(source))
    _same(wheel.name, wheel_files(wheel), wanted_in_wheel(source))
    needed = metadata_of(wheel).requires_dist or []
    for archive, and_besides in ((sdist, [BACKEND]), (wheel, [])):
        python = install(archive, [*needed, *and_besides], folder / f"with {archive.suffix}")
        done = subprocess.run(
            [python, "-I", "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.stdout.strip() != version:
            raise Refused(f"{archive.name} does not work: {done.stdout}{done.stderr}")
    return [sdist, wheel]


def _same(what: str, found: set[str], wanted: set[str]) -> None:
    faults = [f"{name} is missing" for name in sorted(wanted - found)]
    faults += [f"{name} does not belong there" for name in sorted(found - wanted)]
    if faults:
        raise Refused(f"{what}: {'; '.join(faults)}")


if __name__ == "__main__":
    sys.exit(main())
