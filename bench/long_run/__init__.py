"""The long run: many jobs under continuous faults and SIGKILLs, then a comparison of two ledgers.

``python -m bench long-run`` runs it. ``BENCH_LONG_RUN_JOBS`` and ``BENCH_LONG_RUN_SEED`` change it, and
``BENCH_STOCK_JOBS`` sets the size of the comparison with stock Celery that follows (0: none). With
``BENCH_LONG_RUN_FAILOVERS=1`` Valkey fails over behind a service address and is busy now and then, instead
of being killed.
"""

import os
from collections.abc import Iterator

from bench.long_run.findings import Findings
from bench.long_run.plan import Plan
from bench.long_run.runner import long_run
from bench.long_run.stock import stock_run

__all__ = ["BrokenPromise", "Findings", "Plan", "long_run", "run", "stock_run"]


class BrokenPromise(AssertionError):
    """A promise does not hold; the message names the jobs."""


def run() -> Iterator[str]:
    """The tables. Raises :class:`BrokenPromise` after the last of them."""
    plan = Plan(
        jobs=int(os.environ.get("BENCH_LONG_RUN_JOBS", Plan.jobs)),
        seed=int(os.environ.get("BENCH_LONG_RUN_SEED", Plan.seed)),
        failovers=os.environ.get("BENCH_LONG_RUN_FAILOVERS", "0") != "0",
    )
    findings = long_run(plan)
    yield from findings.tables()
    if stock_jobs := int(os.environ.get("BENCH_STOCK_JOBS", "3000")):
        yield "\nStock Celery in the same harness, without callbacks, which it does not know:\n"
        yield from stock_run(plan, stock_jobs).tables()
    if broken := findings.violations():
        raise BrokenPromise("; ".join(broken))
