"""What the tasks run on. ``celery -A worker worker`` and ``celery -A worker beat`` find the app here."""

from typing import Any

__all__ = ["app"]


def __getattr__(name: str) -> Any:
    # Made on first use: a health check need not pay for loading Celery.
    if name == "app":
        from worker.application import app

        return app
    raise AttributeError(name)
