"""``python -m release.ranges [PAGE]``: try the wheel with many releases of redis-py and pydantic.

It builds the wheel of this checkout, and makes an environment outside of it for each pair of releases and for
each neighbour. With a page, ``docs/compatibility.md``, it replaces the tables there. It needs a package index
and takes about ten minutes. It ends with 1 if a trial has failed.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from release.archives import build
from release.ranges.releases import NEIGHBOURS, PAIRS
from release.ranges.report import tables, within
from release.ranges.trials import Outcome, fleet, try_neighbour, try_pins

ROOT: Final = Path(__file__).parents[2]


def main(arguments: Sequence[str]) -> int:
    """Make all trials, and print their tables or write them to the named page; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="limner-ranges-") as folder, fleet() as running:
        build(ROOT, Path(folder), "wheel")
        (wheel,) = Path(folder).glob("*.whl")
        pins = {
            (redis, pydantic): _told(
                f"redis {redis}, pydantic {pydantic}", try_pins(wheel, redis, pydantic, running.redis_url)
            )
            for redis, pydantic in PAIRS
        }
        neighbours = {
            name: _told(name, try_neighbour(wheel, neighbour, running.redis_url))
            for name, neighbour in NEIGHBOURS.items()
        }
    made = tables(pins, neighbours)
    if arguments:
        page = Path(arguments[0])
        page.write_text(within(page.read_text("utf-8"), made), "utf-8")
    else:
        print(made)
    return int(any(outcome.fault for outcome in (*pins.values(), *neighbours.values())))


def _told(name: str, outcome: Outcome) -> Outcome:
    print(f"{name}: {outcome.fault or 'works'}", file=sys.stderr, flush=True)
    return outcome


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
