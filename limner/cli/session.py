"""The frame of all commands: the Redis, the output, and the end of a command in an error."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import redis
import typer

from limner._redis import check_url
from limner.cli.exits import ExitCode
from limner.cli.output import Output
from limner.client import Limner
from limner.configuration import prefix_of_env
from limner.errors import ConfigurationError, LimnerError, RecordUnreadable, UnknownJob, WaitTimeout
from limner.job import Job

RedisUrl = Annotated[
    str | None,
    typer.Option("--redis-url", help="The fleet's Redis; LIMNER_REDIS_URL by default.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object a line, errors too.")]


@dataclass(frozen=True, slots=True)
class Globals:
    """The options given before the command's name."""

    redis_url: str | None
    as_json: bool


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command. ``redis_url`` and ``prefix`` have been checked."""

    redis_url: str
    prefix: str
    out: Output

    def client(self, **options: Any) -> Limner:
        """A client of the fleet."""
        return Limner(self.redis_url, prefix=self.prefix, **options)

    def each(self, job_ids: Iterable[str], act: Callable[[Job], ExitCode]) -> ExitCode:
        """Act on each job; what is wrong with one does not keep the others from their turn."""
        worst = ExitCode.OK
        with self.client() as limner:
            for job_id in job_ids:
                try:
                    code = act(limner.get(job_id))
                except (UnknownJob, RecordUnreadable, WaitTimeout) as error:
                    code = self.out.error(error, job_id=job_id)
                worst = max(worst, code)
        return worst


def checked_url(url: str | None) -> str:
    """The URL of a Redis; raises ConfigurationError with no part of it, as any part may be of a password."""
    if not url or not url.strip():
        raise ConfigurationError(
            "LIMNER_REDIS_URL: not set; it, or --redis-url, is the URL of the fleet's Redis"
        )
    return check_url(url, "LIMNER_REDIS_URL or --redis-url")


def command(body: Callable[..., ExitCode]) -> Callable[..., ExitCode]:
    """Make ``body(session, …)`` a command for Typer: with the shared options, and with errors printed."""

    def run(
        ctx: typer.Context, *, redis_url: RedisUrl = None, as_json: AsJson = False, **options: Any
    ) -> ExitCode:
        given: Globals = ctx.obj
        out = Output(as_json=as_json or given.as_json)
        try:
            return body(Session(checked_url(redis_url or given.redis_url), prefix_of_env(), out), **options)
        except (LimnerError, redis.RedisError) as error:
            return out.error(error)

    # Typer reads a command's options from its signature.
    context, *shared, _ = inspect.signature(run).parameters.values()
    _, *own = inspect.signature(body).parameters.values()
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (context, *own, *shared)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__name__, run.__doc__ = body.__name__, body.__doc__
    return run
