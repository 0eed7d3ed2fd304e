"""A producer of plain Celery messages that runs in an environment of its own, with or without our code.

It takes calls as a JSON list on standard input, and prints what became of each as a JSON list.
"""

import json
import sys
import time
from typing import Any

import celery
from celery import Celery

try:
    from limner import Limner, errors
except ImportError:
    Limner = errors = None  # type: ignore[assignment,misc]

PATIENCE = 45.0
"""Seconds in which all results must be there."""


def app_of(url: str, settings: dict[str, Any]) -> Celery:
    """An app with default settings, except for these."""
    app = Celery("shop", broker=url, backend=url)
    app.conf.update(settings)
    return app


def sent(app: Celery, call: dict[str, Any]) -> Any:
    """Send a call."""
    options = dict(call["options"])
    if "link" in options:
        options["link"] = app.signature(options["link"], queue="shop")
    return app.send_task("limner.create_task", kwargs=call["kwargs"], queue="limner", **options)


def outcome(result: Any, timeout: float) -> dict[str, Any]:
    """The findings about an AsyncResult."""
    told: dict[str, Any] = {"id": result.id, "got": None, "raised": None, "ours": False}
    try:
        told["got"] = result.get(timeout=timeout)
    except Exception as error:  # whatever it raises is the finding
        told["ours"] = errors is not None and isinstance(error, errors.LimnerError)
        told["raised"] = [type(error).__name__, str(error)]
    try:
        told["state"] = result.state
        told["children"] = [child.id for child in result.children or ()]
    except Exception:  # an app that cannot read the result cannot read its state
        told["state"] = told["children"] = None
    return told


def main(url: str) -> None:
    """Send all calls, and then wait for their results."""
    calls = json.load(sys.stdin)
    apps = {str(call["settings"]): app_of(url, call["settings"]) for call in calls}
    results = [sent(apps[str(call["settings"])], call) for call in calls]
    deadline = time.monotonic() + PATIENCE
    outcomes = [outcome(result, max(0.1, deadline - time.monotonic())) for result in results]
    submitted = None
    if Limner is not None:
        with Limner(url) as limner:
            submitted = outcome(app_of(url, {}).AsyncResult(limner.submit("a red kite").id), PATIENCE)
    report = {"celery": celery.__version__, "outcomes": outcomes, "submitted": submitted}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
