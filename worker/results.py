"""Results, as plain Celery code reads them: ``AsyncResult(job_id).get()``."""

from typing import Any

from celery import Celery, states

from limner.errors import LimnerError
from limner.ledger import Ledger
from limner.records import Record


class ResultStore:
    """Celery's result backend, and for how long results stay on the ledger too."""

    def __init__(self, app: Celery, ttl: float) -> None:
        self._backend: Any = app.backend
        self._ttl = ttl

    def store(self, record: Record, ledger: Ledger) -> None:
        """Store the outcome of a job that has ended, and tell the ledger. Doing it twice does no harm."""
        failure = record.failure
        if failure is None:
            images = record.images().model_dump(mode="json")
            self._backend.store_result(record.job_id, images, states.SUCCESS)
        else:
            self.refuse(record.job_id, failure)
        ledger.stored(record.job_id, ttl=self._ttl)

    def refuse(self, job_id: str, error: LimnerError) -> None:
        """Store an error as the result; for a Celery message from which no job could be made, too."""
        self._backend.store_result(job_id, error, states.FAILURE)
