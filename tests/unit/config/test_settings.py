"""The settings: their defaults, the values that they refuse, and the secrets that they hide."""

import pytest

from config import Settings, SettingsError
from tests.unit.config.conftest import REDIS_URL, Loader

FIXED_NAMES = [
    "REDIS_URL",
    "BROKER_URL",
    "RESULT_URL",
    "API_KEY",
    "API_URL",
    "RATE_REQUESTS",
    "RATE_SECONDS",
    "READS_PER_SECOND",
    "MAX_IN_FLIGHT",
    "CALLBACK_URL",
    "CALLBACK_HMAC_KEY",
    "IN_DOUBT",
    "IN_DOUBT_SECONDS",
    "MAX_ATTEMPTS",
    "JOB_DEADLINE_SECONDS",
    "RESULT_TTL_SECONDS",
    "CONCURRENCY",
    "QUEUE",
    "PREFIX",
]


@pytest.mark.parametrize("name", FIXED_NAMES)
def test_every_documented_variable_exists(name: str) -> None:
    assert name.lower() in Settings.model_fields


def test_the_default_rates_are_the_provider_s(load_with: Loader) -> None:
    settings = load_with()
    assert (settings.rate_requests, settings.rate_seconds) == (20, 10)
    assert (settings.reads_per_second, settings.max_in_flight) == (10, 100)
    assert settings.api_url == "https://api.kie.ai"
    assert settings.api_key is None


def test_a_variable_sets_its_field(load_with: Loader) -> None:
    settings = load_with(RATE_REQUESTS="7", RATE_SECONDS="0.5", API_KEY=" key-1\n")
    assert (settings.rate_requests, settings.rate_seconds) == (7, 0.5)
    assert settings.api_key
    assert settings.api_key.get_secret_value() == "key-1"


def test_a_blank_variable_counts_as_unset(load_with: Loader) -> None:
    settings = load_with(API_KEY="", RATE_REQUESTS="", BROKER_URL="")
    assert (settings.api_key, settings.rate_requests, settings.broker_url) == (None, 20, REDIS_URL)


