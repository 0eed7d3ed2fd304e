"""The second client as a process, against the stand-in."""

import json
import subprocess
import sys

import pytest

from sandbox.kie.server import SandboxProvider
from sandbox.rival.process import Rival, RivalDied
from tests.integration.sandbox.conftest import client_of, create, until
from tests.repository import ROOT


def test_a_rival_spends_its_share_evenly_and_ends_by_itself(provider: SandboxProvider) -> None:
    with Rival(provider.url, share=0.5, creates=20, window=1.0, seconds=0.5) as outside:
        summary = outside.wait(30)
    assert (summary["sent"], summary["accepted"], summary["refused"]) == (5, 5, 0)
    assert not outside.running
    arrivals = [call["at_ms"] for call in provider.calls()]
    assert arrivals[-1] - arrivals[0] >= 200  # four intervals of 100 ms, less the delay of the first
    assert all(row["input"]["prompt"].startswith("outside ") for row in provider.ledger())
    assert provider.summary()["bought_more_than_once"] == 0


def test_refusals_because_of_other_spenders_are_counted() -> None:
    with SandboxProvider(creates=3, window_seconds=600) as provider:
        with client_of(provider) as inside:
            assert create(inside, "inside")["code"] == 200
        with Rival(provider.url, share=1.0, creates=20, window=1.0, seconds=0.25) as outside:
            summary = outside.wait(30)
        assert provider.summary()["calls"]["createTask"] == {"200": 3, "429": 3}
    assert (summary["accepted"], summary["refusals"]) == (2, {"429": 3})


def test_a_stop_keeps_the_summary(provider: SandboxProvider) -> None:
    with Rival(provider.url, share=1.0, creates=20, window=1.0, seconds=600) as outside:
        until(lambda: provider.summary()["created"] >= 2)
        with pytest.raises(RivalDied):
            outside.summary()
    assert outside.summary()["accepted"] == provider.summary()["created"] >= 2


def test_prompts_differ_between_runs(provider: SandboxProvider) -> None:
    for _ in range(2):
        with Rival(provider.url, share=1.0, creates=1, window=0.1, seconds=0.1) as outside:
            outside.wait(30)
    assert provider.summary()["distinct_inputs"] == provider.summary()["created"] == 2


def test_an_invalid_plan_is_refused_before_a_process_starts() -> None:
    with pytest.raises(ValueError, match="share"):
        Rival("http://127.0.0.1:1", share=2.0)


def test_the_command_prints_its_summary(provider: SandboxProvider) -> None:
    command = [sys.executable, "-m", "sandbox", "rival", "--url", provider.url, "--key", "stolen"]
    plan = ["--share", "0.5", "--creates", "20", "--window", "1", "--seconds", "0.2"]
    run = subprocess.run([*command, *plan], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(run.stdout) == {
        "sent": 2,
        "accepted": 0,
        "refused": 2,
        "refusals": {"401": 2},
        "unanswered": 0,
        "interval": 0.1,
    }
