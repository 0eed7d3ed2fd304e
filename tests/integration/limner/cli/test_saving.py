"""``save`` and ``wait --save`` on a real ledger, with a server in place of the provider's."""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from limner import Limner
from limner.cli.app import main
from limner.ledger import Grant, Ledger
from tests.conftest import eventually
from tests.integration.limner.cli.conftest import Run
from tests.integration.limner.conftest import QUOTA
from tests.integration.limner.images import PNG, WEBP, Files, serving
from tests.integration.limner.ledger import speaking
from tests.repository import ROOT

PATIENCE = 30.0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Files]:
    monkeypatch.setenv("LIMNER_COPY_PLAIN_HOSTS", "127.0.0.1")
    with serving({"/1.png": PNG, "/2": WEBP}) as served:
        yield served


def succeeded(ledger: Ledger, url: str, *urls: str) -> str:
    """A job whose images have these links."""
    with Limner(url) as limner:
        job_id = limner.submit("a fox").id
    step = next(step for step in ledger.queue.claim(QUOTA).steps if step.job_id == job_id)
    assert isinstance(ledger.jobs.begin(job_id, step.lease, "token", deadline=900), Grant)
    assert ledger.jobs.accepted(job_id, 1, job_id, poll_in=0)
    eventually(lambda: any(step.job_id == job_id for step in ledger.queue.claim(QUOTA).steps))
    end = speaking.task_succeeded(ledger, job_id, job_id, list(urls), Decimal(7), ttl=60)
    assert end.what == "ended"
    return job_id


