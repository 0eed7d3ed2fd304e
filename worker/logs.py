"""The log of a process of the fleet: no secrets, and none of Celery's lines on each step."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from config import Settings
from config.settings import secrets_folder
from limner._redaction import redact_extra, redact_said
from worker.outages import Fold, outage

_EACH_STEP: Final = ("celery.worker.strategy", "celery.app.trace")
"""The loggers that write two lines on each step at INFO: received, and succeeded."""
_PASSWORD: Final = 8
"""Characters. A shorter password of a Redis is hidden only in its URL: it may be a word of any text."""


def quieten(*, loglevel: int, **_: Any) -> None:
    """Leave out Celery's two lines on each step, unless the level is DEBUG. Warnings and failures stay.

    The lines of the job itself say more, and Celery's cost 5 to 9 % of a worker's CPU. This is connected to
    ``after_setup_logger``. Celery reads the levels later, when it builds its tasks, and then does not even
    format the lines.
    """
    if loglevel > logging.DEBUG:
        for name in _EACH_STEP:
            logging.getLogger(name).setLevel(max(loglevel, logging.WARNING))


def hide_secrets(settings: Settings) -> None:
    """Keep the secrets of these settings, and all tokens of callback URLs, out of this process's log.

    It holds for every logger of every library from now on, at every level: the records themselves have no
    secrets in their messages, arguments and tracebacks. Fields that a library adds to a record are covered
    by :func:`cover_handlers`.
    """
    made = logging.getLogRecordFactory()
    secrets = secrets_of(settings)
    if isinstance(made, Redacting):
        made, secrets = made.made, (*made.secrets, *secrets)
    logging.setLogRecordFactory(Redacting(made, tuple(dict.fromkeys(secrets))))
    cover_handlers()


def cover_handlers(**_: Any) -> None:
    """Hide the secrets in the fields that libraries add to log records, for all handlers that there are.

    This is connected to the signals of Celery's handlers as well.
    """
    made = logging.getLogRecordFactory()
    if not isinstance(made, Redacting):
        return
    for handler in _handlers():
        for known in [known for known in handler.filters if isinstance(known, HideExtra)]:
            handler.removeFilter(known)
        handler.addFilter(HideExtra(made.secrets))


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """The API keys, the key of the callbacks, and the passwords of the settings."""
    keys = [settings.api_key, settings.callback_hmac_key]
    found = [key.get_secret_value() for key in keys if key is not None]
    for options in settings.accounts.values():
        # A receiver may have no file of a key. A worker does not start without it.
        with contextlib.suppress(ValueError):
            found.append(options.read_key(secrets_folder()).strip())
    # A RabbitMQ may have several addresses.
    urls = (settings.redis_url, *settings.broker_url.split(";"), settings.result_url)
    for password in [password for url in urls for password in _passwords(url)]:
        found += [text for text in (password, unquote(password)) if len(text) >= _PASSWORD]
    return tuple(dict.fromkeys(found))


def _passwords(url: str) -> list[str]:
    parts = urlsplit(url)
    given = [value for name, value in parse_qsl(parts.query) if name.endswith("password")]
    return [*filter(None, [parts.password]), *given]


@dataclass(frozen=True, slots=True)
class Redacting:
    """Makes log records without secrets."""

    made: Any
    """The factory of the records."""
    secrets: tuple[str, ...]

    def __repr__(self) -> str:
        """The name alone: the secrets are no text for anybody."""
        return "Redacting(…)"

    def __call__(self, *arguments: Any, **options: Any) -> logging.LogRecord:
        """Make a record."""
        record: logging.LogRecord = self.made(*arguments, **options)
        redact_said(record, self.secrets)
        return record


def fold_outages(**_: Any) -> None:
    """Have the handlers leave out what the libraries say of an outage, which the process tells itself.

    This is connected to the signals of Celery's handlers as well.
    """
    for handler in _handlers():
        if not any(isinstance(known, Fold) for known in handler.filters):
            handler.addFilter(Fold(outage))


class HideExtra(logging.Filter):
    """Hides secrets in the fields that a library has added to a record after it was made."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        super().__init__()
        self._secrets = secrets

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; it is always logged."""
        redact_extra(record, self._secrets)
        return True


def _handlers() -> Iterator[logging.Handler]:
    loggers = [logging.getLogger(), *logging.getLogger().manager.loggerDict.values()]
    for logger in loggers:
        if isinstance(logger, logging.Logger):
            yield from logger.handlers
