"""The ledger: what Redis remembers of every job, and the only way to change it.

Each transition is one method here and one script in ``lua/``: atomic, and refused by the script itself when
the job is not where the caller believes it to be. Durations are in seconds. All methods raise
:class:`~limner.errors.StoreUnavailable` when Redis does not answer in time and
:class:`~limner.errors.RecordTooNew` for the record of a newer version.
"""

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Literal

from limner.connection import store_errors
from limner.errors import JobFailed
from limner.reading import Reading
from limner.records import JobState, Record, TaskState
from limner.scripts import moment, script_text, to_ms
from limner.terms import (
    Adoption,
    Budget,
    Claim,
    Claimed,
    Durability,
    Grant,
    Leases,
    Step,
    Stray,
    Submission,
    Submitted,
    TaskEnd,
)

__all__ = [
    "LONGEST_NAP",
    "Adoption",
    "Budget",
    "Claim",
    "Claimed",
    "Durability",
    "Grant",
    "Leases",
    "Ledger",
    "Step",
    "Stray",
    "Submission",
    "Submitted",
    "TaskEnd",
    "script_text",
]

LONGEST_NAP = 1.0
"""Seconds that a clock may sleep without asking what is due; ``lua/prelude.lua`` relies on it."""

KEEP_STRAYS: Final = 10_000
STRAYS_SECONDS: Final = 14 * 86_400
"""How many callbacks for unknown jobs are kept, and for how long after the last one."""


