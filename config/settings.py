"""The settings: environment variables, ``.env``, and files in a folder of secrets, in this order.

Each is a variable with the prefix ``LIMNER_``. Durations are in seconds.
"""

import difflib
import os
import re
import tempfile
import warnings
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from config.accounts import MAIN, AccountName, AccountOptions, AccountSettings, Count, Seconds, checked_key

PREFIX: Final = "LIMNER_"
ENV_FILE: Final = ".env"
SECRETS_VARIABLE: Final = "LIMNER_SECRETS_DIR"
DEFAULT_SECRETS_DIR: Final = "/run/secrets"
OF_PRODUCERS: Final = frozenset({SECRETS_VARIABLE})

Credits = Annotated[Decimal, Field(gt=0, le=1_000_000_000, allow_inf_nan=False)]
RenderingSpeed = Literal["TURBO", "BALANCED", "QUALITY"]
UsualSeconds = Annotated[float, Field(ge=0.5, le=1800)]
LaneName = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class SettingsError(ValueError):
    """Settings are missing or wrong; each line of the message names a variable."""


class Settings(BaseSettings):
    """All settings of a fleet."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True, env_ignore_empty=True
    )

    redis_url: Annotated[str, Field(repr=False)]
    """The Redis of the ledger: redis://, rediss:// or unix://. It must be durable (AOF) and never evict."""
    broker_url: Annotated[str, Field(repr=False)] = ""
    """Celery's broker; by default the ledger's Redis."""
    result_url: Annotated[str, Field(repr=False)] = ""
    """Celery's result backend; by default the ledger's Redis."""
    redis_timeout_seconds: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    """What one call to Redis may take, also of a frozen server."""

    api_key: SecretStr | None = None
    """The provider's API key. Workers do not start without it, or ``accounts``."""
    accounts: dict[AccountName, AccountOptions] = {}
    """Several accounts instead of the one of ``api_key``, by name; each may have limits of its own. Jobs go
    to the one with the most room, or to the one they name."""
    api_url: str = "https://api.kie.ai"
    request_timeout_seconds: Annotated[float, Field(ge=1, le=300)] = 20.0
    """What one request to the provider may take in all. It answers a createTask within a second, usually;
    giving up early on one that was accepted is what makes a job doubtful."""

    rate_requests: Count = 20
    rate_seconds: Seconds = 10.0
    """kie.ai takes 20 new tasks in 10 s from an account, and refuses the rest."""
    rate_margin_seconds: Annotated[float, Field(ge=0, le=5)] = 0.25
    """By how much the window is widened at first, so that requests which travel at different speeds still fit
    it. How much it takes is learned: less while all goes well, more after a 429."""
    reads_per_second: Count = 10
    """kie.ai answers 10 status reads a second to a key."""
    max_in_flight: Count = 100
    """How many tasks may be in the provider's hands at once."""
    usual_seconds: dict[RenderingSpeed, UsualSeconds] = {}
    """What a task is assumed to take, by rendering speed, until it is learned; 8, 16 and 30 if not set."""
    pause_seconds: Seconds = 60.0
    """For how long nothing is sent when the provider is in maintenance (455), when credits are missing (402,
    433), or when it refuses the key (401). Then one request is tried; if it meets the same, twice as long."""
    pause_max_seconds: Seconds = 900.0
    """The longest such pause. After a 429 it is ``backoff_seconds`` to ``backoff_max_seconds``."""

    credits_per_day: Credits | None = None
    """How many credits may be spent on a day (UTC)."""
    credits_per_lane_day: dict[LaneName, Credits] = {}
    """How many a lane may spend on a day, by its name; ``*`` is each lane that is not named."""
    over_budget: Literal["wait", "refuse"] = "wait"
    """What becomes of a job that would break a cap: it waits for the next day, or fails with OverBudget."""

    callback_url: str = ""
    """Where the provider reaches ``worker.callbacks:app``, without the /callbacks/… that follows. Empty:
    results are learned by polling alone, and an attempt in doubt cannot be resolved by itself."""
    callback_hmac_key: SecretStr | None = None
    """The key with which the account signs its callbacks, if that is switched on there."""
    callback_patience_seconds: Seconds = 60.0
    """With callbacks, how long a task is left alone before the first poll for a lost one, and how long an
    attempt that met a server fault waits, in case a callback says that it was accepted all the same."""
    in_doubt: Literal["fail", "hold", "resubmit"] = "fail"
    """What becomes of an attempt in doubt that no callback resolves: the job fails, a person decides, or it
    is sent again, once, at the risk of paying twice."""
    in_doubt_seconds: Seconds = 900.0
    """How long a callback may take to resolve a doubt. Without a callback URL, nothing is waited for."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 8
    """How often a request that the provider refuses for now is sent in all."""
    backoff_seconds: Seconds = 2.0
    """The longest wait after the first refusal; it doubles with each further one."""
    backoff_max_seconds: Seconds = 60.0
    job_deadline_seconds: Seconds = 900.0
    """How long a job may take from its first attempt on. The longest task on record took 786 s."""
    late_result_seconds: Annotated[float, Field(ge=0, le=10_000_000)] = 86_400.0
    """For how long the paid task of a job that has ended without it is polled, ever more rarely. The
    provider keeps results for a day at least."""
    durability: Literal["server", "disk", "replica"] = "server"
    """What an attempt waits for before its request is sent: what the server's appendfsync says, the server's
    disk, or also a replica's (WAITAOF of Redis 7.2 and Valkey)."""
    result_ttl_seconds: Seconds = 86_400.0
    """How long a job's result and record are kept after its end."""
    idempotency_seconds: Seconds = 86_400.0
    """How long after a job's end its idempotency key still leads to it, for the jobs that beat submits."""

    concurrency: Annotated[int, Field(ge=1, le=1000)] = 32
    """Threads of a worker process."""
    schedule_file: Path = Path("config/schedule.toml")
    """What beat submits, and when."""
    heartbeat_file: Path = Path(tempfile.gettempdir()) / "limner-heartbeat"
    """What a worker touches while it takes tasks; the health check reads its age."""

    @model_validator(mode="after")
    def _defaults(self) -> Self:
        # Frozen for everybody else: these two defaults are another setting's value.
        for name in ("broker_url", "result_url"):
            object.__setattr__(self, name, celery_url(getattr(self, name) or self.redis_url))
        if self.backoff_max_seconds < self.backoff_seconds:
            raise ValueError(f"{PREFIX}BACKOFF_MAX_SECONDS: is less than {PREFIX}BACKOFF_SECONDS")
        if self.pause_max_seconds < self.pause_seconds:
            raise ValueError(f"{PREFIX}PAUSE_MAX_SECONDS: is less than {PREFIX}PAUSE_SECONDS")
        if self.accounts and self.api_key:
            raise ValueError(f"{PREFIX}API_KEY: has no use beside {PREFIX}ACCOUNTS: drop one")
        return self

    def all_accounts(self) -> Mapping[str, AccountSettings]:
        """Every account with its limits and key, by name; raises SettingsError, which names what is wrong.

        A process that has neither a key nor accounts has none.
        """
        if not self.accounts:
            return {} if self.api_key is None else {MAIN: self._account(self.api_key.get_secret_value())}
        found = {}
        for name, options in self.accounts.items():
            try:
                key = checked_key(options.read_key(secrets_folder()))
            except ValueError as error:
                raise SettingsError(f"{PREFIX}ACCOUNTS: {name}: key: {error}") from None
            found[name] = self._account(key, options)
        if len({account.api_key.get_secret_value() for account in found.values()}) < len(found):
            raise SettingsError(f"{PREFIX}ACCOUNTS: two accounts have the same key")
        return found

    def _account(self, key: str, options: AccountOptions | None = None) -> AccountSettings:
        limits = ("rate_requests", "rate_seconds", "reads_per_second", "max_in_flight")
        own = {name: getattr(options, name, None) for name in limits}
        return AccountSettings(
            api_key=SecretStr(key),
            **{name: getattr(self, name) if value is None else value for name, value in own.items()},
        )

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, url: str) -> str:
        url = _url(url, {"redis", "rediss", "unix"})
        parts = urlsplit(url)
        database = parts.path.strip("/")
        # For a name that is not a number redis-py would silently take database 0.
        if parts.scheme != "unix" and database and not database.isdecimal():
            raise ValueError("the database after the host must be a number, such as /0")
        return url

    @field_validator("broker_url", "result_url")
    @classmethod
    def _celery_url(cls, url: str) -> str:
        # Celery speaks to more than Redis, so only what no URL can lack is asked for.
        if url and not (_parts(url).scheme and "://" in url):
            raise ValueError("is not a URL")
        if url.startswith("sentinel://"):
            # kombu's Sentinel transport is another class, with the fault that worker/transport.py mends.
            raise ValueError("Redis Sentinel is not available in this version")
        return url

    @field_validator("api_url")
    @classmethod
    def _api_url(cls, url: str) -> str:
        return _url(url, {"http", "https"}).rstrip("/")

    @field_validator("callback_url")
    @classmethod
    def _callback_url(cls, url: str) -> str:
        if not url:
            return url
        parts = urlsplit(_url(url, {"http", "https"}))
        if parts.query or parts.fragment or parts.username is not None:
            raise ValueError("must have no credentials, query or fragment")
        if not url.isascii() or not url.isprintable() or " " in url:
            raise ValueError("must be printable ASCII without spaces")
        return url.rstrip("/")

    @field_validator("callback_hmac_key")
    @classmethod
    def _hmac_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None:
            return None
        if not key.get_secret_value().strip():
            raise ValueError("is blank")
        return SecretStr(key.get_secret_value().strip())

    @field_validator("api_key")
    @classmethod
    def _api_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is None:
            return None
        return SecretStr(checked_key(key.get_secret_value()))


