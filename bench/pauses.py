"""The requests of a fleet at full speed after the provider has closed, and its resumption.

Four worker processes send some 90 requests a second, and are refused for maintenance (455), missing credits
(402) or the key (401). An answer takes 0.1 s, so requests sent in the 0.1 s before the first refusal arrived
are unavoidable; all later ones are avoidable.
"""

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

from bench.report import table
from limner import Limner
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from sandbox.local.valkey import EmbeddedValkey

WORKERS: Final = 4
RATE: Final = 100
LATENCY: Final = 0.1
PAUSE: Final = 3.0
CLOSED: Final = 10.0
"""Seconds of maintenance, and until the credits are topped up or the key is restored."""
RUNNING: Final = 5.0
JOBS: Final = 6000
PATIENCE: Final = 60.0
ROUNDS: Final = 3

HEAD_BEGIN: Final = (
    "refusal",
    "round",
    "a second before",
    "refused in all",
    "of these on the wire when the first was answered",
    "last one after the first answer, ms",
    "most of one process",
)
HEAD_END: Final = (
    "refusal",
    "round",
    "probes refused",
    "from the remedy to the probe, s",
    "from the probe's answer to the next request, ms",
    "to the 100th, s",
)


@dataclass(frozen=True)
class Trouble:
    """A way in which the provider closes."""

    code: str
    logged: str
    """The name of the cause in the fleet's log."""


TROUBLES: Final = (
    Trouble("455", "maintenance"),
    Trouble("402", "no_credits"),
    Trouble("401", "unauthorized"),
)


def run() -> Iterator[str]:
    """The tables."""
    begins: list[list[object]] = []
    ends: list[list[object]] = []
    for number in range(1, ROUNDS + 1):
        for trouble in TROUBLES:
            begin, end = _round(trouble, number)
            begins.append(begin)
            ends.append(end)
    yield (
        f"{WORKERS} worker processes, {RATE // 10} requests in any 0.1 s, answers after {LATENCY} s, the "
        f"first pause {PAUSE:.0f} s long, closed for {CLOSED:.0f} s.\n"
    )
    yield from table(HEAD_BEGIN, begins)
    yield "\nThe remedy: maintenance is over; credits are topped up; the key is accepted and resumed:\n"
    yield from table(HEAD_END, ends)


def _round(trouble: Trouble, number: int) -> tuple[list[object], list[object]]:
    """The two rows of one round: the fleet's stop and its resumption."""
    settings = {
        # A window of a tenth of a second: the permits of a whole second would go out in one burst.
        "LIMNER_RATE_REQUESTS": str(RATE // 10),
        "LIMNER_RATE_SECONDS": "0.1",
        "LIMNER_RATE_MARGIN_SECONDS": "0.01",
        "LIMNER_READS_PER_SECOND": "1",  # reads do not matter here
        "LIMNER_MAX_IN_FLIGHT": "100000",
        "LIMNER_PAUSE_SECONDS": str(PAUSE),
    }
    with ExitStack() as stack:
        fleet = stack.enter_context(
            LocalFleet(
                workers=WORKERS,
                settings=settings,
                provider=SandboxProvider(creates=0, reads=0, duration=600.0, create_latency=LATENCY),
                valkey=EmbeddedValkey(aof=True),
            )
        )
        producer = stack.enter_context(Limner(fleet.redis_url))
        witness = fleet.provider
        assert witness
        producer.submit_many(f"boat {job}" for job in range(JOBS))
        time.sleep(RUNNING)
        _close(witness, trouble)
        closed = time.time()
        time.sleep(CLOSED)
        remedy = _reopen(witness, producer, trouble, closed)
        deadline = time.monotonic() + PATIENCE
        while _accepted(witness) < 2 * RATE + _before(witness, remedy) and time.monotonic() < deadline:
            time.sleep(0.5)
        calls = [call for call in witness.calls() if call["endpoint"] == "createTask"]
        refusals = _by_process(fleet, trouble)
    return _begin(trouble, number, calls, refusals), _end(trouble, number, calls, 1000 * remedy)


def _close(witness: SandboxProvider, trouble: Trouble) -> None:
    if trouble.code == "455":
        witness.faults(create_455={"seconds": CLOSED})
    elif trouble.code == "402":
        witness.set_credits(0.0)
    else:
        witness.revoke(min(witness.options.accepted_keys))


def _reopen(witness: SandboxProvider, producer: Limner, trouble: Trouble, closed: float) -> float:
    """Apply the remedy; return its time."""
    if trouble.code == "455":
        return closed + CLOSED
    if trouble.code == "402":
        witness.set_credits(1_000_000.0)
        return time.time()
    witness.restore(min(witness.options.accepted_keys))
    now = time.time()
    producer.resume()
    return now


def _accepted(witness: SandboxProvider) -> int:
    return int(witness.summary()["created"])


def _before(witness: SandboxProvider, moment: float) -> int:
    return sum(1 for task in witness.ledger() if task["created_ms"] < 1000 * moment)


def _by_process(fleet: LocalFleet, trouble: Trouble) -> Counter[str]:
    """The number of refusals in the log of each worker process."""
    refusal = re.compile(rf"attempt \d+: SendAgain.*'{trouble.logged}'")
    return Counter(
        {
            worker.name: len(refusal.findall(worker.log.read_text(errors="replace")))
            for worker in fleet.workers
        }
    )


def _begin(
    trouble: Trouble, number: int, calls: list[dict[str, Any]], refusals: Counter[str]
) -> list[object]:
    refused = [call["at_ms"] for call in calls if call["outcome"] == trouble.code]
    first = refused[0]
    answered = first + 1000 * LATENCY
    # The first probe comes after the first pause; earlier requests leaked into the pause.
    leaked = [at for at in refused if at < first + 1000 * PAUSE - 500]
    before = sum(1 for call in calls if first - 2000 <= call["at_ms"] < first) / 2
    return [
        trouble.code,
        number,
        round(before),
        len(leaked),
        sum(1 for at in leaked if at <= answered),
        round(max(leaked) - answered),
        max(refusals.values()),
    ]


def _end(trouble: Trouble, number: int, calls: list[dict[str, Any]], remedy: float) -> list[object]:
    refused = [call["at_ms"] for call in calls if call["outcome"] == trouble.code]
    probes = [at for at in refused if at >= refused[0] + 1000 * PAUSE - 500]
    taken = [call["at_ms"] for call in calls if call["outcome"] == "200" and call["at_ms"] >= remedy]
    return [
        trouble.code,
        number,
        len(probes),
        (taken[0] - remedy) / 1000,
        round(taken[1] - taken[0] - 1000 * LATENCY),
        (taken[100] - taken[0]) / 1000,
    ]
