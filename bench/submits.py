"""The rate of submits from one thread, without a running worker."""

import time
from collections.abc import Callable, Iterator

from bench import fleets
from bench.report import table
from limner import Limner, TextToImage

JOBS = 5000


def run() -> Iterator[str]:
    """The table."""
    with fleets.fleet(1.0, workers=0) as fleet, Limner(fleet.redis_url) as producer:
        request = TextToImage(prompt="a boat")

        def one_by_one() -> None:
            for _ in range(JOBS):
                producer.submit(request)

        def with_key() -> None:
            for number in range(JOBS):
                producer.submit(request, idempotency_key=str(number))

        def in_hundreds() -> None:
            for _ in range(JOBS // 100):
                producer.submit_many([request] * 100)

        def rate(work: Callable[[], None]) -> float:
            began = time.perf_counter()
            work()
            return JOBS / (time.perf_counter() - began)

        rows = [
            ["submit", round(rate(one_by_one))],
            ["submit with an idempotency key", round(rate(with_key))],
            ["submit_many, 100 at a time", round(rate(in_hundreds))],
        ]
    yield from table(["call", "jobs a second"], rows)
