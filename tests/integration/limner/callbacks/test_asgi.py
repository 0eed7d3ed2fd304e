"""The route that takes callbacks, on a real ledger."""

import json
from collections.abc import AsyncIterator, Iterator

import pytest
from starlette.applications import Starlette

from limner._redis import connect
from limner.callbacks import Receiver
from limner.callbacks.asgi import BODY_BYTES, PATH, route
from limner.callbacks.receiver import LONG_BODY
from limner.ledger import Grant, Ledger, Quota
from limner.models import TextToImage
from limner.submission import prepare
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


def sending(ledger: Ledger) -> str:
    """A job whose request is on the wire, with the token "s3cret"."""
    job_id = ledger.jobs.submit(prepare(TextToImage(prompt="a red kite"))).job_id
    [step] = ledger.queue.claim(Quota(10, 1, 0, 1, 10)).steps
    assert isinstance(ledger.jobs.begin(job_id, step.lease, "s3cret", deadline=900), Grant)
    return job_id


def long_body(length: int, head: str = '"state": "success"', tail: str = '"code": 200') -> bytes:
    """A callback's body of that length, which quotes a long prompt."""
    begin, end = f'{{{head}, "param": "'.encode(), f'", {tail}}}'.encode()
    return begin + b"x" * (length - len(begin) - len(end)) + end


async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 50_000):
        yield body[start : start + 50_000]


@pytest.mark.parametrize("length", [LONG_BODY - 1, LONG_BODY, LONG_BODY + 1, 524_288, BODY_BYTES])
@pytest.mark.parametrize("pieces", [False, True])
def test_a_long_body_is_read_to_its_end(web: Caller, ledger: Ledger, length: int, pieces: bool) -> None:
    job_id = sending(ledger)
    body = long_body(length, tail='"taskId": "T-1"')
    answer = web.post(f"/callbacks/{job_id}/s3cret", content=in_pieces(body) if pieces else body)
    assert (answer.status_code, answer.headers.get("connection")) == (200, None)
    record = ledger.jobs.read(job_id)
    assert record
    assert record.task_id == "T-1"


@pytest.mark.parametrize("length", [BODY_BYTES + 20, 3 * BODY_BYTES])
def test_a_right_token_counts_beyond_the_bound(web: Caller, ledger: Ledger, length: int) -> None:
    body = long_body(length, tail='"taskId": "T-1"')
    answer = web.post(f"/callbacks/{sending(ledger)}/s3cret", content=body)
    assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    assert ledger.journal.callback_counts() == {"accepted_unnamed": 1}


def test_beyond_the_bound_the_beginning_may_name_the_task(web: Caller, ledger: Ledger) -> None:
    body = long_body(BODY_BYTES + 1, head='"taskId": "T-1"')
    assert web.post(f"/callbacks/{sending(ledger)}/s3cret", content=body).status_code == 200
    assert ledger.journal.callback_counts() == {"adopted": 1}


def test_a_body_that_never_ends_is_cut_off(web: Caller, ledger: Ledger) -> None:
    job_id = sending(ledger)
    assert web.post(f"/callbacks/{job_id}/s3cret", content=endless()).status_code == 200
    assert web.post(f"/callbacks/{job_id}/wrong", content=endless()).status_code == 413
    assert ledger.journal.callback_counts() == {"accepted_unnamed": 1, "oversized": 1}


def test_no_more_of_a_long_body_is_read_with_a_wrong_token(web: Caller, ledger: Ledger) -> None:
    read = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1000
            yield b"x" * 1000

    answer = web.post(f"/callbacks/{sending(ledger)}/wrong", content=counted())
    assert (answer.status_code, answer.headers["connection"]) == (413, "close")
    assert read <= LONG_BODY + 2000


def test_a_long_body_for_an_unknown_job_is_kept_by_the_id_at_its_beginning(
    web: Caller, ledger: Ledger
) -> None:
    body = long_body(100_000, head='"taskId": "T-1"')
    assert web.post("/callbacks/gone/s3cret", content=body).status_code == 200
    assert [kept.task_id for kept in ledger.journal.unmatched_callbacks()] == ["T-1"]


@pytest.mark.parametrize("length", ["many", "", "1e3", "99999999999999999999"])
def test_the_length_that_a_body_says_it_has_does_not_matter(web: Caller, length: str) -> None:
    answer = web.post("/callbacks/j1/s3cret", content=BODY, headers={"Content-Length": length})
    assert answer.status_code == 200


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
