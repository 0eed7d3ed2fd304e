"""``python -m limner.ledger [PAGE]`` prints the tables of the ledger's layout, as Markdown.

With a page, ``docs/ledger.md``, it replaces the tables there.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from limner.ledger.tables import tables, within


def main(arguments: Sequence[str]) -> int:
    """Print the tables, or write them to the named page; returns the exit code."""
    if not arguments:
        sys.stdout.write(tables())
        return 0
    page = Path(arguments[0])
    page.write_text(within(page.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
