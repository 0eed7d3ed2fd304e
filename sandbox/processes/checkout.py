"""Where the sandbox is, for the processes that it starts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

__all__ = ["with_checkout"]

_CHECKOUT: Final = Path(__file__).parents[2]


def with_checkout(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment in which ``python -m sandbox`` runs from any folder: it is not installed."""
    paths = [str(_CHECKOUT), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}
