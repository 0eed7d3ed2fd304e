"""Celery's URLs for the Redis of the ledger."""

from typing import Any
from urllib.parse import unquote

import pytest
from celery import Celery
from redis.connection import SSLConnection, UnixDomainSocketConnection

from config.settings import celery_url
from tests.unit.config.conftest import Loader


def backend_options(app: Any) -> dict[str, Any]:
    return dict(app.backend.connparams)


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("redis://:pw@host:6380/3", "redis://:pw@host:6380/3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock?virtual_host=0"),
        ("unix://:pw@/run/redis.sock?db=2", "redis+socket://:pw@/run/redis.sock?virtual_host=2"),
        ("rediss://host/0", "rediss://host/0?ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_ca_certs=/ca", "rediss://host/0?ssl_ca_certs=/ca&ssl_cert_reqs=required"),
        ("rediss://host/0?ssl_cert_reqs=none", "rediss://host/0?ssl_cert_reqs=none"),
        ("amqp://user:pw@host//", "amqp://user:pw@host//"),
        ("amqps://one:5671/v;amqps://two:5671/v", "amqps://one:5671/v;amqps://two:5671/v"),
        ("sentinel://host:26379;sentinel://other:26379", "sentinel://host:26379;sentinel://other:26379"),
    ],
)
def test_only_the_urls_of_sockets_and_tls_change(url: str, celery: str) -> None:
    assert celery_url(url) == celery


def test_broker_and_results_default_to_the_ledger_s_redis(load_with: Loader) -> None:
    settings = load_with(REDIS_URL="unix:///run/redis.sock?db=1", RESULT_URL="redis://other/4")
    assert settings.broker_url == "redis+socket:///run/redis.sock?virtual_host=1"
    assert settings.result_url == "redis://other/4"


def test_a_separate_broker_can_have_a_redis_py_url(load_with: Loader) -> None:
    settings = load_with(BROKER_URL="unix:///run/broker.sock", RESULT_URL="rediss://other")
    assert settings.broker_url == "redis+socket:///run/broker.sock?virtual_host=0"
    assert settings.result_url == "rediss://other?ssl_cert_reqs=required"


def test_celery_connects_to_the_socket_with_database_and_password() -> None:
    url = celery_url("unix://:pw@/run/redis.sock?db=2")
    backend = backend_options(Celery(backend=url))
    assert backend["connection_class"] is UnixDomainSocketConnection
    assert (backend["path"], backend["db"], backend["password"]) == ("/run/redis.sock", 2, "pw")


def test_celery_verifies_the_certificate_of_a_tls_server() -> None:
    url = celery_url("rediss://127.0.0.1/0?ssl_ca_certs=%2Fca.pem")
    app = Celery(broker=url, backend=url)
    backend = backend_options(app)
    assert backend["connection_class"] is SSLConnection
    assert backend["ssl_cert_reqs"].name == "CERT_REQUIRED"
    broker = app.connection_for_write().ssl
    assert isinstance(broker, dict)
    assert broker["ssl_cert_reqs"].name == "CERT_REQUIRED"
    assert unquote(broker["ssl_ca_certs"]) == "/ca.pem"