def celery_url(url: str) -> str:
    """The same place in Celery's words, which differ from redis-py's for two schemes.

    A unix socket has a scheme of its own. And to ``rediss://`` without ``ssl_cert_reqs`` the broker's side
    would connect without polling the certificate, and the result backend not at all (Celery 5.7).
    """
    parts = urlsplit(url)
    if parts.scheme == "unix":
        database = next((pair[3:] for pair in parts.query.split("&") if pair.startswith("db=")), "0")
        return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"
    if parts.scheme == "rediss" and "ssl_cert_reqs=" not in parts.query:
        query = "&".join(filter(None, [parts.query, "ssl_cert_reqs=required"]))
        return parts._replace(query=query).geturl()
    return url


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # a port that is no number is found out only when it is read
    except ValueError:
        raise ValueError("is not a URL") from None
    return parts


def _url(url: str, schemes: set[str]) -> str:
    parts = _parts(url)
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(sorted(scheme + '://' for scheme in schemes))}")
    if not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise ValueError("names no host" if parts.scheme != "unix" else "names no socket")
    return url


def secrets_folder() -> Path:
    """Where files of secrets are, whether or not there is such a folder."""
    return Path(os.environ.get(SECRETS_VARIABLE) or DEFAULT_SECRETS_DIR)


