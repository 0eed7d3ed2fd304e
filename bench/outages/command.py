"""The command line of the bench."""

import argparse
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from bench.outages import stray
from bench.outages.figures import Figures
from bench.outages.rows import rows
from bench.outages.sorts import SORTS
from bench.outages.table import play
from bench.outages.trial import Trial
from bench.report import table
from sandbox.processes.checkout import CHECKOUT

T = TypeVar("T")

LONG: Final = ("502", "refused", "455")
"""The sorts of outages that are also played for half an hour unless ``--sorts`` names others."""
LENGTHS: Final = (10, 120, 1800)

HEAD: Final = (
    "outage",
    "length, s",
    "callbacks",
    "lost",
    "failed",
    "in doubt",
    "on the wire at first",
    "probes",
    "pauses, s",
    "pauses for 429",
    "healed to whole quota, s",
    "÷ last pause",
    "jobs with several tasks (most)",
    "charged without images, credits",
    "doubtful in `spend`",
    "not in `spend`",
)


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="python -m bench outages", description=__doc__)
    made.add_argument("--scale", type=float, default=10.0, help="every time is shorter by this factor")
    made.add_argument("--sorts", default="", help=f"of {','.join(SORTS)}; by default all")
    made.add_argument("--lengths", default="", help="seconds before scaling; by default 10,120,1800")
    made.add_argument("--callbacks", choices=("on", "off", "both"), default="both")
    made.add_argument("--jobs", type=int, default=500, help="that wait when an outage begins")
    made.add_argument("--rows", action="store_true", help="play the single faults instead")
    made.add_argument("--stray", action="store_true", help="measure the throughput under stray refusals")
    made.add_argument("--only", default="", help="of the single faults, those whose text contains this")
    made.add_argument("--checkout", type=Path, help="another version, with which they are played before")
    made.add_argument("--together", type=int, default=5, help="fleets that run at once")
    return made


def run(arguments: Sequence[str] = ()) -> Iterator[str]:
    """The tables that the options ask for."""
    chosen = parser().parse_args(arguments)
    yield f"Every time is shorter by the factor {chosen.scale:g}, the table's lengths excepted.\n"
    if chosen.rows:
        yield from _rows(chosen)
        return
    if chosen.stray:
        yield from table(stray.HEAD, stray.rows(chosen.scale))
        return
    played = _together(chosen.together, [trial.run for trial in _trials(chosen)])
    yield from table(HEAD, (_row(trial, found) for trial, found in played))


def _rows(chosen: argparse.Namespace) -> Iterator[str]:
    wanted = [row for row in rows(chosen.scale) if chosen.only in row.says]
    versions = [*filter(None, [chosen.checkout]), CHECKOUT]
    calls = [partial(play, row, chosen.scale, version) for row in wanted for version in versions]
    cells = iter(_together(chosen.together, calls))
    head = ["fault", *(["before"] if chosen.checkout else []), "now"]
    yield from table(head, ([row.says, *(next(cells) for _ in versions)] for row in wanted))


def _trials(chosen: argparse.Namespace) -> Iterator[Trial]:
    callbacks = {"on": [True], "off": [False], "both": [False, True]}[chosen.callbacks]
    lengths = [float(length) for length in chosen.lengths.split(",") if length] or LENGTHS
    for seconds in sorted(
        lengths, reverse=True
    ):  # the longest first, so that they do not run alone at the end
        for sort in chosen.sorts.split(",") if chosen.sorts else SORTS:
            if chosen.sorts or seconds < max(LENGTHS) or sort in LONG:
                for with_callbacks in callbacks:
                    yield Trial(sort, seconds, with_callbacks, chosen.scale, chosen.jobs)


def _together(count: int, calls: Sequence[Callable[[], T]]) -> Iterator[T]:
    with ThreadPoolExecutor(count) as pool:
        yield from pool.map(lambda call: call(), calls)


def _row(trial: Trial, found: Figures) -> list[object]:
    return [
        SORTS[trial.sort].says,
        f"{trial.seconds:g}",
        "on" if trial.callbacks else "off",
        found.ends["lost"],
        found.failed,
        found.ends["in doubt"],
        found.on_the_wire,
        found.probes,
        " ".join(f"{pause:g}" for pause in found.pauses) or "none",
        found.limited,
        "never" if found.back is None else found.back,
        "" if found.ratio is None else found.ratio,
        f"{found.doubles} ({found.most_tasks})",
        f"{found.charged:g}",
        f"{found.doubtful:g}",
        f"{found.unbooked:g}",
    ]
