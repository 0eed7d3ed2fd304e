"""The runtime of the tasks. ``celery -A worker worker`` and ``celery -A worker beat`` find the app here."""

import sys
from pathlib import Path
from typing import Any

__all__ = ["app"]

# The celery command puts the checkout on the path while it looks for the app, and takes it off again.
sys.path.append(str(Path(__file__).parent.parent))


def __getattr__(name: str) -> Any:
    # Made on first use, so that a health check does not load Celery.
    if name == "app":
        from worker.main import app

        return app
    raise AttributeError(name)
