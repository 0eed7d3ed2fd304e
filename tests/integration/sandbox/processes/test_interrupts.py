"""Signals, which end a program wherever they arrive."""

import signal
import subprocess
import sys

import pytest

from sandbox.local.fleet import CHECKOUT

PROGRAM = """
import signal, sys, time
from sandbox.processes.interrupts import Interrupted, interruptible

class Dying:
    def __del__(self):
        signal.raise_signal(signal.{name})
        for _ in range(1000):
            pass

try:
    with interruptible():
        {place}
        time.sleep(60)
except Interrupted as interrupted:
    print("ended by", interrupted, flush=True)
    sys.exit(interrupted.exit_code)
"""


@pytest.mark.parametrize(
    "place", ["Dying()", "signal.raise_signal(signal.{name})"], ids=["finalizer", "body"]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_program_wherever_it_arrives(place: str, number: signal.Signals) -> None:
    program = PROGRAM.replace("{place}", place).replace("{name}", number.name)
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, timeout=30, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (128 + number, f"ended by {number.name}\n", "")