def load() -> Settings:
    """The settings of this process; raises SettingsError, which names each variable that is wrong."""
    chosen = os.environ.get(SECRETS_VARIABLE)
    folder = secrets_folder()
    if chosen and not folder.is_dir():
        raise SettingsError(f"{SECRETS_VARIABLE}: there is no folder {folder}")
    secrets = folder if folder.is_dir() else None
    try:
        _warn_of_misspellings(_names(secrets))
        return Settings(_secrets_dir=secrets)
    except ValidationError as error:
        raise SettingsError("\n".join(_line(fault) for fault in error.errors())) from None
    except (OSError, UnicodeDecodeError, SourceError) as error:
        raise SettingsError(_unreadable(error, folder)) from None


def _line(fault: Any) -> str:
    # The value itself is left out: it may be a secret, or hold one.
    name = ".".join(str(part) for part in fault["loc"])
    variable = PREFIX + name.removeprefix(PREFIX.lower()).upper() if name else ""
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "missing":
        message = "not set"
    return f"{variable}: {message}" if variable else message


def _unreadable(error: BaseException, folder: Path) -> str:
    cause = error.__cause__ if isinstance(error, SourceError) else error
    if isinstance(cause, OSError):
        # A container's user is often not the owner of the secrets that are mounted into it.
        return f"{cause.filename or folder}: cannot be read ({cause.strerror})"
    if isinstance(cause, UnicodeDecodeError):
        return f"{ENV_FILE} or a file in {folder} is not UTF-8"
    # The value itself may hold a secret; what is wrong with it is always the same.
    field = re.search(r'field "(\w+)"', str(error))
    return f"{PREFIX}{field[1].upper()}: must be JSON" if field else str(error)


def _names(secrets: Path | None) -> set[str]:
    files = [path.name for path in secrets.iterdir()] if secrets else []
    return {*os.environ, *dotenv_values(ENV_FILE), *(name.upper() for name in files)}


def _warn_of_misspellings(names: Iterable[str]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | OF_PRODUCERS
    for name in sorted(names):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            warnings.warn(f"{name}: there is no such setting{hint}", stacklevel=3)
