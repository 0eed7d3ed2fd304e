"""The messages of Limner's tasks, as a worker receives them.

What a message says about time and revocation concerns the job, and not the message: ``eta`` and ``expires``
lie on the record, and a revoked job is cancelled. So the worker takes each message at once.
"""

import logging
from collections.abc import Callable
from typing import Any, Final

from celery.exceptions import InvalidTaskError
from celery.worker.request import Request
from celery.worker.strategy import default
from kombu.exceptions import ContentDisallowed, DecodeError

from limner.errors import InvalidRequest, StoreUnavailable
from worker.refusals import refuse
from worker.transport import STEP

logger = logging.getLogger(__name__)

_UNREADABLE: Final = (InvalidTaskError, ContentDisallowed, DecodeError, LookupError, TypeError, ValueError)


class StepRequest(Request):
    """A request that does not wait in the worker's memory, and that nobody can revoke."""

    @property
    def eta(self) -> None:
        """Never: the job waits on the ledger."""

    def revoked(self) -> bool:
        """Never: the ids that workers hand to each other are those of jobs."""
        return False


def strategy(task: Any, app: Any, consumer: Any) -> Callable[..., Any]:
    """Celery's own strategy, with an answer for producers whose message cannot be read."""
    handle = default(task, app, consumer)

    def receive(message: Any, body: Any, ack: Any, reject: Any, callbacks: Any, **options: Any) -> Any:
        try:
            return handle(message, body, ack, reject, callbacks, **options)
        except _UNREADABLE as error:
            message_id = (message.headers or {}).get("id")
            if STEP in (message.headers or {}) or not isinstance(message_id, str):
                raise
            try:
                refuse(app.services, message_id, _explained(message, error))
            except StoreUnavailable as away:
                # It stays unacknowledged, so the broker delivers it again.
                logger.warning("message %s waits: %s", message_id, away)
            else:
                ack(logger, consumer.connection_errors)

    return receive


def _explained(message: Any, error: Exception) -> InvalidRequest:
    if isinstance(error, ContentDisallowed):
        return InvalidRequest(
            f"the message is {message.content_type}, and limner.create_task takes JSON: "
            "send it with serializer='json'"
        )
    return InvalidRequest(f"the message cannot be read: {error}")
