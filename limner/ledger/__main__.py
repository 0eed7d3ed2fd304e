"""``python -m limner.ledger [PAGE]``: what the ledger keeps, as Markdown tables.

It prints them, or puts them into their place on that page: ``docs/ledger.md``.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from limner.ledger.tables import tables, within


def main(arguments: Sequence[str]) -> int:
    """Print the tables, or write them to the page that is named; returns the exit code."""
    if not arguments:
        sys.stdout.write(tables())
        return 0
    page = Path(arguments[0])
    page.write_text(within(page.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
