"""For a worker's --include: its first attempt is on record, and then the machine sleeps for a while."""

import time
from itertools import count
from typing import Any

from limner.ledger.jobs import Jobs

_begin = Jobs.begin
_calls = count()


def begin(self: Jobs, *arguments: Any, **options: Any) -> Any:
    """Begin, and come back when the request could no longer be answered within the lease."""
    grant = _begin(self, *arguments, **options)
    if next(_calls) == 0:
        time.sleep(11.0)
    return grant


Jobs.begin = begin  # type: ignore[method-assign]