class Ledger(Reading):
    """All jobs of one account group.

    ``clock`` gives the time in seconds since the epoch; without it, the Redis server's own clock rules, and
    the clocks of the machines do not matter. ``durability`` is that of a new job and of an attempt.
    """

    # Transitions

    @staticmethod
    def submit_arguments(new: Submission) -> dict[str, Any]:
        """What ``submit.lua`` is called with; for asynchronous callers."""
        return {
            "job": new.job_id,
            "request": new.request,
            "digest": new.digest,
            "metadata": new.metadata,
            "priority": new.priority,
            "key": new.key,
            "key_ttl": to_ms(new.key_ttl),
        }

    def submit(self, new: Submission) -> Submitted:
        """Write a new job, unless its id or idempotency key is known. Raises NotDurable, too."""
        return Submitted(*self._run_durably("submit", **self.submit_arguments(new)))

    def submit_many(self, new: list[Submission]) -> list[Submitted]:
        """Write many jobs in one round trip, each as :meth:`submit` would."""
        if not new:
            return []
        answers = self._run_each_durably("submit", [self.submit_arguments(one) for one in new])
        return [Submitted(*answer) for answer in answers]

    def claim(self, budget: Budget, *, batch: int = 100) -> Claimed:
        """Take up to ``batch`` steps of each kind that may happen now."""
        steps, newer, wait = self._run(
            "claim",
            lease=to_ms(self.leases.step),
            look_lease=to_ms(self.leases.look),
            creates=budget.creates,
            creates_span=to_ms(budget.creates_span),
            looks=budget.looks,
            looks_span=to_ms(budget.looks_span),
            max_in_flight=budget.max_in_flight,
            batch=batch,
        )
        return Claimed([Claim(*step) for step in steps], newer, LONGEST_NAP if wait < 0 else wait / 1000)

    def give_back(self, steps: Iterable[Claim]) -> int:
        """Steps that were claimed and will not be taken: their permits and places are free again at once.

        Those that have been begun, or belong to others by now, stay as they are. Returns how many did not.
        """
        given = [(step.job_id, step.step, step.lease) for step in steps]
        return int(self._run("give_back", steps=given)) if given else 0

    def begin(
        self, job_id: str, lease: int, token: str, *, deadline: float
    ) -> Grant | Literal["stale", "late"]:
        """queued → sending: put an attempt on record, with its secret token, before its request goes out.

        ``deadline`` is the time that the job has from its first attempt on. Calling again with the same token
        returns the same grant. Raises NotDurable, after which nothing may be sent.
        """
        answer, *grant = self._run_durably(
            "begin",
            job=job_id,
            lease=lease,
            token=token,
            send_lease=to_ms(self.leases.send),
            deadline=to_ms(deadline),
        )
        return Grant(*grant) if answer == "granted" else answer

    def accepted(self, job_id: str, attempt: int, task_id: str, *, look_in: float) -> Adoption:
        """The provider's answer to an attempt names its task: sending, in_doubt, queued → generating.

        Of a job that has ended, or that has another task already, this one is followed as well.
        """
        return self._adopt(job_id, attempt, task_id, by="answer", delay=to_ms(look_in))

    def called_back(self, job_id: str, token: str, task_id: str) -> Adoption:
        """A callback names a task. Its token proves the attempt; the task is to be confirmed by a look."""
        fields = self._hash(job_id)
        if not fields:
            self._keep_stray(job_id, task_id)
            return Adoption.UNKNOWN_JOB
        tokens = Record.from_hash(job_id, fields).tokens
        # All are compared, so that the time it takes tells nothing.
        proven = [
            attempt
            for attempt, secret in tokens.items()
            if hmac.compare_digest(secret.encode(), token.encode("utf-8", "replace"))
        ]
        if not proven:
            self.count_callback(Adoption.BAD_TOKEN)
            return Adoption.BAD_TOKEN
        return self._adopt(job_id, proven[0], task_id, by="callback")

    def adopt(self, job_id: str, task_id: str) -> Adoption:
        """A person says that a task belongs to the job's last attempt; a look is to confirm it."""
        record = self.read(job_id)
        if record is None:
            return Adoption.UNKNOWN_JOB
        return self._adopt(job_id, record.attempt, task_id, by="person")

    def _adopt(self, job_id: str, attempt: int, task_id: str, **how: Any) -> Adoption:
        return Adoption(self._run("adopt", job=job_id, attempt=attempt, task_id=task_id, **how))

    def retry(
        self,
        job_id: str,
        attempt: int,
        error: Mapping[str, Any],
        *,
        delay: float,
        pause: float | None = None,
        pardon: float | None = None,
    ) -> bool:
        """sending → queued: the provider refused this attempt.

        ``pause`` holds the whole account up. An attempt with a pause, or with ``pardon``, does not count, and
        neither does that time.
        """
        pardon = pause if pardon is None else pardon
        return bool(
            self._run(
                "retry",
                job=job_id,
                attempt=attempt,
                error=error,
                delay=to_ms(delay),
                pause=None if pause is None else to_ms(pause),
                pardon=None if pardon is None else to_ms(pardon),
            )
        )

    def doubt(self, job_id: str, attempt: int, error: Mapping[str, Any], *, grace: float) -> bool:
        """sending → in_doubt: whether the provider accepted is not known. To be settled after ``grace``."""
        return bool(self._run("doubt", job=job_id, attempt=attempt, error=error, grace=to_ms(grace)))

    def hold(self, job_id: str, lease: int, *, ask_again_in: float) -> bool:
        """in_doubt: leave the decision to a person; the job is to be settled again after that time."""
        return bool(self._run("hold", job=job_id, lease=lease, delay=to_ms(ask_again_in)))

    def resubmit(self, job_id: str, *, lease: int | None = None, attempt: int | None = None) -> int:
        """in_doubt → queued, at the risk of paying twice.

        By policy it is done with the lease, and only once; by a person with the attempt that is in doubt.
        Returns how often the job has been resubmitted, 0 if it may not be.
        """
        return int(self._run("resubmit", job=job_id, lease=lease, attempt=attempt))

    def looked(
        self,
        job_id: str,
        lease: int,
        answer: str,
        *,
        look_in: float,
        task_id: str | None = None,
        sure: bool = False,
        attempt: int | None = None,
    ) -> bool:
        """generating, or ended: the task was not ready; look again in ``look_in`` seconds.

        ``task_id`` names it if the job has others, which are looked at first then, or if the provider has now
        shown it (``sure``), as the task of ``attempt``.
        """
        return bool(
            self._run(
                "looked",
                job=job_id,
                lease=lease,
                answer=answer,
                delay=to_ms(look_in),
                task_id=task_id,
                sure=sure or None,
                attempt=attempt,
            )
        )

    def task_succeeded(
        self,
        job_id: str,
        task_id: str,
        urls: Sequence[str],
        cost: Decimal | None,
        *,
        ttl: float,
        attempt: int | None = None,
    ) -> TaskEnd:
        """A task has made its images. ``cost`` is in credits.

        The first such task of a job is its result, even if the job had failed by then. Of a cancelled job, or
        of one that has its result, it is noted with its cost. ``ttl`` is for how long a record is kept of
        which nothing more is expected, ``attempt`` the one whose task it is, as the provider says.
        """
        spent = None if cost is None else str(cost)
        return self._task_ended(
            job_id,
            task_id,
            TaskState.SUCCEEDED,
            outcome={"urls": list(urls), "credits": spent},
            ttl=ttl,
            credits=spent,
            urls=list(urls),
            attempt=attempt,
        )

    def task_failed(
        self,
        job_id: str,
        task_id: str,
        error: JobFailed,
        *,
        ttl: float,
        grace: float = 0.0,
        cost: Decimal | None = None,
        attempt: int | None = None,
    ) -> TaskEnd:
        """A task has ended without images, and with it the job, unless another one is still open.

        If another attempt is in doubt, so is the job now, for ``grace``.
        """
        told = error.to_json()
        return self._task_ended(
            job_id,
            task_id,
            TaskState.FAILED,
            outcome={"error": told},
            ttl=ttl,
            error=told,
            grace=to_ms(grace),
            credits=None if not cost else str(cost),
            attempt=attempt,
        )

    def task_lost(
        self, job_id: str, task_id: str, reason: Mapping[str, Any], *, grace: float, ttl: float
    ) -> TaskEnd:
        """A task is not looked at any more.

        ``reason`` holds a ``cause``, "foreign" for the task of another job, and a ``message``. A job that has
        no other task is in doubt again, for ``grace``.
        """
        return self._task_ended(
            job_id,
            task_id,
            TaskState.LOST,
            outcome={},
            ttl=ttl,
            error=reason,
            grace=to_ms(grace),
            foreign=True if reason.get("cause") == "foreign" else None,
        )

    def _task_ended(
        self,
        job_id: str,
        task_id: str,
        result: TaskState,
        *,
        outcome: Mapping[str, Any],
        ttl: float,
        **facts: Any,
    ) -> TaskEnd:
        what, at = self._run(
            "task_ended",
            job=job_id,
            task_id=task_id,
            result=result,
            outcome=json.dumps(outcome),
            ttl=to_ms(ttl),
            store_lease=to_ms(self.leases.store),
            **facts,
        )
        return TaskEnd(what, moment(at) if at else None)

    def fail(
        self,
        job_id: str,
        error: JobFailed,
        come_from: list[JobState],
        *,
        lease: int | None = None,
        attempt: int | None = None,
    ) -> datetime | None:
        """Any of ``come_from`` → failed, if the lease or attempt still holds.

        Returns the time of the end, None if the step is stale or an earlier attempt's task is still open.
        """
        told = error.to_json()
        ended = self._run(
            "finish",
            job=job_id,
            state=JobState.FAILED,
            outcome=json.dumps({"error": told}),
            detail={"error": told},
            **{"from": come_from},
            lease=lease,
            attempt=attempt,
            store_lease=to_ms(self.leases.store),
        )
        return moment(ended) if ended else None

    def cancel(self, job_id: str, unsent: JobFailed, sent: JobFailed) -> JobState | None:
        """Any state → cancelled, with the first error before the request is sent and the second after.

        Returns the state in which the job was found, None for an unknown job. An ended job stays as it is.
        """
        state = self._run(
            "cancel",
            job=job_id,
            unsent=json.dumps({"error": unsent.to_json()}),
            sent=json.dumps({"error": sent.to_json()}),
            store_lease=0,
        )
        return JobState(state) if state else None

    def stored(self, job_id: str, finished_at: datetime, *, ttl: float, follow: float = 0.0) -> bool:
        """The result with which a job ended at that time is in the result backend.

        Its record goes in ``ttl`` seconds; if a task of it is still open, that one is looked at after
        ``follow`` seconds, and the record stays. Should the job have another end by now, it is due again.
        """
        finished = to_ms(finished_at.timestamp())
        return bool(self._run("stored", job=job_id, finished=finished, ttl=to_ms(ttl), follow=to_ms(follow)))

    # Callbacks that name no attempt

    def _keep_stray(self, job_id: str, task_id: str) -> None:
        strays = self.prefix + "strays"
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            pipe.xadd(strays, {"job": job_id, "task": task_id}, maxlen=KEEP_STRAYS, approximate=True)
            pipe.expire(strays, STRAYS_SECONDS)
            pipe.hincrby(self.prefix + "callbacks", Adoption.UNKNOWN_JOB, 1)
            pipe.execute()

    def count_callback(self, outcome: str) -> None:
        """Count a callback that did not get as far as :meth:`called_back`."""
        with store_errors(self._redis):
            self._redis.hincrby(self.prefix + "callbacks", outcome, 1)
