"""The check that the result backend is in the ledger's database, by two URLs and without a connection."""

from types import SimpleNamespace

import pytest
from celery import Celery

from limner._redis import connect, make_pool, parse
from worker.results import beside


def together(ledger: str, results: str) -> bool:
    """The result of the check for a worker with these two URLs."""
    backend = SimpleNamespace(client=SimpleNamespace(connection_pool=make_pool(parse(results), timeout=1)))
    with connect(ledger) as client:
        return beside(client, backend)


PLACES = [
    "redis://127.0.0.1:6379/0",
    "redis://:secret@redis.internal:7000/3",
    "redis://limner:secret@redis.internal:7000/3",
    "redis://:p%40ss%2Fword%25@redis.internal:7000/3",
    "rediss://:secret@redis.internal:7000/3",
    "unix:///run/redis.sock?db=2",
    "unix://:secret@/run/redis.sock?db=2",
    "redis+sentinel://:secret@one:26379,other:26379/mymaster/0",
]


@pytest.mark.parametrize("url", PLACES)
def test_the_same_url_is_the_same_database(url: str) -> None:
    assert together(url, url)


@pytest.mark.parametrize("result", ["redis://redis.internal/0", "redis://redis.internal:6379"])
def test_omitted_parts_of_a_url_have_their_defaults(result: str) -> None:
    assert together("redis://redis.internal:6379/0", result)
    assert together(result, "redis://redis.internal:6379/0")


@pytest.mark.parametrize(
    "other",
    [
        "redis://limner:secret@redis.internal:7000/1",
        "redis://limner:secret@redis.internal:7000/0",
        "redis://limner:secret@redis.internal:7001/3",
        "redis://limner:secret@redis.internal/3",
        "redis://limner:secret@elsewhere:7000/3",
        "redis://other:secret@redis.internal:7000/3",
        "redis://:secret@redis.internal:7000/3",
        "redis://limner:another@redis.internal:7000/3",
        "redis://redis.internal:7000/3",
        "unix://limner:secret@/run/redis.sock?db=3",
    ],
    ids=[
        "database",
        "first database",
        "port",
        "usual port",
        "host",
        "user",
        "no user",
        "password",
        "nobody",
        "socket",
    ],
)
def test_a_different_server_database_or_user_is_not_beside(other: str) -> None:
    ours = "redis://limner:secret@redis.internal:7000/3"
    assert not together(ours, other)
    assert not together(other, ours)


@pytest.mark.parametrize("other", ["unix:///run/redis.sock?db=1", "unix:///run/other.sock?db=2"])
def test_a_different_socket_or_database_is_not_beside(other: str) -> None:
    assert not together("unix:///run/redis.sock?db=2", other)


def test_a_socket_is_not_beside_a_tcp_port() -> None:
    assert not together("unix:///run/redis.sock", "redis://localhost:6379/0")
    assert not together("redis://localhost:6379/0", "unix:///run/redis.sock")


@pytest.mark.parametrize("results", ["cache+memory://", "rpc://"])
def test_a_backend_other_than_redis_is_not_beside(results: str) -> None:
    app = Celery("results", backend=results, set_as_current=False)
    with connect("redis://127.0.0.1:6379/0") as client:
        assert not beside(client, app.backend)
