"""``python -m release``: build both archives of the commit that is checked out, and check them."""

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
    """Build both archives, check them, and move them into dist/."""
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
    # A clone holds only committed files, while the working tree may have files that .gitignore hides.
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(source)], check=True)
    committed_at = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=source, check=True, capture_output=True, text=True
    )
    # The archives carry the commit's time, so that every build of it gives the same bytes.
    build(source, built, env={**os.environ, "SOURCE_DATE_EPOCH": committed_at.stdout.strip()})
    sdist, wheel = built / f"limner-{version}.tar.gz", built / f"limner-{version}-py3-none-any.whl"
    _same("built", {path.name for path in built.iterdir()}, {sdist.name, wheel.name})
    _same(sdist.name, sources_in(sdist), wanted_in_sdist(source))
    _same(wheel.name, wheel_files(wheel), wanted_in_wheel(source))
    needed = metadata_of(wheel).requires_dist or []
    for archive, backend in ((sdist, [BACKEND]), (wheel, [])):
        python = install(archive, [*needed, *backend], folder / f"with {archive.suffix}")
        trial = subprocess.run(
            [python, "-I", "-c", PROGRAM], cwd=folder, capture_output=True, text=True, check=False
        )
        if trial.stdout.strip() != version:
            raise Refused(f"{archive.name} does not work: {trial.stdout}{trial.stderr}")
    return [sdist, wheel]


def _same(what: str, actual: set[str], wanted: set[str]) -> None:
    faults = [f"{name} is missing" for name in sorted(wanted - actual)]
    faults += [f"{name} does not belong there" for name in sorted(actual - wanted)]
    if faults:
        raise Refused(f"{what}: {'; '.join(faults)}")


if __name__ == "__main__":
    sys.exit(main())
