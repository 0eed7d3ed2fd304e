"""Celery's side of a fleet: the broker and the result backend, tried with a message and a result."""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from celery import Celery

from config import Settings
from config.settings import is_rabbitmq
from limner._redis import parse
from worker.health.findings import Finding, fail, ok
from worker.health.rabbitmq_checks import check_rabbitmq

PATIENCE: Final = 5.0
_NO_RETRIES: Final = {"max_retries": 0, "interval_start": 0, "interval_step": 0, "interval_max": 0}


def place(url: str) -> str:
    """The address in a URL, without credentials."""
    # A RabbitMQ may have several addresses.
    parts = urlsplit(url.split(";")[0])
    with suppress(ValueError):
        return str(parse(url))
    return f"{parts.hostname or parts.path}{f':{parts.port}' if parts.port else ''}"


def check_broker(settings: Settings, app: Celery) -> Iterator[Finding]:
    """Send a message to a queue of its own, and take it."""
    name = f"limner-doctor-{secrets.token_hex(8)}"
    where = place(settings.broker_url)
    if is_rabbitmq(settings.broker_url):
        yield from check_rabbitmq(settings, app, where)
        return
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
            with connection.SimpleBuffer(name) as queue:
                try:
                    queue.put({})
                    queue.get(timeout=PATIENCE)
                finally:
                    queue.queue.delete()
    except Exception as error:
        yield _away("broker", "LIMNER_BROKER_URL", where, error)
    else:
        yield ok("broker", f"{where} takes messages")


def check_backend(settings: Settings, app: Celery) -> Iterator[Finding]:
    """Store a result, read it and delete it."""
    name = f"limner-doctor-{secrets.token_hex(8)}"
    where = place(settings.result_url)
    # By default, a backend that is away is tried for minutes.
    app.conf.result_backend_transport_options = {"retry_policy": _NO_RETRIES}
    backend: Any = app.backend
    try:
        backend.store_result(name, None, "SUCCESS")
        state = backend.get_state(name)
        backend.forget(name)
    except Exception as error:
        yield _away("results", "LIMNER_RESULT_URL", where, error)
        return
    if state == "SUCCESS":
        yield ok("results", f"{where} keeps results")
    else:
        yield fail("results", f"LIMNER_RESULT_URL: {where} has lost a result at once", "see its log")


def _away(check: str, setting: str, where: str, error: Exception) -> Finding:
    # Messages of foreign libraries may quote a whole URL.
    kind = type(error.__cause__ or error).__name__
    return fail(check, f"{setting}: {where} cannot be used ({kind})", "check the URL, and that it runs")
