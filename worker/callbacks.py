"""The callback receiver as a process of its own: ``uvicorn worker.callbacks:app``.

The receiver needs Redis and LIMNER_CALLBACK_URL. It needs neither Celery nor the provider's key.
"""

import logging
import sys
from typing import Final
from urllib.parse import unquote, urlsplit

import redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from config import Settings, SettingsError, load
from limner._redis import connect, store_errors
from limner.callbacks import Receiver
from limner.callbacks.asgi import PATH, route
from limner.errors import LimnerError, StoreUnavailable
from limner.ledger import Ledger
from worker.logs import hide_secrets

LOG_FORMAT: Final = "[%(asctime)s: %(levelname)s/%(name)s] %(message)s"


def make_app(settings: Settings) -> Starlette:
    """Make the application from the settings."""
    client = connect(settings.redis_url, timeout=settings.redis_timeout_seconds)
    receiver = Receiver(Ledger(client, prefix=settings.prefix), settings.callback_hmac_key)

    def health(_request: Request) -> Response:
        try:
            with store_errors(client):
                client.ping()
        except (StoreUnavailable, redis.RedisError) as error:
            return PlainTextResponse(f"{error}\n", 503, {"Retry-After": "10"})
        return PlainTextResponse("ok\n")

    # A proxy in front may keep or remove the path of the public URL.
    prefixes = {"", unquote(urlsplit(settings.callback_url).path).rstrip("/")}
    return Starlette(
        routes=[
            Route("/health", health),
            # The longer path comes first. A job's id may contain slashes, so the shorter path matches the
            # longer one.
            *(route(receiver, prefix + PATH) for prefix in sorted(prefixes, reverse=True)),
        ]
    )


def load_app() -> Starlette:
    """The application of this process, from its environment; exits, naming the setting, if one is wrong."""
    logging.basicConfig(level=logging.INFO, format=LOG_FORMAT)
    try:
        settings = load()
        hide_secrets(settings)
        if not settings.callback_url:
            raise SettingsError(
                "LIMNER_CALLBACK_URL: not set; it is the address of this receiver as the provider sees it"
            )
        return make_app(settings)
    except (SettingsError, LimnerError) as error:
        # Read by the person who starts the process; a traceback would hide the variable's name.
        sys.exit(f"limner: the settings are wrong\n{error}")


def __getattr__(name: str) -> Starlette:
    # Made when uvicorn asks for it, so that this module can be imported without settings.
    if name == "app":
        return load_app()
    raise AttributeError(name)
