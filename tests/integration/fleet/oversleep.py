"""A module for a worker's --include, which delays the worker after it has recorded its first attempt."""

import time
from itertools import count
from typing import Any

from limner.ledger.jobs import Jobs

_begin = Jobs.begin
_calls = count()


def begin(self: Jobs, *arguments: Any, **options: Any) -> Any:
    """Begin, and return when the request could no longer be answered within the lease."""
    grant = _begin(self, *arguments, **options)
    if next(_calls) == 0:
        time.sleep(11.0)
    return grant


Jobs.begin = begin  # type: ignore[method-assign]
