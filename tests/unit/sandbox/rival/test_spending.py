import asyncio
from typing import Any

import httpx
import pytest

from sandbox.rival.spending import PROMPT, UNANSWERED, Plan, Spent, sender, spend


class World:
    """A clock that advances only during waits, and the times of the requests."""

    def __init__(self, stopped_at: float = float("inf"), late: float = 0.0) -> None:
        self.now = 0.0
        self.sent: list[float] = []
        self._stopped_at = stopped_at
        self._late = late

    async def send(self, number: int) -> str:
        self.sent.append(self.now)
        return "200" if number % 3 else "429"

    async def is_over(self, seconds: float) -> bool:
        await asyncio.sleep(0)  # lets the new request's task run
        self.now += seconds + self._late
        return self.now >= self._stopped_at


def spent(plan: Plan, world: World) -> dict[str, Any]:
    return asyncio.run(spend(plan, world.send, world.is_over)).to_json(plan)


def test_a_quarter_of_twenty_in_ten_seconds_is_one_every_two_seconds() -> None:
    world = World()
    summary = spent(Plan(share=0.25, creates=20, window=10, seconds=10), world)
    assert world.sent == [0, 2, 4, 6, 8]
    assert summary["interval"] == 2


def test_a_late_request_does_not_shorten_the_next_interval() -> None:
    world = World(late=0.5)
    spent(Plan(share=0.25, seconds=8), world)
    assert world.sent == [0, 2.5, 5, 7.5]


def test_a_stopped_rival_sends_no_more() -> None:
    world = World(stopped_at=3)
    spent(Plan(share=0.25, seconds=60), world)
    assert world.sent == [0, 2]


def test_accepted_and_refused_requests_add_up() -> None:
    summary = spent(Plan(share=0.25, seconds=12), World())
    assert (summary["sent"], summary["accepted"], summary["refused"], summary["unanswered"]) == (6, 4, 2, 0)
    assert summary["refusals"] == {"429": 2}


def test_an_unanswered_request_is_neither_accepted_nor_refused() -> None:
    spent = Spent()
    spent.outcomes.update(["200", UNANSWERED])
    summary = spent.to_json(Plan())
    assert (summary["sent"], summary["refused"], summary["unanswered"]) == (2, 0, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("share", 0.0), ("share", 1.1), ("creates", 0), ("window", 0.0), ("seconds", float("inf"))],
)
def test_a_plan_out_of_range_is_named(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        Plan(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (httpx.Response(200, json={"code": 200, "data": {"taskId": "t"}}), "200"),
        (httpx.Response(200, json={"code": 429, "data": None}), "429"),
        (httpx.Response(502, text="<html>"), UNANSWERED),
        (httpx.Response(200, json=[]), UNANSWERED),
    ],
)
def test_an_answer_is_counted_by_its_code(answer: httpx.Response, outcome: str) -> None:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer

    async def send() -> str:
        transport = httpx.MockTransport(handle)
        async with httpx.AsyncClient(base_url="http://api.test", transport=transport) as client:
            return await sender(client, "run")(7)

    assert asyncio.run(send()) == outcome
    assert f'"{PROMPT}run 7"'.encode() in seen[0].content


def test_a_broken_connection_is_unanswered() -> None:
    def handle(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadError("reset", request=request)

    async def send() -> str:
        transport = httpx.MockTransport(handle)
        async with httpx.AsyncClient(base_url="http://api.test", transport=transport) as client:
            return await sender(client, "run")(0)

    assert asyncio.run(send()) == UNANSWERED
