"""Celery's Redis result backend over the connections of :mod:`limner._redis`.

So the URL of the results has the dialect of all our URLs, and a server that cannot serve is a lost
connection.
"""

from typing import Any, Final, cast

from celery.backends.redis import RedisBackend

from limner._redis import make_pool, parse

__all__ = ["NAME", "Backend"]

NAME: Final = f"{__name__}:Backend"
"""The name by which Celery finds it."""


class Backend(RedisBackend):
    """The result backend of an app with settings (:class:`worker.application.Application`)."""

    def _get_pool(self, **_: Any) -> Any:
        settings = cast("Any", self).app.settings
        return make_pool(parse(settings.result_url), timeout=settings.redis_timeout_seconds, decode=False)
