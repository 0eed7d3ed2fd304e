"""The contents of the archives, compared with the expected ones."""

import io
import tarfile
import zipfile
from pathlib import Path

from release.archives import metadata_of, sources_in, wanted_in_sdist, wanted_in_wheel, wheel_files

METADATA = "Metadata-Version: 2.4\nName: limner\nVersion: 0.1.0\nRequires-Dist: redis>=8\n"


def wheel(folder: Path) -> Path:
    path = folder / "limner-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("limner/__init__.py", "")
        archive.writestr("limner-0.1.0.dist-info/METADATA", METADATA)
        archive.writestr("limner-0.1.0.dist-info/RECORD", "")
    return path


def source(folder: Path) -> Path:
    for name in ("limner/__init__.py", "limner/lua/submit.lua", "limner/__pycache__/a.pyc", "README.md", "x"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    include = '[tool.hatch.build.targets.sdist]\ninclude = ["/limner", "/README.md"]\n'
    (folder / "pyproject.toml").write_text(include)
    return folder


def test_a_wheel_brings_its_files_and_metadata_of_its_own(tmp_path: Path) -> None:
    assert wheel_files(wheel(tmp_path)) == {"limner/__init__.py"}


def test_a_wheel_says_what_it_needs(tmp_path: Path) -> None:
    told = metadata_of(wheel(tmp_path))
    assert (told.name, str(told.version)) == ("limner", "0.1.0")
    assert [str(each) for each in told.requires_dist or []] == ["redis>=8"]


def test_a_source_distribution_is_named_without_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "limner-0.1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("limner-0.1.0/limner/__init__.py"), io.BytesIO())
    assert sources_in(path) == {"limner/__init__.py"}


def test_a_wheel_is_to_bring_the_whole_package_without_compiled_files(tmp_path: Path) -> None:
    assert wanted_in_wheel(source(tmp_path)) == {"limner/__init__.py", "limner/lua/submit.lua"}


def test_a_source_distribution_is_to_hold_what_is_included_and_what_builds_it(tmp_path: Path) -> None:
    assert wanted_in_sdist(source(tmp_path)) == {
        "limner/__init__.py",
        "limner/lua/submit.lua",
        "README.md",
        "pyproject.toml",
        "PKG-INFO",
        ".gitignore",
    }
