"""The settings: environment variables, ``.env``, and files in the secrets folder, in this order.

The name of each variable has the prefix ``LIMNER_``. Durations are in seconds.
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
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, StringConstraints, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as SourceError

from config import copying
from config.accounts import MAIN, AccountName, AccountOptions, AccountSettings, Count, Seconds, checked_key
from limner._redis import SCHEMES, Kind, parse

PREFIX: Final = "LIMNER_"
ENV_FILE: Final = ".env"
SECRETS_VARIABLE: Final = "LIMNER_SECRETS_DIR"
DEFAULT_SECRETS_DIR: Final = "/run/secrets"
OF_PRODUCERS: Final = frozenset({SECRETS_VARIABLE, "LIMNER_NAMESPACE"})

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
"""The names of fleets and queues. Clients check the same (``limner.configuration``)."""

Credits = Annotated[Decimal, Field(gt=0, le=1_000_000_000, allow_inf_nan=False)]
RenderingSpeed = Literal["TURBO", "BALANCED", "QUALITY"]
UsualSeconds = Annotated[float, Field(ge=0.5, le=1800)]
LaneName = Annotated[str, StringConstraints(min_length=1, max_length=97)]
"""A lane of 64 characters at most, or a namespace of 32, ``/`` and a lane."""


class SettingsError(ValueError):
    """Settings are missing or wrong; each line of the message names a variable."""


class Settings(BaseSettings):
    """All settings of a fleet."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", frozen=True, env_ignore_empty=True
    )

    redis_url: Annotated[str, Field(repr=False)]
    """The Redis of the ledger: redis://, rediss://, unix://, redis+sentinel://HOST,HOST/SERVICE/0 or
    redis+cluster://HOST,HOST. It must be durable (AOF) and never evict."""
    broker_url: Annotated[str, Field(repr=False)] = ""
    """Celery's broker; by default the ledger's Redis. It may be a RabbitMQ: amqp:// or amqps://, also several
    nodes of a cluster, separated by semicolons."""
    result_url: Annotated[str, Field(repr=False)] = ""
    """Celery's result backend; by default the ledger's Redis."""
    prefix: str = "limner"
    """The beginning of the names of everything that the fleet keeps in Redis. Two fleets with different
    prefixes can share a server. Producers need the same one."""
    queue: str = ""
    """The queue to which plain Celery producers send ``limner.create_task``; by default the prefix. The
    fleet's own steps are in another queue, ``PREFIX.steps``."""
    intake_queue_type: Literal["classic", "quorum"] = "classic"
    """The type of that queue on RabbitMQ, if there is none yet. Plain Celery producers declare it as
    classic, unless they are configured otherwise. The fleet's other queues are quorum queues."""
    remote_control: bool = False
    """True if workers obey Celery's remote control, which Flower's buttons use. Then everybody who can write
    to the broker has it."""
    redis_timeout_seconds: Annotated[float, Field(ge=0.1, le=60)] = 5.0
    """The time-out of one call to Redis, also for a server that hangs."""

    api_key: SecretStr | None = None
    """The provider's API key. Workers start only with this key or with ``accounts``."""
    accounts: dict[AccountName, AccountOptions] = {}
    """Several accounts by name, instead of the one of ``api_key``. Each may have limits of its own. A job
    goes to the account with the most capacity, or to the one that it names."""
    api_url: str = "https://api.kie.ai"
    request_timeout_seconds: Annotated[float, Field(ge=1, le=300)] = 20.0
    """The time-out of one request to the provider in all. It usually answers a createTask within a second. A
    shorter time-out puts more jobs in doubt: it gives up on requests that were accepted."""

    rate_requests: Count = 20
    rate_seconds: Seconds = 10.0
    """kie.ai takes 20 new tasks in 10 s from an account, and refuses the rest."""
    rate_margin_seconds: Annotated[float, Field(ge=0, le=5)] = 0.25
    """The initial margin: the time added to the window, so that requests which travel at different speeds
    still fit it. The fleet learns the margin: it shrinks while all goes well, and grows after a 429."""
    reads_per_second: Count = 10
    """kie.ai answers 10 status reads a second for each key."""
    max_in_flight: Count = 100
    """The most tasks that may be in flight at the provider at once."""
    usual_seconds: dict[RenderingSpeed, UsualSeconds] = {}
    """The assumed duration of a task, by rendering speed, until it is learned; 8, 16 and 30 if not set."""
    pause_seconds: Seconds = 5.0
    """The first pause of an account: in maintenance (455), for too many requests (429), when credits are
    missing (402, 433), when the key is refused (401), and for trouble on the way. Then one probe is sent; for
    401 and 402, the balance is read before. If it meets the same refusal, the pause is doubled."""
    pause_max_seconds: Seconds = 300.0
    """The longest such pause."""
    trouble_jobs: Annotated[int, Field(ge=1, le=20)] = 3
    """The number of jobs in a row that meet trouble on the way (no connection, no answer, a gateway's page, a
    server fault) before their account pauses. An acceptance in between starts the count anew."""

    credits_per_day: Credits | None = None
    """The most credits that may be spent on a day (UTC)."""
    credits_per_lane_day: dict[LaneName, Credits] = {}
    """The most credits that a lane may spend on a day, by its name; ``*`` is each lane that is not named."""
    over_budget: Literal["wait", "refuse"] = "wait"
    """The policy for a job that would break a cap: it waits for the next day, or fails with OverBudget."""

    callback_url: str = ""
    """The address at which the provider reaches ``worker.callbacks:app``, without the /callbacks/… that
    follows. If empty, results are learned by polls alone, and nothing resolves an attempt in doubt."""
    callback_hmac_key: SecretStr | None = None
    """The key with which the account signs its callbacks, if signing is switched on there."""
    callback_patience_seconds: Seconds = 60.0
    """With callbacks: the time before the first poll of a task whose callback may be lost. It is also the
    wait after a server fault, in which a callback may prove that the attempt was accepted all the same."""
    in_doubt: Literal["fail", "hold", "resubmit"] = "fail"
    """The policy for an attempt in doubt that no callback resolves: the job fails, a person decides, or the
    job is sent again, once, at the risk of paying twice."""
    in_doubt_seconds: Seconds = 900.0
    """The time in which a callback may resolve a doubt. Without a callback URL, the job does not wait."""

    max_attempts: Annotated[int, Field(ge=1, le=100)] = 8
    """The number of attempts in all, for whatever reason they are repeated. An attempt that was not sent, or
    that met a pause, does not count."""
    fault_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    """The number of attempts in all that may meet a server fault (500). The provider may have made a task for
    each, and charges it, so this is also the most that a job can cost, in attempts."""
    generation_attempts: Annotated[int, Field(ge=1, le=100)] = 2
    """The number of tasks in all that are bought for a job while they fail from transient faults. Failed
    tasks are not charged. A refusal by moderation is never repeated."""
    images_seconds: Annotated[float, Field(ge=0, le=86_400)] = 300.0
    """The time in which a task that has succeeded without an image that can be read is polled for its images,
    before its job fails with NoImages."""
    backoff_seconds: Seconds = 2.0
    """The longest wait after the first refusal; it doubles with each further refusal."""
    backoff_max_seconds: Seconds = 60.0
    job_deadline_seconds: Seconds = 900.0
    """The time from a job's first attempt to its deadline. The longest task on record took 786 s."""
    late_result_seconds: Annotated[float, Field(ge=0, le=10_000_000)] = 86_400.0
    """The time in which a job that has ended without its paid task is polled late, at growing
    intervals. The provider keeps results for a day at least."""
    durability: Literal["server", "disk", "replica"] = "server"
    """The copy that an attempt waits for before its request is sent: as the server's appendfsync says, on the
    server's disk, or on a replica's disk as well (WAITAOF of Redis 7.2 and Valkey)."""
    result_ttl_seconds: Seconds = 86_400.0
    """The time for which a job's result and record are kept after its end."""
    idempotency_seconds: Seconds = 86_400.0
    """The time after a job's end in which its idempotency key leads to it, for jobs that beat submits."""

    message_seconds: Annotated[float, Field(ge=900, le=10_000_000)] = 604_800.0
    """The time for which the id of a plain Celery message is remembered, so that the message buys nothing
    again. The broker delivers a message of a dead worker again after 400 s at most; a restored broker
    delivers whatever it had. A message that says that it is older is refused."""

    copy_to: str = ""
    """The place of copies of all paid images: file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or
    az://CONTAINER/PREFIX. If empty, nothing is copied. Credentials are not settings of ours: they come
    from where the cloud's own tools take them."""
    copy_name: str = "{date:%Y/%m/%d}/{job_id}/{number}.{ext}"
    """The name of a copy under the prefix. It may also hold {lane}, {sha256} and {task_id}. It is the
    same each time that an image is copied, so that a repetition replaces the copy by itself."""
    copy_url: str = ""
    """The base of the URLs at which consumers reach copies, such as a CDN's. By default it is the store's
    own, such as s3://BUCKET/PREFIX."""
    copy_endpoint: str = ""
    """The address of a store that is not the cloud's own, such as MinIO's or R2's: http:// or
    https://."""
    copy_region: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{0,64}$")] = ""
    """The region of the bucket, for s3://. By default it is AWS_REGION, AWS_DEFAULT_REGION or
    us-east-1."""
    copy_patience_seconds: Annotated[float, Field(ge=0, le=86_400)] = 30.0
    """The time that a job waits for its copies. Then it succeeds with the provider's URLs, and copying
    goes on. A copy of an image of some MB takes about a second, so 30 s leave room for several tries."""
    copy_plain_hosts: str = ""
    """The hosts, separated by commas, that may serve images without TLS and from private addresses: the
    stand-in, or a test of one's own. A host may have a port, as in sandbox:8080; without, any port counts."""
    copy_proxy: Annotated[str, Field(repr=False)] = ""
    """The proxy through which images are fetched, http://HOST:PORT. The variables HTTPS_PROXY and the
    like are not read: a proxy resolves names itself, out of reach of the checks of addresses."""
    copy_max_mb: Annotated[int, Field(ge=1, le=1024)] = 64
    """The largest file that is fetched, in MiB. The provider's images have 10 at most."""
    copy_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """The time-out of one fetch as a whole: 64 MiB at 9 Mbit/s."""
    copy_thumbnails: bool = True
    """True if a WebP of 256 pixels is stored beside each copy."""
    copy_concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """The most images that a worker copies at once, and the most jobs that it does so for. The other threads
    stay free for the steps of jobs."""
    copy_backoff_max_seconds: Annotated[float, Field(ge=1, le=86_400)] = 300.0
    """The longest wait between two tries of a copy. A store that was away for an hour is tried within
    five minutes of its return."""
    copy_give_up_seconds: Annotated[float, Field(ge=1, le=10_000_000)] = 172_800.0
    """The time after which a copy that always failed is given up, and an operator is told. The provider's
    links are gone within two days."""

    concurrency: Annotated[int, Field(ge=1, le=1000)] = 32
    """The number of threads of a worker process."""
    schedule_file: Path = Path("config/schedule.toml")
    """The file with the jobs that beat submits, and their times."""
    heartbeat_file: Path = Path(tempfile.gettempdir()) / "limner-heartbeat"
    """The file that a worker touches while it takes tasks; the health check reads its age. Beat has a file of
    its own beside it, with ``-beat`` at the end of its name."""
    rescue_folder: Path | None = None
    """The folder in which a worker keeps outcomes of requests that it cannot put on record, because Redis
    cannot serve. The next worker that sees the folder brings them home. Without it, a line in the log says
    what a person has to do."""

    @property
    def steps_queue(self) -> str:
        """The queue of the fleet's own steps, which only its workers read."""
        return f"{self.prefix}.steps"

    @property
    def copies_queue(self) -> str:
        """The queue of the steps that copy images, which may be read by machines of their own."""
        return f"{self.prefix}.copies"

    @property
    def copy_plain_host_names(self) -> tuple[str, ...]:
        """The hosts of ``copy_plain_hosts``, in lower case."""
        return copying.host_names(self.copy_plain_hosts)

    @model_validator(mode="after")
    def _defaults(self) -> Self:
        # The object is frozen, but the default of these fields is the value of another one.
        object.__setattr__(self, "queue", self.queue or self.prefix)
        if self.queue in (self.steps_queue, self.copies_queue):
            raise ValueError(f"{PREFIX}QUEUE: is the queue of the fleet's own steps")
        for name in ("broker_url", "result_url"):
            if not getattr(self, name) and parse(self.redis_url).kind is Kind.CLUSTER:
                raise ValueError(
                    f"{PREFIX}{name.upper()}: not set, and Celery cannot use the Redis Cluster of the ledger"
                )
            object.__setattr__(self, name, getattr(self, name) or self.redis_url)
        if self.backoff_max_seconds < self.backoff_seconds:
            raise ValueError(f"{PREFIX}BACKOFF_MAX_SECONDS: is less than {PREFIX}BACKOFF_SECONDS")
        if self.pause_max_seconds < self.pause_seconds:
            raise ValueError(f"{PREFIX}PAUSE_MAX_SECONDS: is less than {PREFIX}PAUSE_SECONDS")
        if self.accounts and self.api_key:
            raise ValueError(f"{PREFIX}API_KEY: has no use beside {PREFIX}ACCOUNTS: drop one")
        return self

    def all_accounts(self) -> Mapping[str, AccountSettings]:
        """Return every account with its limits and key, by name; raises SettingsError, which names the fault.

        The mapping is empty for a process with neither a key nor accounts.
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

    @field_validator("prefix", "queue")
    @classmethod
    def _name(cls, name: str) -> str:
        if not name:
            return name
        if name == "celery":
            # Its messages would be shared with every app that has not set a queue.
            raise ValueError("must not be celery, which is the default queue of every Celery app")
        if not _NAME.fullmatch(name):
            raise ValueError("must be 1 to 32 letters, digits and . _ -, the first a letter or digit")
        return name

    @field_validator("redis_url")
    @classmethod
    def _redis_url(cls, url: str) -> str:
        if parse(url).kind is not Kind.SOCKET and not urlsplit(url.strip()).netloc:
            raise ValueError("names no host")
        return url.strip()

    @field_validator("broker_url", "result_url")
    @classmethod
    def _celery_url(cls, url: str) -> str:
        if not url:
            return url
        url = url.strip()
        if is_rabbitmq(url):
            for node in url.split(";"):
                _url(node, {"amqp", "amqps"})
            return url
        # Celery supports more than Redis, so this checks only the parts that every URL has.
        scheme = copying.url_parts(url).scheme
        if not scheme or "://" not in url:
            raise ValueError("is not a URL")
        if scheme == "pyamqp":
            raise ValueError("must begin with amqp:// or amqps:// for RabbitMQ")
        if scheme == "sentinel":
            # kombu's Sentinel transport is another class, and has the fault that worker/transport.py repairs.
            raise ValueError("names Sentinels as in redis+sentinel://host:26379,host:26379/mymaster/0")
        if scheme in SCHEMES and parse(url).kind is Kind.CLUSTER:
            raise ValueError("is a Redis Cluster, which Celery cannot use")
        return url

    @field_validator("result_url")
    @classmethod
    def _result_url(cls, url: str) -> str:
        if is_rabbitmq(url):
            raise ValueError("RabbitMQ keeps no results; name a Redis, or leave it out for the ledger's")
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

    @field_validator("copy_to")
    @classmethod
    def _copy_to(cls, url: str) -> str:
        if url:
            copying.place(url)
        return url

    @field_validator("copy_name")
    @classmethod
    def _copy_name(cls, template: str) -> str:
        copying.pieces(template)
        return template

    @field_validator("copy_url", "copy_endpoint")
    @classmethod
    def _copy_url(cls, url: str) -> str:
        return copying.base_url(url)

    @field_validator("copy_plain_hosts")
    @classmethod
    def _copy_plain_hosts(cls, text: str) -> str:
        return ",".join(copying.host_names(text))

    @field_validator("copy_proxy")
    @classmethod
    def _copy_proxy(cls, url: str) -> str:
        return copying.proxy_url(url)

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


def is_rabbitmq(url: str) -> bool:
    """True for the URL of a RabbitMQ."""
    return url.startswith(("amqp://", "amqps://"))


def _url(url: str, schemes: set[str]) -> str:
    parts = copying.url_parts(url)
    if parts.scheme not in schemes:
        raise ValueError(f"must begin with {' or '.join(sorted(scheme + '://' for scheme in schemes))}")
    if not parts.hostname:
        raise ValueError("names no host")
    return url


def secrets_folder() -> Path:
    """Return the secrets folder, which need not exist."""
    return Path(os.environ.get(SECRETS_VARIABLE) or DEFAULT_SECRETS_DIR)


def load() -> Settings:
    """Return the settings of this process; raises SettingsError, which names each wrong variable."""
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
    # The message leaves the value out: it may be a secret, or contain one.
    name = ".".join(str(part) for part in fault["loc"])
    variable = PREFIX + name.removeprefix(PREFIX.lower()).upper() if name else ""
    message = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "missing":
        message = "not set"
    return f"{variable}: {message}" if variable else message


def _unreadable(error: BaseException, folder: Path) -> str:
    cause = error.__cause__ if isinstance(error, SourceError) else error
    if isinstance(cause, OSError):
        # The user of a container often does not own the secrets that are mounted into it.
        return f"{cause.filename or folder}: cannot be read ({cause.strerror})"
    if isinstance(cause, UnicodeDecodeError):
        return f"{ENV_FILE} or a file in {folder} is not UTF-8"
    # The value may contain a secret, and the fault is always the same.
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
