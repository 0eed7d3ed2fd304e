"""Copies of images: their rate and price, the lag that they add, a worker's memory, and a store that is away.

``python -m bench copies`` runs all parts, and ``BENCH_COPIES=rate,lag`` some of them.
"""

import os
from collections.abc import Iterator

from bench.copies import lag, memory, outage, rate

PARTS = {"rate": rate.run, "lag": lag.run, "memory": memory.run, "outage": outage.run}


def run() -> Iterator[str]:
    """The tables."""
    for part in os.environ.get("BENCH_COPIES", ",".join(PARTS)).split(","):
        yield from PARTS[part]()
        yield ""
