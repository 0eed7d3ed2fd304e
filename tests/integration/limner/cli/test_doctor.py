"""``doctor`` as a process, for a fleet of real servers, and where there is no fleet."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sandbox.kie.server import SandboxProvider
from tests.repository import ROOT

PATIENCE = 60.0


class Run(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(scope="module")
def provider() -> Iterator[SandboxProvider]:
    with SandboxProvider() as running:
        yield running


def run(*arguments: str, **settings: str) -> Run:
    clean = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("LIMNER_") and not name.lower().endswith("_proxy")
    }
    done = subprocess.run(
        [sys.executable, "-m", "limner", *arguments],
        cwd=ROOT,
        env={**clean, **settings},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def settings(valkey_url: str, provider: SandboxProvider) -> dict[str, str]:
    return {
        "LIMNER_REDIS_URL": valkey_url,
        "LIMNER_API_URL": provider.url,
        "LIMNER_API_KEY": "sandbox-key",
        "LIMNER_SECRETS_DIR": "",
    }


def test_a_line_for_each_finding_and_zero_if_none_is_a_failure(settings: dict[str, str]) -> None:
    done = run("doctor", **settings)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "ok    settings   all can be used"
    assert {line[:4].strip() for line in lines} == {"ok", "warn"}
    assert any("takes the key of account main, which has 1000000.0 credits left" in line for line in lines)
    [workers] = [line for line in lines if line[6:].startswith("workers")]
    assert workers == "warn  workers    none has asked for work of account main yet; start a worker"
    assert "sandbox-key" not in done.out
    assert settings["LIMNER_REDIS_URL"].rpartition("@")[0] not in done.out


def test_findings_as_json(settings: dict[str, str]) -> None:
    findings = run("doctor", "--json", **settings).objects
    assert findings == run("--json", "doctor", **settings).objects
    assert all(finding.keys() == {"check", "verdict", "found", "advice"} for finding in findings)
    assert findings[0] == {"check": "settings", "verdict": "ok", "found": "all can be used", "advice": ""}


def test_a_failure_is_an_exit_code(settings: dict[str, str]) -> None:
    done = run("doctor", "--json", **{**settings, "LIMNER_API_KEY": "made-up-key-of-nobody"})
    assert done.code == 1
    [failure] = [finding for finding in done.objects if finding["verdict"] == "fail"]
    assert failure["check"] == "provider"
    assert failure["found"].startswith("LIMNER_API_KEY: the provider refuses the key")
    assert failure["advice"] == "give a valid key"
    assert "made-up" not in done.out


def test_wrong_settings_are_bad_input(settings: dict[str, str]) -> None:
    done = run("doctor", **{**settings, "LIMNER_API_KEY": "'sandbox-key'", "LIMNER_RATE_SECONDS": "-1"})
    assert (done.code, done.err) == (2, "")
    assert "fail  settings   LIMNER_API_KEY: has quotes around it; give the key without them\n" in done.out
    assert "fail  settings   LIMNER_RATE_SECONDS: " in done.out
    assert "sandbox-key" not in done.out
    assert run("doctor").code == 2


def test_the_url_of_the_command_line_precedes_the_environment(settings: dict[str, str]) -> None:
    url = settings.pop("LIMNER_REDIS_URL")
    settings["LIMNER_REDIS_URL"] = "redis://127.0.0.1:1/0"
    assert run("--redis-url", url, "doctor", **settings).code == 0
    assert run("doctor", "--redis-url", url, **settings).code == 0
    assert run("doctor", **settings).code == 1


def test_without_the_fleet_s_packages_it_says_where_to_run(tmp_path: Path) -> None:
    # As with the wheel, limner is the only folder of ours that can be imported.
    shutil.copytree(ROOT / "limner", tmp_path / "limner")
    script = (
        "import os, sys\n"
        "sys.path[:] = [path for path in sys.path if not os.path.isdir(os.path.join(path, 'worker'))]\n"
        "from limner.cli.app import main\n"
        "sys.exit(main(['doctor']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "limner: doctor needs the fleet's packages, and worker is missing here: run it where a worker runs\n"
    )
