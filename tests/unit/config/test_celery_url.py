"""The URLs that Celery gets: they choose its transport and backend, and hold no credentials."""

import pytest

from config.celery_options import celery_options, celery_url
from tests.unit.config.conftest import Loader


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("redis://:pw@host:6380/3", "redis://host:6380/3"),
        ("redis://host?client_name=shop&health_check_interval=30", "redis://host:6379/0"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://:pw@/run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        (
            "redis+socket://:pw@/run/redis.sock?virtual_host=2",
            "redis+socket:///run/redis.sock?virtual_host=2",
        ),
        ("rediss://:pw@host/0", "rediss://host:6379/0?ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=CERT_NONE", "rediss://host:6379/0?ssl_cert_reqs=required"),
        ("redis+sentinel://:pw@a:1,b:2/mymaster/3?sentinel_password=q", "redis://mymaster/3"),
        ("amqp://user:pw@host//", "amqp://user:pw@host//"),
        ("amqps://one:5671/v;amqps://two:5671/v", "amqps://one:5671/v;amqps://two:5671/v"),
    ],
)
def test_celery_s_url_of_a_redis_has_no_credentials_and_no_options(url: str, celery: str) -> None:
    assert celery_url(url) == celery


def test_broker_and_results_default_to_the_ledger_s_redis(load_with: Loader) -> None:
    settings = load_with(REDIS_URL="unix:///run/redis.sock?db=1", RESULT_URL="redis://other/4")
    assert settings.broker_url == "unix:///run/redis.sock?db=1"
    assert settings.result_url == "redis://other/4"


def test_no_option_of_celery_shows_a_password(load_with: Loader) -> None:
    settings = load_with(REDIS_URL="redis+sentinel://:hunter2@host/mymaster/0?sentinel_password=hunter3")
    assert "hunter" not in repr(celery_options(settings))
