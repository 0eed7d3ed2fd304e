"""Refusals of messages from which no job can be made: each is the result that its producer waits for."""

import logging
from typing import Any

from limner.errors import LimnerError, RecordUnreadable
from worker.services import Services

logger = logging.getLogger(__name__)


def refuse(
    services: Services, message_id: str, error: LimnerError, asked: dict[str, Any] | None = None
) -> None:
    """Store an error as the result of a message, unless the id is that of a job. Raises StoreUnavailable.

    ``asked`` is what the message asks of Celery (``worker.continuations``), if it could be read.
    """
    if _is_job(services, message_id):
        logger.warning("a message with the id of job %s is refused: %s", message_id, error)
    else:
        services.results.refuse(message_id, error, asked)


def _is_job(services: Services, message_id: str) -> bool:
    try:
        return services.ledger.jobs.read(message_id) is not None
    except RecordUnreadable:
        return True
