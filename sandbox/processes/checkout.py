"""The environment with which child processes find the sandbox."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["CHECKOUT", "with_checkout"]

CHECKOUT: Final = Path(__file__).resolve().parents[2]


def with_checkout(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment with the checkout on PYTHONPATH, because the sandbox is not installed."""
    paths = [str(CHECKOUT), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}
