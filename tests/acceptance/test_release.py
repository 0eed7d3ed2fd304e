"""``python -m release`` in a copy of this repository."""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.repository import ROOT, committed


@dataclass
class Copy:
    """A repository with the same files as this one."""

    folder: Path

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True)

    def write(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "A change")

    def release(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "release"], cwd=self.folder, capture_output=True, text=True, check=False
        )

    def refusal(self) -> str:
        run = self.release()
        assert run.returncode == 1, run.stdout + run.stderr
        assert not (self.folder / "dist").exists()
        return run.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    names = committed()
    if not names:
        pytest.skip("an exported tree has no list of its files")
    for name in names:
        target = tmp_path / "copy" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
    made = Copy(tmp_path / "copy")
    made.git("init", "--quiet", "--initial-branch", "main")
    (made.folder / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0 (2026-11-28)\n\nThe first version.\n")
    made.commit()
    return made


def test_a_release_contains_only_committed_files(copy: Copy) -> None:
    copy.git("tag", "v0.1.0")
    (copy.folder / "limner" / "celerybeat-schedule").write_text("hidden by .gitignore")
    run = copy.release()
    assert run.returncode == 0, run.stdout + run.stderr
    built = sorted(path.name for path in (copy.folder / "dist").iterdir())
    assert built == ["limner-0.1.0-py3-none-any.whl", "limner-0.1.0.tar.gz"]
    assert run.stdout.endswith("0.1.0 is in dist/. Nothing was uploaded.\n")


def test_an_uncommitted_file_is_named(copy: Copy) -> None:
    (copy.folder / "limner" / "new.py").touch()
    assert "commit these first, or remove them:\n?? limner/new.py" in copy.refusal()


def test_an_undated_version_is_refused_with_the_line_to_write(copy: Copy) -> None:
    copy.write("CHANGELOG.md", "2026-11-28", "unreleased")
    copy.commit()
    assert "CHANGELOG.md does not date 0.1.0: write '## 0.1.0 (YEAR-MONTH-DAY)'" in copy.refusal()


def test_a_version_that_is_missing_from_the_changelog_is_refused(copy: Copy) -> None:
    copy.write("pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    copy.commit()
    assert "pyproject.toml says 0.2.0, and the newest heading of CHANGELOG.md is 0.1.0" in copy.refusal()


def test_a_version_cannot_be_released_twice(copy: Copy) -> None:
    copy.git("tag", "v0.1.0")
    copy.write("README.md", "Limner", "Limner!")
    copy.commit()
    assert "v0.1.0 is the tag of another commit" in copy.refusal()


def test_a_tag_with_a_different_version_is_refused(copy: Copy) -> None:
    copy.git("tag", "v0.3.0")
    assert "this commit has the tag v0.3.0, and pyproject.toml says 0.1.0" in copy.refusal()


def test_an_archive_with_a_missing_file_is_refused(copy: Copy) -> None:
    copy.write("pyproject.toml", 'packages = ["limner"]', 'packages = ["limner"]\nexclude = ["submit.lua"]')
    copy.commit()
    assert "limner/ledger/lua/submit.lua is missing" in copy.refusal()