@pytest.fixture
def job_id(ledger: Ledger, valkey_url: str, server: Files) -> str:
    return succeeded(ledger, valkey_url, f"{server.url}/1.png", f"{server.url}/2")


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_files_are_printed_one_a_line(
    valkey_url: str, job_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--redis-url", valkey_url, "save", job_id, "--to", str(tmp_path / "new")]) == 0
    paths = [tmp_path / "new" / f"{job_id}-1.png", tmp_path / "new" / f"{job_id}-2.webp"]
    assert capsys.readouterr() == ("".join(f"{path}\n" for path in paths), "")
    assert [path.read_bytes() for path in paths] == [PNG, WEBP]


def test_programs_get_the_job_and_its_files(limner_cli: Run, job_id: str, tmp_path: Path) -> None:
    paths = [str(tmp_path / f"{job_id}-1.png"), str(tmp_path / f"{job_id}-2.webp")]
    for _ in range(2):
        assert limner_cli("save", job_id, "--to", str(tmp_path)) == [{"job_id": job_id, "paths": paths}]


def test_a_wait_that_saves_tells_the_outcome_and_the_files(
    limner_cli: Run, job_id: str, tmp_path: Path
) -> None:
    [told] = limner_cli("wait", job_id, "--save", str(tmp_path))
    assert (told["state"], len(told["urls"])) == ("succeeded", 2)
    assert told["paths"] == [str(tmp_path / name) for name in listing(tmp_path)]


def test_a_wait_that_saves_prints_the_job_and_the_file(
    valkey_url: str, job_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--redis-url", valkey_url, "wait", job_id, "--save", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{job_id} {tmp_path / name}" for name in listing(tmp_path)
    ]


@pytest.mark.parametrize("command", [["save", "--to"], ["wait", "--save"]])
def test_an_image_that_cannot_be_had_ends_with_7_and_hides_no_other(
    limner_cli: Run,
    ledger: Ledger,
    valkey_url: str,
    job_id: str,
    server: Files,
    tmp_path: Path,
    command: list[str],
) -> None:
    half = succeeded(ledger, valkey_url, f"{server.url}/gone.png", f"{server.url}/1.png")
    told = limner_cli(command[0], half, job_id, command[1], str(tmp_path), code=7)
    assert [(each["job_id"], len(each["paths"])) for each in told] == [(half, 1), (job_id, 2)]
    assert listing(tmp_path) == sorted([f"{half}-2.png", f"{job_id}-1.png", f"{job_id}-2.webp"])


def test_the_error_names_the_job_the_image_and_the_reason(
    ledger: Ledger, valkey_url: str, server: Files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = succeeded(ledger, valkey_url, f"{server.url}/gone.png")
    assert main(["--redis-url", valkey_url, "--json", "save", gone, "--to", str(tmp_path)]) == 7
    error = json.loads(capsys.readouterr().err)
    assert (error["error"], error["job_id"], error["exit_code"]) == ("ImagesNotSaved", gone, 7)
    assert f"job {gone}: 1 of 1 images were not saved: image 1: {server.url}/gone.png" in error["message"]


def test_files_of_the_users_stay_unless_overwriting_was_asked_for(
    limner_cli: Run, job_id: str, tmp_path: Path
) -> None:
    theirs = tmp_path / f"{job_id}-1.png"
    theirs.write_bytes(b"theirs")
    limner_cli("save", job_id, "--to", str(tmp_path), code=7)
    assert theirs.read_bytes() == b"theirs"
    limner_cli("save", job_id, "--to", str(tmp_path), "--overwrite")
    assert theirs.read_bytes() == PNG


def test_a_job_without_images_ends_as_a_wait_does(
    limner_cli: Run, valkey_url: str, job_id: str, tmp_path: Path
) -> None:
    with Limner(valkey_url) as limner:
        queued, cancelled = limner.submit("a hare"), limner.submit("a hen")
        cancelled.cancel()
    [told] = limner_cli("save", cancelled.id, "--to", str(tmp_path), code=1)
    assert (told["state"], told["error"]["type"]) == ("cancelled", "Cancelled")
    told = limner_cli("save", queued.id, job_id, "--to", str(tmp_path), code=3)
    assert [each["job_id"] for each in told] == [job_id]
    assert limner_cli("save", "nobody", "--to", str(tmp_path), code=4) == []


def test_a_wrong_setting_ends_with_2(
    limner_cli: Run, job_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_COPY_MAX_MB", "many")
    assert limner_cli("save", job_id, "--to", str(tmp_path), code=2) == []


def start(url: str, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "limner", "--redis-url", url, *arguments],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def test_ctrl_c_leaves_no_part_of_an_image(
    valkey_url: str, job_id: str, server: Files, tmp_path: Path
) -> None:
    server.held_up.add("/2")
    process = start(valkey_url, "save", job_id, "--to", str(tmp_path))
    eventually(lambda: any(name.endswith(".part") and "-2." in name for name in listing(tmp_path)))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert listing(tmp_path) == [f"{job_id}-1.png"]


def test_a_terminal_shows_a_bar_while_bytes_come_and_a_pipe_gets_the_files(
    valkey_url: str, job_id: str, server: Files, tmp_path: Path
) -> None:
    server.held_up.add("/2")
    watched, terminal = pty.openpty()
    process = start(valkey_url, "save", job_id, "--to", str(tmp_path), stderr=terminal)
    os.close(terminal)
    seen = b""

    def drawn() -> bool:
        nonlocal seen
        if select.select([watched], [], [], 0)[0]:
            with contextlib.suppress(OSError):  # Linux says so when the other end is closed
                seen += os.read(watched, 65_536)
        return b"saving images" in seen and b"kB" in seen

    eventually(drawn)
    server.released.set()
    out, _ = process.communicate(timeout=PATIENCE)
    os.close(watched)
    assert (process.returncode, out.decode().splitlines()) == (
        0,
        [str(tmp_path / name) for name in listing(tmp_path)],
    )


def test_a_terminal_that_programs_read_shows_no_bar(valkey_url: str, job_id: str, tmp_path: Path) -> None:
    watched, terminal = pty.openpty()
    process = start(valkey_url, "--json", "save", job_id, "--to", str(tmp_path), stderr=terminal)
    out, _ = process.communicate(timeout=PATIENCE)
    assert len(json.loads(out)["paths"]) == 2
    assert not select.select([watched], [], [], 0)[0]
    os.close(terminal)
    os.close(watched)
