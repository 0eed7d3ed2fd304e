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

from limner.arguments import of_closing, of_money, of_quota
from limner.connection import store_errors
from limner.errors import Expired, JobFailed
from limner.learning import Learning
from limner.lines import Lines
from limner.pausing import Pausing
from limner.reading import Reading
from limner.records import JobState, Record, TaskState
from limner.scripts import moment, script_text, to_micro, to_ms
from limner.spending import Spend
from limner.terms import (
    Adoption,
    Claim,
    Claimed,
    Closing,
    Durability,
    Grant,
    Leases,
    Money,
    Quota,
    Step,
    Stray,
    Submission,
    Submitted,
    TaskEnd,
)

__all__ = [
    "LONGEST_NAP",
    "Adoption",
    "Claim",
    "Claimed",
    "Closing",
    "Durability",
    "Grant",
    "Leases",
    "Ledger",
    "Money",
    "Quota",
    "Step",
    "Stray",
    "Submission",
    "Submitted",
    "TaskEnd",
    "script_text",
]

LONGEST_NAP = 1.0
"""Seconds that a clock may sleep without asking what is due; ``lua/prelude.lua`` relies on it."""

FREE: Final = Money()
"""Without prices, nothing is held, and no cap is kept."""

EXPIRED: Final = Expired("It was not sent within the time that it was submitted with")

KEEP_STRAYS: Final = 10_000
STRAYS_SECONDS: Final = 14 * 86_400
"""How many callbacks for unknown jobs are kept, and for how long after the last one."""


class Ledger(Reading, Lines, Spend, Learning, Pausing):
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
            "lane": new.lane,
            "account": new.account,
            "expires_in": None if new.expires_in is None else to_ms(new.expires_in),
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

    def claim(self, *quotas: Quota, money: Money = FREE, batch: int = 100) -> Claimed:
        """Take up to ``batch`` steps of each kind that may happen now, on the accounts of these quotas."""
        steps, newer, wait = self._run(
            "claim",
            lease=to_ms(self.leases.step),
            look_lease=to_ms(self.leases.look),
            store_lease=0,
            quotas=[of_quota(quota) for quota in quotas],
            expired=EXPIRED.to_json(),
            batch=batch,
            **of_money(money),
        )
        return Claimed([Claim(*step) for step in steps], newer, LONGEST_NAP if wait < 0 else wait / 1000)

    def give_back(self, steps: Iterable[Claim]) -> int:
        """Steps that were claimed and will not be taken: their permits and places are free again at once.

        Those that have been begun, or belong to others by now, stay as they are. Returns how many did not.
        """
        given = [(step.job_id, step.step, step.lease) for step in steps]
        return int(self._run("give_back", steps=given)) if given else 0

    def begin(
        self, job_id: str, lease: int, token: str, *, deadline: float, money: Money = FREE
    ) -> Grant | Literal["stale", "late"]:
        """queued → sending: put an attempt on record, with its secret token, before its request goes out.

        ``deadline`` is the time that the job has from its first attempt on. What it is expected to cost is
        held; a job that would break a cap waits, or fails. Calling again with the same token returns the same
        grant. Raises NotDurable, after which nothing may be sent.
        """
        answer, *grant = self._run_durably(
            "begin",
            job=job_id,
            lease=lease,
            token=token,
            send_lease=to_ms(self.leases.send),
            store_lease=0,
            deadline=to_ms(deadline),
            **of_money(money),
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
        pause: Closing | None = None,
        pardon: float | None = None,
        unsent: bool = False,
    ) -> bool:
        """sending → queued: the provider refused this attempt, or with ``unsent`` has never had it.

        ``pause`` holds the whole account up. An attempt with a pause, or with ``pardon``, does not count, and
        neither does that time.
        """
        return bool(
            self._run(
                "retry",
                job=job_id,
                attempt=attempt,
                error=error,
                delay=to_ms(delay),
                pause=None if pause is None else {**of_closing(pause), "error": error},
                pardon=None if pardon is None else to_ms(pardon),
                unsent=unsent or None,
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

    def begin_look(self, job_id: str, lease: int) -> Record | None:
        """The record of a job that is to be looked at now, for which its permit counts from now on.

        None if the step is stale, or has to wait for another permit.
        """
        answer = self._run("begin_look", job=job_id, lease=lease, look_lease=to_ms(self.leases.look))
        if not answer:
            return None
        flat, now = answer
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        return Record.from_hash(job_id, fields, moment(now))

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
        too_often: bool = False,
    ) -> bool:
        """generating, or ended: the task was not ready; look again in ``look_in`` seconds.

        ``task_id`` names it if the job has others, which are looked at first then, or if the provider has now
        shown it (``sure``), as the task of ``attempt``. With ``too_often``, it was refused for its rate.
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
                too_often=too_often or None,
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
            cost=None if cost is None else to_micro(cost),
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
        owed: bool = False,
        attempt: int | None = None,
    ) -> TaskEnd:
        """A task has ended without images, and with it the job, unless another one is still open.

        It is paid for if it has a ``cost``, or is ``owed`` for at the expected one. If another attempt is in
        doubt, so is the job now, for ``grace``.
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
            cost=to_micro(cost) if cost else None,
            owed=owed or bool(cost) or None,
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
        certain: bool = True,
    ) -> datetime | None:
        """Any of ``come_from`` → failed, if the lease or attempt still holds.

        An ``attempt`` was refused, ``certain`` to cost nothing, or perhaps accepted all the same. Returns the
        time of the end, None if the step is stale or an earlier attempt's task is still open.
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
            refused=bool(attempt and certain) or None,
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
