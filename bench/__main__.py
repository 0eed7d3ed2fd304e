"""``python -m bench [NAME …]``: run benches and print their tables. Without names, run the short ones.

``python -m bench outages`` and ``python -m bench neighbour`` take options of their own.
"""

import sys
from collections.abc import Iterable

from bench import (
    accounts,
    backlog,
    callbacks,
    copies,
    cpu,
    crash_matrix,
    growth,
    latency,
    ledger,
    letters,
    long_run,
    memory,
    neighbour,
    outages,
    pauses,
    polls,
    quota,
    reads,
    redis_outages,
    signals,
    submits,
    waits,
)
from bench.report import machine

BENCHES = {
    "ledger": ledger.run,
    "latency": latency.run,
    "submits": submits.run,
    "memory": memory.run,
    "callbacks": callbacks.run,
    "polls": polls.run,
}
LONG = {
    "copies": copies.run,
    "cpu": cpu.run,
    "accounts": accounts.run,
    "crash-matrix": crash_matrix.run,
    "growth": growth.run,
    "letters": letters.run,
    "long-run": long_run.run,
    "quota": quota.run,
    "backlog": backlog.run,
    "neighbour": neighbour.run,
    "outages": outages.run,
    "pauses": pauses.run,
    "reads": reads.run,
    "redis-outages": redis_outages.run,
    "signals": signals.run,
    "waits": waits.run,
}
"""Benches that take minutes, or most of an hour, and so run only by name."""
WITH_OPTIONS = {"outages": outages, "neighbour": neighbour}


def main(names: list[str]) -> int:
    """Run the named benches, or all the short ones."""
    if names and names[0] in WITH_OPTIONS:
        print(machine())
        _print(names[0], WITH_OPTIONS[names[0]].run(names[1:]))
        return 0
    known = {**BENCHES, **LONG}
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"no such bench: {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    print(machine())
    for name in names or BENCHES:
        _print(name, known[name]())
    return 0


def _print(name: str, lines: Iterable[str]) -> None:
    print(f"\n## {name}: `python -m bench {name}`\n", flush=True)
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
