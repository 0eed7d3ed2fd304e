"""Results in Celery's backend, where plain Celery code reads them: ``AsyncResult(job_id).get()``."""

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import redis
from celery import Celery, states
from celery.backends.base import BaseKeyValueStoreBackend
from pydantic import ValidationError

from limner._redis import same_database
from limner.errors import LimnerError, StoreUnavailable
from limner.ledger import BackendResult, Ledger, Record, Stored
from limner.status import JobState
from worker.continuations import BROKER_ERRORS, Asked, conclude
from worker.polling.policies import PollPolicy

logger = logging.getLogger(__name__)

KEEP_RECORD = 900.0
"""The shortest time in seconds that a record is kept. The broker may deliver the message of a plain Celery
producer again after its visibility timeout, and the record still answers it. For longer, only its id is
remembered (LIMNER_MESSAGE_SECONDS)."""


class ResultStore:
    """Stores results in Celery's backend, and sets the time to live of their records.

    With ``beside_the_ledger``, the backend is the ledger's own server and database. Then the script that ends
    a job can store the result as well.
    """

    def __init__(
        self, app: Celery, ledger: Ledger, ttl: float, late: PollPolicy, *, beside_the_ledger: bool = False
    ) -> None:
        self._app = app
        self._backend: Any = app.backend
        self._ledger = ledger
        self._late = late
        self._ttl = ttl
        self._beside_the_ledger = beside_the_ledger
        self.record_ttl = max(ttl, KEEP_RECORD)
        """The time to live in seconds of a record to which nothing more can happen."""

    def ahead(
        self, record: Record, task_id: str, urls: Sequence[str], spent: Decimal | str | None, now: datetime
    ) -> BackendResult | None:
        """The encoded result of a job that this task is about to end.

        None if the backend is elsewhere, or if Celery has to do more than to store it.
        """
        if not self._beside_the_ledger or record.celery:
            return None
        try:
            images = record.images_of(task_id, urls, spent, now).model_dump(mode="json")
        except ValidationError as error:
            # The end is recorded without it, and its result is stored afterwards.
            logger.warning("the result of job %s cannot be made beforehand: %s", record.job_id, error)
            return None
        # The ledger inserts the time of the end, so the text is split there.
        cut = f"@{uuid4().hex}@"
        images["finished_at"] = cut
        head, tail = self._encoded(record.job_id, images, states.SUCCESS).split(cut)
        return BackendResult(
            key=_text(self._backend.get_key_for_task(record.job_id)),
            head=head,
            tail=tail,
            expires=self._ttl,
            attempt=record.attempt,
            ttl=self.record_ttl,
            follow=self._follow(record, now),
        )

    def ahead_copied(self, record: Record, stored: Mapping[int, Stored]) -> BackendResult | None:
        """The encoded result of a job that these copies are about to end; None as :meth:`ahead`."""
        copies = tuple(
            replace(copy, stored=True, file=stored[copy.number].file) if copy.number in stored else copy
            for copy in record.copies
        )
        complete = all(copy.stored for copy in copies if copy.task_id == record.task_id)
        if record.state is not JobState.COPYING or not complete or not record.task_id or not record.read_at:
            return None
        made, copied = record.outcome or {}, replace(record, copies=copies)
        return self.ahead(copied, record.task_id, made.get("urls", ()), made.get("credits"), record.read_at)

    def _encoded(self, job_id: str, result: Any, state: str, **more: Any) -> str:
        # The backend's own encoding has no public name.
        meta = self._backend._get_result_meta(result, state, None, None)  # noqa: SLF001
        return _text(self._backend.encode({**meta, "task_id": job_id, **more}))

    def _follow(self, record: Record, finished_at: datetime) -> float:
        age = (finished_at - (record.accepted_at or finished_at)).total_seconds()
        return self._late.next_poll(max(age, 0.0))

    def store(self, record: Record, ledger: Ledger) -> None:
        """Store the outcome of a job that has ended, and mark it as stored. A repetition is harmless.

        Raises StoreUnavailable if the backend, the broker or the ledger is away. The job stays due until its
        result is stored, and what the producer has linked to it is sent. A later end of the same job
        replaces the result, and sends nothing.
        """
        result = record.failure or record.images().model_dump(mode="json")
        asked = record.celery or {}
        first = bool(asked) and not record.continued
        if first:
            self._write(record.job_id, asked, result)
        # Celery may have kept a result without the copies, which an earlier call has stored.
        if not asked.get("ignore_result") and (record.copied or not first):
            self._write(record.job_id, {}, result, again=record.copied)
        assert record.finished_at  # noqa: S101 - it has ended
        follow = self._follow(record, record.finished_at)
        ledger.jobs.stored(
            record.job_id, record.finished_at, ttl=self.record_ttl, follow=follow, copied=record.copied
        )

    def refuse(self, job_id: str, error: LimnerError, asked: Asked | None = None) -> bool:
        """Store an error as the result of a message from which no job can be made.

        A message may have the id of a job, which waits for a result of its own: then nothing is stored, and
        False returned. A result that is there stays. ``asked`` is what the message asks of Celery
        (``worker.continuations``), which takes effect then as well. Raises StoreUnavailable.
        """
        with _backend_errors():
            if self._beside_the_ledger and not asked:
                return self._refuse_at_once(job_id, error)
            if self._is_known(job_id):
                return False
            if self._backend.get_task_meta(job_id, cache=False)["status"] == states.PENDING:
                self._write(job_id, asked or {}, error)
            return True

    def _is_known(self, job_id: str) -> bool:
        with self._ledger.store.client() as client:
            return bool(client.exists(self._ledger.jobs.key(job_id)))

    def _refuse_at_once(self, job_id: str, error: LimnerError) -> bool:
        """The same in a transaction, so that no job is submitted in between."""
        job, key = self._ledger.jobs.key(job_id), _text(self._backend.get_key_for_task(job_id))
        result = self._backend.encode_result(error, states.FAILURE)
        refusal = self._encoded(job_id, result, states.FAILURE)

        def write(pipe: Any) -> bool:
            known, stored = pipe.exists(job), pipe.exists(key)
            pipe.multi()
            if not known and not stored:
                pipe.set(key, refusal, px=max(1, round(self._ttl * 1000)))
                pipe.publish(key, refusal)
            return not known

        told: bool = self._backend.client.transaction(write, job, key, value_from_callable=True)
        return told

    def _write(
        self, job_id: str, asked: Asked, result: dict[str, Any] | LimnerError, *, again: bool = False
    ) -> None:
        with _backend_errors():
            if asked:
                conclude(self._app, job_id, asked, result)
            elif again and isinstance(self._backend, BaseKeyValueStoreBackend):
                # Celery keeps the first success, which lacks what was copied since.
                key = self._backend.get_key_for_task(job_id)
                known = self._backend.get_task_meta(job_id, cache=False)
                sent = known.get("children") if known["status"] == states.SUCCESS else None
                self._backend.set(key, self._encoded(job_id, result, states.SUCCESS, children=sent or []))
            else:
                state = states.FAILURE if isinstance(result, LimnerError) else states.SUCCESS
                self._backend.store_result(job_id, result, state)


@contextlib.contextmanager
def _backend_errors() -> Iterator[None]:
    try:
        yield
    except BROKER_ERRORS as error:
        raise StoreUnavailable(
            f"the result backend did not take a result, or the broker a linked task ({error!r}); "
            "LIMNER_RESULT_URL and LIMNER_BROKER_URL say where they are"
        ) from error


def _text(text: str | bytes) -> str:
    return text.decode() if isinstance(text, bytes) else text


def beside(ledger: "redis.Redis", backend: Any) -> bool:
    """True if Celery's result backend uses the ledger's own database and user."""
    pool = getattr(getattr(backend, "client", None), "connection_pool", None)
    if pool is None:
        return False
    return same_database(ledger.connection_pool, pool)
