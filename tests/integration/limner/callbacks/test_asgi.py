"""The route that takes callbacks, on a real ledger."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.applications import Starlette

from limner._connection import connect
from limner.callbacks import Receiver
from limner.callbacks.asgi import BODY_BYTES, PATH, route
from limner.ledger import Ledger
from tests.asgi import Caller

BODY = json.dumps({"data": {"taskId": "t1"}}).encode()


@pytest.fixture
def ledger(valkey_url: str) -> Iterator[Ledger]:
    with connect(valkey_url) as client:
        yield Ledger(client)


@pytest.fixture
def web(ledger: Ledger) -> Caller:
    return Caller(Starlette(routes=[route(Receiver(ledger))]))


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1000


def test_a_callback_reaches_the_ledger_with_the_job_s_whole_id(web: Caller, ledger: Ledger) -> None:
    answer = web.post("/callbacks/orders/7/s3cret", content=BODY)
    assert (answer.status_code, answer.json()) == (200, {"code": 200, "msg": "success"})
    [kept] = ledger.journal.unmatched_callbacks()
    assert (kept.job_id, kept.task_id) == ("orders/7", "t1")


def test_a_body_that_says_how_long_it_is_is_not_read_if_that_is_too_long(web: Caller, ledger: Ledger) -> None:
    answer = web.post("/callbacks/j1/s3cret", content=b"x" * (BODY_BYTES + 1))
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert ledger.journal.callback_counts() == {"oversized": 1}


def test_a_body_that_never_ends_is_cut_off(web: Caller, ledger: Ledger) -> None:
    assert web.post("/callbacks/j1/s3cret", content=endless()).status_code == 413
    assert ledger.journal.callback_counts() == {"oversized": 1}


@pytest.mark.parametrize("length", ["many", "", "1e3"])
def test_a_length_that_is_no_number_is_too_long(web: Caller, length: str) -> None:
    answer = web.post("/callbacks/j1/s3cret", content=BODY, headers={"Content-Length": length})
    assert answer.status_code == 413


def test_a_redis_that_is_away_asks_for_the_callback_again() -> None:
    away = Caller(Starlette(routes=[route(Receiver(Ledger(connect("redis://127.0.0.1:1/0"))))]))
    assert away.post("/callbacks/j1/s3cret", content=BODY).status_code == 503


def test_only_a_post_is_a_callback(web: Caller) -> None:
    assert web.get("/callbacks/j1/s3cret").status_code == 405


@pytest.mark.parametrize(
    ("path", "lacks"),
    [
        ("/hooks/{job_id:path}/{token}", "must have /callbacks/ before the job's id"),
        ("/callbacks/{job_id:path}", "must have the parameters job_id and token"),
        ("/{group}" + PATH, "must have the parameters job_id and token"),
    ],
)
def test_a_path_that_lacks_something_is_refused(ledger: Ledger, path: str, lacks: str) -> None:
    with pytest.raises(ValueError, match=lacks):
        route(Receiver(ledger), path)
