"""The doctor's checks of the broker and the result backend, against real servers."""

from collections.abc import Iterator

import pytest
import redis

from config import Settings
from sandbox.local.valkey import EmbeddedValkey
from tests.integration.worker.health.conftest import MakeSettings
from tests.integration.worker.health.servers import closed_port
from worker.application import build_app
from worker.health.celery_checks import check_backend, check_broker, place
from worker.health.findings import Verdict

API = "https://api.kie.ai"


@pytest.fixture
def client(valkey_url: str) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(valkey_url) as client:
        yield client


def away(make_settings: MakeSettings) -> Settings:
    url = f"redis://:hunter2@127.0.0.1:{closed_port()}/0"
    return make_settings(API, broker_url=url, result_url=url)


def test_a_message_is_sent_and_taken_and_nothing_is_left(
    make_settings: MakeSettings, client: "redis.Redis"
) -> None:
    settings = make_settings(API)
    [finding] = check_broker(settings, build_app(settings))
    assert finding.verdict is Verdict.OK
    assert finding.found.endswith(" takes messages")
    assert not [key for key in client.scan_iter() if b"doctor" in key]


def test_a_result_is_stored_and_deleted(make_settings: MakeSettings, client: "redis.Redis") -> None:
    settings = make_settings(API)
    [finding] = check_backend(settings, build_app(settings))
    assert finding.verdict is Verdict.OK
    assert not [key for key in client.scan_iter() if b"doctor" in key]


def test_a_broker_that_is_away_is_named_without_its_password(make_settings: MakeSettings) -> None:
    settings = away(make_settings)
    [finding] = check_broker(settings, build_app(settings))
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("LIMNER_BROKER_URL: 127.0.0.1:")
    assert "hunter2" not in str(finding)


def test_a_backend_that_is_away_is_named_without_its_password(make_settings: MakeSettings) -> None:
    settings = away(make_settings)
    [finding] = check_backend(settings, build_app(settings))
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("LIMNER_RESULT_URL: 127.0.0.1:")
    assert "hunter2" not in str(finding)


def test_a_server_that_hangs_is_told_in_time(make_settings: MakeSettings) -> None:
    with EmbeddedValkey() as valkey:
        valkey.pause()
        try:
            settings = make_settings(
                API, broker_url=valkey.url, result_url=valkey.url, redis_timeout_seconds=0.3
            )
            app = build_app(settings)
            findings = [*check_broker(settings, app), *check_backend(settings, app)]
        finally:
            valkey.resume()
    assert [finding.verdict for finding in findings] == [Verdict.FAIL, Verdict.FAIL]


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://user:hunter2@redis.example:6380/1?password=hunter2", "redis.example:6380"),
        ("amqp://user:hunter2@rabbit", "rabbit"),
        ("redis+socket:///run/redis.sock?virtual_host=0", "/run/redis.sock"),
    ],
)
def test_only_the_address_of_a_url_is_told(url: str, told: str) -> None:
    assert place(url) == told
