"""``doctor``: the examination of a whole fleet, with the fleet's own packages."""

import importlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import typer

from limner.cli.exits import ExitCode
from limner.cli.output import Output
from limner.cli.session import AsJson, Globals, RedisUrl
from limner.errors import ConfigurationError

_EXAMINATION: Final = "worker.health.doctor"
"""The module is loaded by its name at run time: the package that backends install does not contain it."""


def doctor(ctx: typer.Context, *, redis_url: RedisUrl = None, as_json: AsJson = False) -> ExitCode:
    """Check settings, Redis, the provider's accounts, and the way of callbacks.

    Run it where a worker runs, with the same settings. It costs nothing. Each line says what was found, and
    what to do.
    """
    given: Globals = ctx.obj
    out = Output(as_json=as_json or given.as_json)
    if url := redis_url or given.redis_url:
        # The examination reads the settings as a worker does, and the environment precedes a file.
        os.environ["LIMNER_REDIS_URL"] = url
    worst = ExitCode.OK
    try:
        for finding in _examine():
            verdict = str(finding.verdict)
            advice = f"; {finding.advice}" if finding.advice else ""
            line = f"{verdict:4}  {finding.check:9}  {finding.found}{advice}"
            out.say(asdict(finding), line, mood=verdict)
            if verdict == "fail":
                code = ExitCode.BAD_INPUT if finding.check == "settings" else ExitCode.JOB_FAILED
                worst = max(worst, code)
    except ConfigurationError as error:
        return out.error(error)
    return worst


def _examine() -> Iterator[Any]:
    try:
        module = importlib.import_module(_EXAMINATION)
    except ImportError as error:
        raise ConfigurationError(
            f"doctor needs the fleet's packages, and {error.name} is missing here: run it where a worker runs"
        ) from error
    findings: Iterator[Any] = module.examine()
    return findings
