"""A module for a worker's --include: it loses its patience with Redis early, and tells outages often."""

from tasks import commit
from worker import outages

commit.PATIENCE = 3.0
outages.MINUTE = 3.0  # type: ignore[misc]
