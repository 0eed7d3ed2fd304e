"""Results, as plain Celery code reads them: ``AsyncResult(job_id).get()``."""

from typing import Any

import redis
from celery import Celery, states
from celery.exceptions import BackendError
from kombu.exceptions import OperationalError

from limner.errors import LimnerError, StoreUnavailable
from limner.ledger import Ledger
from limner.records import Record
from worker.polling import PollLaw

_BACKEND_ERRORS = (redis.RedisError, BackendError, OperationalError, OSError)

KEEP_RECORD = 900.0
"""Seconds that a record is kept at least. For the message of a plain Celery producer, which the broker may
deliver again after its visibility timeout, the record is all that tells that the job is done."""


class ResultStore:
    """Celery's result backend, and for how long results stay on the ledger too."""

    def __init__(self, app: Celery, ttl: float, quiet: PollLaw) -> None:
        self._backend: Any = app.backend
        self._quiet = quiet
        self.record_ttl = max(ttl, KEEP_RECORD)
        """Seconds that a record is kept of which nothing more is expected."""

    def store(self, record: Record, ledger: Ledger) -> None:
        """Store the outcome of a job that has ended, and tell the ledger. Doing it twice does no harm.

        Raises StoreUnavailable if the backend or the ledger is away; the job stays due until it is done.
        """
        failure = record.failure
        if failure is None:
            images = record.images().model_dump(mode="json")
            self._write(record.job_id, images, states.SUCCESS)
        else:
            self.refuse(record.job_id, failure)
        assert record.finished_at  # noqa: S101 - it has ended
        age = (record.finished_at - (record.accepted_at or record.finished_at)).total_seconds()
        follow = self._quiet.next_look(age)
        ledger.stored(record.job_id, record.finished_at, ttl=self.record_ttl, follow=follow)

    def refuse(self, job_id: str, error: LimnerError) -> None:
        """Store an error as the result; for a Celery message from which no job could be made, too."""
        self._write(job_id, error, states.FAILURE)

    def _write(self, job_id: str, result: Any, state: str) -> None:
        try:
            self._backend.store_result(job_id, result, state)
        except _BACKEND_ERRORS as error:
            raise StoreUnavailable(
                f"the result backend did not take a result ({error!r}); LIMNER_RESULT_URL says where it is"
            ) from error
