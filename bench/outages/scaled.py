"""The settings of the fleets that meet outages: the usual ones, with every time divided by the scale."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.checkout import CHECKOUT

CREATES: Final = 20
WINDOW: Final = 10.0
TASK_SECONDS: Final = 10.0
"""The duration of every task."""
ANSWER_SECONDS: Final = 0.4
"""The time that an answer to createTask takes."""

_TIMES: Final = (
    "rate_seconds",
    "pause_seconds",
    "pause_max_seconds",
    "callback_patience_seconds",
    "in_doubt_seconds",
    "images_seconds",
    "backoff_seconds",
    "backoff_max_seconds",
    "job_deadline_seconds",
    "request_timeout_seconds",
)
_DEFAULTS: Final = f"""
import json
from config.settings import Settings
fields = Settings.model_fields
print(json.dumps({{name: fields[name].default for name in {_TIMES} if name in fields}}))
"""


def settings(scale: float, checkout: Path = CHECKOUT) -> dict[str, str]:
    """LIMNER_* variables: the defaults of the version in ``checkout``, faster by the scale."""
    answer = subprocess.run(
        [sys.executable, "-P", "-c", _DEFAULTS],
        env=environment(checkout),
        capture_output=True,
        check=True,
        text=True,
    )
    times: Mapping[str, float] = json.loads(answer.stdout)
    scaled = {f"LIMNER_{name.upper()}": str(seconds / scale) for name, seconds in times.items()}
    usual = dict.fromkeys(("TURBO", "BALANCED", "QUALITY"), max(0.5, TASK_SECONDS / scale))
    # A time-out cannot be shorter than a second.
    scaled["LIMNER_REQUEST_TIMEOUT_SECONDS"] = str(max(1.0, times["request_timeout_seconds"] / scale))
    return {
        **scaled,
        "LIMNER_RATE_REQUESTS": str(CREATES),
        # The machine does not become faster with the clock, so requests travel at different speeds as before.
        "LIMNER_RATE_MARGIN_SECONDS": "0.1",
        "LIMNER_READS_PER_SECOND": str(round(10 * scale)),
        "LIMNER_USUAL_SECONDS": json.dumps(usual),
        "PYTHONPATH": str(checkout),
    }


def environment(checkout: Path) -> dict[str, str]:
    """The environment of a process that runs the version in ``checkout``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
    return {**inherited, "PYTHONPATH": str(checkout)}


def provider(scale: float, **options: Any) -> SandboxProvider:
    """A stand-in with the provider's limits, faster by the scale."""
    usual = {
        "creates": CREATES,
        "window_seconds": WINDOW / scale,
        "reads": round(10 * scale),
        "duration": TASK_SECONDS / scale,
        "create_latency": ANSWER_SECONDS / scale,
        "callback_spacing": 2.0 / scale,
    }
    return SandboxProvider(**{**usual, **options})


def fleet(
    scale: float,
    *,
    callbacks: bool,
    checkout: Path = CHECKOUT,
    own: Mapping[str, str] | None = None,
    workers: int = 1,
    **options: Any,
) -> LocalFleet:
    """A fleet of the version in ``checkout``, with a stand-in of this one. ``own`` are more settings."""
    return LocalFleet(
        workers=workers,
        callbacks=callbacks,
        settings={**settings(scale, checkout), **(own or {})},
        provider=provider(scale, **options),
        valkey=EmbeddedValkey(aof=True),
    )
