"""The commit of a release, in a repository with three files."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from release.commit import Refused, checked_version


@dataclass
class Repository:
    folder: Path

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True, capture_output=True)

    def commit(self, changelog: str) -> None:
        (self.folder / "CHANGELOG.md").write_text(changelog)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "A change")

    def refusal(self) -> str:
        with pytest.raises(Refused) as refused:
            checked_version(self.folder)
        return str(refused.value)


DATED = "# Changelog\n\n## 0.2.0 (2026-11-28)\n\n## 0.1.0 (2026-11-01)\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path)
    made.git("init", "--quiet", "--initial-branch", "main")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.2.0"\n')
    made.commit(DATED)
    return made


@pytest.mark.parametrize("tags", [[], ["v0.2.0"], ["nightly"]])
def test_a_clean_commit_is_the_version_that_it_dates(repository: Repository, tags: list[str]) -> None:
    for tag in tags:
        repository.git("tag", tag)
    assert checked_version(repository.folder) == "0.2.0"


@pytest.mark.parametrize(
    ("changelog", "refusal"),
    [
        ("# Changelog\n", "the newest heading of CHANGELOG.md is missing"),
        ("## 0.3.0 (2026-11-28)\n\n## 0.2.0 (2026-11-27)\n", "the newest heading of CHANGELOG.md is 0.3.0"),
        ("## 0.2.0\n", "does not date 0.2.0"),
        ("## 0.2.0 (unreleased)\n", "does not date 0.2.0"),
        ("## 0.2.0 (2026-11-31)\n", "does not date 0.2.0"),
    ],
)
def test_a_changelog_that_does_not_date_the_version_is_refused(
    repository: Repository, changelog: str, refusal: str
) -> None:
    repository.commit(changelog)
    assert refusal in repository.refusal()


def test_a_tree_with_changes_is_refused_by_their_names(repository: Repository) -> None:
    (repository.folder / "new.py").touch()
    assert repository.refusal() == "commit these first, or remove them:\n?? new.py"


def test_a_version_that_another_commit_has_is_refused(repository: Repository) -> None:
    repository.git("tag", "v0.2.0")
    repository.commit(DATED)
    assert "v0.2.0 is the tag of another commit" in repository.refusal()


def test_a_commit_that_is_another_version_is_refused(repository: Repository) -> None:
    repository.git("tag", "v0.2.0")
    repository.git("tag", "v0.3.0")
    assert repository.refusal() == "this commit has the tag v0.3.0, and pyproject.toml says 0.2.0"