def test_a_missing_redis_url_is_named(load_with: Loader) -> None:
    with pytest.raises(SettingsError) as caught:
        load_with(REDIS_URL="")
    assert str(caught.value) == "LIMNER_REDIS_URL: not set"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "http://localhost"),
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "redis://host:port"),
        ("REDIS_URL", "redis://host:99999"),
        ("REDIS_URL", "redis://[::1"),
        ("REDIS_URL", "redis://host/production"),
        ("REDIS_URL", "unix://"),
        ("BROKER_URL", "rabbit"),
        ("BROKER_URL", "amqp://host:port"),
        ("BROKER_URL", "redis+cluster://host"),
        ("BROKER_URL", "sentinel://host:26379"),
        ("REDIS_URL", "redis+sentinel://host"),
        ("REDIS_URL", "redis://host?retry_on_timeout=1"),
        ("BROKER_URL", "amqp://"),
        ("BROKER_URL", "amqp://one;redis://two"),
        ("BROKER_URL", "pyamqp://host"),
        ("RESULT_URL", "redis"),
        ("RESULT_URL", "amqp://host"),
        ("INTAKE_QUEUE_TYPE", "stream"),
        ("API_URL", "api.kie.ai"),
        ("API_URL", "ftp://api.kie.ai"),
        ("API_KEY", " "),
        ("API_KEY", "two words"),
        ("API_KEY", "schlüssel"),
        ("API_KEY", "line\nbreak"),
        ("API_KEY", "nul\x7f"),
        ("RATE_REQUESTS", "0"),
        ("RATE_REQUESTS", "2.5"),
        ("RATE_REQUESTS", "many"),
        ("RATE_SECONDS", "0"),
        ("RATE_SECONDS", "nan"),
        ("RATE_SECONDS", "inf"),
        ("RATE_MARGIN_SECONDS", "nan"),
        ("RATE_MARGIN_SECONDS", "-0.1"),
        ("REDIS_TIMEOUT_SECONDS", "inf"),
        ("REQUEST_TIMEOUT_SECONDS", "0.5"),
        ("REQUEST_TIMEOUT_SECONDS", "nan"),
        ("MAX_ATTEMPTS", "0"),
        ("JOB_DEADLINE_SECONDS", "-1"),
        ("CONCURRENCY", "1001"),
        ("BACKOFF_MAX_SECONDS", "1"),
        ("IN_DOUBT", "shrug"),
        ("DURABILITY", "hope"),
        ("LATE_RESULT_SECONDS", "-1"),
        ("CALLBACK_URL", "hooks.example.com"),
        ("CALLBACK_URL", "ftp://hooks.example.com"),
        ("CALLBACK_URL", "https://"),
        ("CALLBACK_URL", "https://hooks.example.com/?job=1"),
        ("CALLBACK_URL", "https://user:word@hooks.example.com"),
        ("CALLBACK_URL", "https://hooks.example.com/a b"),
        ("CALLBACK_HMAC_KEY", "  "),
        ("COPY_TO", "/srv/images"),
        ("COPY_NAME", "{job_id}.png"),
        ("COPY_URL", "cdn.example.com"),
        ("COPY_ENDPOINT", "minio:9000"),
        ("COPY_REGION", "eu central"),
        ("COPY_PATIENCE_SECONDS", "-1"),
        ("COPY_PLAIN_HOSTS", "http://sandbox"),
        ("COPY_PROXY", "proxy:3128"),
        ("COPY_MAX_MB", "0"),
        ("COPY_SECONDS", "nan"),
        ("COPY_THUMBNAILS", "perhaps"),
        ("COPY_CONCURRENCY", "0"),
        ("COPY_BACKOFF_MAX_SECONDS", "0"),
        ("COPY_GIVE_UP_SECONDS", "0"),
    ],
)
def test_an_invalid_value_is_refused_with_the_variable_s_name(
    load_with: Loader, name: str, value: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        load_with(**{name: value})
    assert str(caught.value).startswith(f"LIMNER_{name}: ")


def test_every_invalid_value_has_its_own_line(load_with: Loader) -> None:
    with pytest.raises(SettingsError) as caught:
        load_with(REDIS_URL="nonsense", CONCURRENCY="none", API_URL="nonsense")
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "LIMNER_REDIS_URL",
        "LIMNER_API_URL",
        "LIMNER_CONCURRENCY",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEY", "hunter2 with a blank"),
        ("REDIS_URL", "redis://:hunter2@host:port/0"),
        ("BROKER_URL", "amqp://user:hunter2@host:port"),
        ("API_URL", "ftp://user:hunter2@host"),
        ("CALLBACK_URL", "https://user:hunter2@hooks.example.com"),
        ("RATE_REQUESTS", "hunter2"),
        ("COPY_TO", "s3://user:hunter2@bucket"),
        ("COPY_ENDPOINT", "https://user:hunter2@minio"),
        ("COPY_PROXY", "socks5://user:hunter2@proxy:1"),
        ("COPY_PROXY", "http://user:hunter2@proxy:3128"),
    ],
)
def test_a_message_never_shows_a_value(load_with: Loader, name: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_with(**{name: value})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_representation_shows_no_secret(load_with: Loader) -> None:
    settings = load_with(
        API_KEY="hunter2",
        REDIS_URL="redis://:hunter2@host/0",
        BROKER_URL="amqp://user:hunter2@host",
        RESULT_URL="redis://:hunter2@host/1",
    )
    assert "hunter2" not in f"{settings!r} {settings}"


def test_settings_cannot_be_changed(load_with: Loader) -> None:
    settings = load_with()
    with pytest.raises(ValueError, match="frozen"):
        settings.concurrency = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("PREFIX", "celery"),
        ("PREFIX", "a b"),
        ("PREFIX", "{main}"),
        ("PREFIX", "a:b"),
        ("PREFIX", "-a"),
        ("PREFIX", "a" * 33),
        ("QUEUE", "celery"),
        ("QUEUE", "a/b"),
        ("QUEUE", "limner.steps"),
    ],
)
def test_a_name_that_another_app_may_have_or_that_redis_reads_otherwise_is_refused(
    load_with: Loader, variable: str, name: str
) -> None:
    with pytest.raises(SettingsError, match=f"LIMNER_{variable}"):
        load_with(**{variable: name})


def test_the_intake_queue_is_the_prefix_unless_it_is_set(load_with: Loader) -> None:
    assert (load_with().queue, load_with().steps_queue) == ("limner", "limner.steps")
    assert (load_with(PREFIX="shop").queue, load_with(PREFIX="shop").steps_queue) == ("shop", "shop.steps")
    assert load_with(PREFIX="shop", QUEUE="images").queue == "images"
