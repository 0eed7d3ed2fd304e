"""Celery's request for a step.

What a message says about time and revocation concerns the job, and not the message: ``eta`` and ``expires``
lie on the record, and a revoked job is cancelled. So the worker takes each message at once.
"""

from typing import Any

from celery.worker import request

from limner._redaction import hidden
from worker.logs import secrets_of


class Request(request.Request):
    """A request that hides secrets in what its events say of an error.

    Everybody who can write to the broker can read the events. Of a step that goes well, they say nothing: the
    arguments are left out, and it returns None.
    """

    @property
    def eta(self) -> None:
        """Never: the job waits on the ledger."""

    def revoked(self) -> bool:
        """Never: the ids that workers hand to each other are those of jobs."""
        return False

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002 - Celery's name
        """Send an event, if events are sent at all."""
        texts = {name: value for name, value in fields.items() if isinstance(value, str)}
        if texts:
            app: Any = self.app
            secrets = secrets_of(app.settings)
            fields |= {name: hidden(text, secrets) for name, text in texts.items()}
        super().send_event(type, **fields)
