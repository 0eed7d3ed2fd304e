"""The result backend and the broker of an app, by the URLs of its settings, on real servers."""

from collections.abc import Iterator

import pytest
import redis

from config import Settings
from sandbox.local.replication import Replicated
from sandbox.local.valkey import EmbeddedValkey
from worker.application import Application, build_app
from worker.backend import Backend


def app_of(url: str) -> Application:
    """The app of a fleet with this Redis."""
    settings = Settings(redis_url=url, _env_file=None)
    return build_app(settings)


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as running:
        yield running


def test_results_and_messages_go_through_connections_of_ours(server: EmbeddedValkey) -> None:
    app = app_of(f"{server.url}?client_name=results-of-ours")
    assert isinstance(app.backend, Backend)
    app.backend.store_result("one", {"fine": True}, "SUCCESS")
    assert app.AsyncResult("one").get(timeout=10) == {"fine": True}
    with app.connection_for_write() as connection, connection.SimpleBuffer("one") as queue:
        queue.put({"fine": True})
        assert queue.get(timeout=10).payload == {"fine": True}
    with redis.Redis.from_url(server.url) as client:
        names = [each["name"] for each in client.client_list()]
    assert "results-of-ours" in names


def test_results_and_messages_follow_the_master_that_sentinels_name() -> None:
    with Replicated(sentinels=3) as servers:
        app = app_of(servers.sentinel_url)
        app.backend.store_result("one", 1, "SUCCESS")
        servers.kill_primary()
        servers.wait_until_promoted()
        app.backend.store_result("two", 2, "SUCCESS")
        assert app.AsyncResult("two").get(timeout=10) == 2
        with app.connection_for_write() as connection, connection.SimpleBuffer("one") as queue:
            queue.put(3)
            assert queue.get(timeout=10).payload == 3
