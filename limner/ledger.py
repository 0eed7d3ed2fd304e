"""The ledger: what Redis remembers of every job, and the only way to change it.

Each transition is one method here and one script in ``lua/``: atomic, and refused by the script itself when
the job is not where the caller believes it to be. Durations are in seconds. All methods raise
:class:`~limner.errors.StoreUnavailable` when Redis does not answer in time and
:class:`~limner.errors.RecordTooNew` for the record of a newer version.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import redis

from limner.connection import store_errors
from limner.errors import JobFailed
from limner.records import Event, JobState, LogEntry, Record

Step = Literal["create", "look", "settle"]
Milliseconds = int

LONGEST_NAP = 1.0
"""Seconds that a clock may sleep without asking what is due; ``lua/prelude.lua`` relies on it."""


@dataclass(frozen=True, slots=True)
class Leases:
    """For how long a step belongs to one worker, in seconds."""

    step: float = 20.0
    """From the claim until the step begins: a message may be lost, or wait in the broker."""
    look: float = 30.0
    """From the claim of a look until its answer is on record; longer than a request can take."""
    send: float = 30.0
    """From the begin of an attempt until its outcome is on record; longer than a request can take."""
    store: float = 10.0
    """From the end of a job until its result lies in the result backend."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be granted: at most ``creates`` attempts in any ``creates_span`` seconds, and so on."""

    creates: int
    creates_span: float
    looks: int
    looks_span: float
    max_in_flight: int


@dataclass(frozen=True, slots=True)
class Submission:
    """A job about to be written. ``request`` and ``metadata`` are JSON texts, ``key`` is a digest."""

    job_id: str
    request: str
    digest: str
    metadata: str = "{}"
    priority: int = 5
    key: str | None = None
    key_ttl: float = 0.0


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission: ``conflict`` if the key belongs to another request."""

    outcome: Literal["created", "known", "conflict"]
    job_id: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A step that the caller may take, until its lease is over."""

    job_id: str
    step: Step
    lease: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """The steps granted, the jobs left to newer workers, and the seconds until there is more to do."""

    steps: list[Claim]
    too_new: list[str]
    wait: float


@dataclass(frozen=True, slots=True)
class Grant:
    """The permission to send one attempt. ``tries`` counts the attempts that count against the maximum."""

    attempt: int
    tries: int
    request: str


@cache
def script_text(name: str) -> str:
    """The whole text of a transition's script."""
    lua = files("limner") / "lua"
    return (lua / "prelude.lua").read_text("utf-8") + (lua / f"{name}.lua").read_text("utf-8")


def _ms(seconds: float) -> Milliseconds:
    return round(seconds * 1000)


class Ledger:
    """All jobs of one account group.

    ``clock`` gives the time in seconds since the epoch; without it, the Redis server's own clock rules, and
    the clocks of the machines do not matter.
    """

    def __init__(
        self,
        client: "redis.Redis",
        *,
        group: str = "main",
        leases: Leases | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.prefix = f"limner:{{{group}}}:"
        self.leases = leases or Leases()
        # redis-py's annotations cannot tell decoded answers from bytes.
        self._redis: Any = client
        self._clock = clock
        self._scripts: dict[str, Any] = {}
        # A call that blocks for longer than the client's time-out looks like a server that does not answer.
        self._longest_block = (client.connection_pool.connection_kwargs.get("socket_timeout") or 60.0) / 2

    def _run(self, name: str, **arguments: Any) -> Any:
        script = self._scripts.get(name)
        if script is None:
            script = self._scripts[name] = self._redis.register_script(script_text(name))
        keys, args = self.call(arguments)
        with store_errors(self._redis):
            return script(keys=keys, args=args)

    def call(self, arguments: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """The keys and arguments with which a script is called."""
        now = str(_ms(self._clock())) if self._clock else ""
        given = {name: value for name, value in arguments.items() if value is not None}
        return [self.prefix], [now, json.dumps(given)]

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
            "key_ttl": _ms(new.key_ttl),
        }

    def submit(self, new: Submission) -> Submitted:
        """Write a new job, unless its id or idempotency key is known."""
        return Submitted(*self._run("submit", **self.submit_arguments(new)))

    def submit_many(self, new: list[Submission]) -> list[Submitted]:
        """Write many jobs in one round trip, each as :meth:`submit` would."""
        script = self._redis.register_script(script_text("submit"))
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            for one in new:
                keys, args = self.call(self.submit_arguments(one))
                script(keys=keys, args=args, client=pipe)
            return [Submitted(*answer) for answer in pipe.execute()]

    def claim(self, budget: Budget, *, batch: int = 100) -> Claimed:
        """Take up to ``batch`` steps of each kind that may happen now."""
        steps, newer, wait = self._run(
            "claim",
            lease=_ms(self.leases.step),
            look_lease=_ms(self.leases.look),
            creates=budget.creates,
            creates_span=_ms(budget.creates_span),
            looks=budget.looks,
            looks_span=_ms(budget.looks_span),
            max_in_flight=budget.max_in_flight,
            batch=batch,
        )
        return Claimed([Claim(*step) for step in steps], newer, LONGEST_NAP if wait < 0 else wait / 1000)

    def begin(
        self, job_id: str, lease: int, token: str, *, deadline: float
    ) -> Grant | Literal["stale", "late"]:
        """queued → sending: put an attempt on record, with its secret token, before its request goes out.

        ``deadline`` is the time that the job has from its first attempt on. Calling again with the same token
        returns the same grant.
        """
        answer, *grant = self._run(
            "begin",
            job=job_id,
            lease=lease,
            token=token,
            send_lease=_ms(self.leases.send),
            deadline=_ms(deadline),
        )
        return Grant(*grant) if answer == "granted" else answer

    def accepted(self, job_id: str, attempt: int, task_id: str, *, look_in: float) -> bool:
        """sending, in_doubt → generating: the provider's task id is known. False if the job has moved on."""
        return bool(self._run("accepted", job=job_id, attempt=attempt, task_id=task_id, delay=_ms(look_in)))

    def retry(
        self, job_id: str, attempt: int, error: Mapping[str, Any], *, delay: float, pause: float | None = None
    ) -> bool:
        """sending → queued: the provider refused this attempt. ``pause`` holds the whole account up."""
        return bool(
            self._run(
                "retry",
                job=job_id,
                attempt=attempt,
                error=error,
                delay=_ms(delay),
                pause=None if pause is None else _ms(pause),
            )
        )

    def doubt(self, job_id: str, attempt: int, error: Mapping[str, Any], *, grace: float) -> bool:
        """sending → in_doubt: whether the provider accepted is not known."""
        return bool(self._run("doubt", job=job_id, attempt=attempt, error=error, grace=_ms(grace)))

    def looked(self, job_id: str, lease: int, answer: str, *, look_in: float) -> bool:
        """generating: the task was not ready; look again in ``look_in`` seconds."""
        return bool(self._run("looked", job=job_id, lease=lease, answer=answer, delay=_ms(look_in)))

    def succeed(self, job_id: str, lease: int, urls: Sequence[str], cost: Decimal | None) -> datetime | None:
        """generating → succeeded. ``cost`` is in credits. Returns the time of the end, None if stale."""
        spent = None if cost is None else str(cost)
        return self._finish(
            job_id,
            JobState.SUCCEEDED,
            {"urls": list(urls), "credits": spent},
            {"urls": len(urls), "credits": spent},
            [JobState.GENERATING],
            lease=lease,
        )

    def fail(
        self,
        job_id: str,
        error: JobFailed,
        come_from: list[JobState],
        *,
        lease: int | None = None,
        attempt: int | None = None,
    ) -> datetime | None:
        """Any of ``come_from`` → failed, if the lease or attempt still holds; returns as :meth:`succeed`."""
        told = error.to_json()
        return self._finish(
            job_id, JobState.FAILED, {"error": told}, {"error": told}, come_from, lease=lease, attempt=attempt
        )

    def _finish(
        self,
        job_id: str,
        state: JobState,
        outcome: Mapping[str, Any],
        detail: Mapping[str, Any],
        come_from: list[JobState],
        *,
        lease: int | None = None,
        attempt: int | None = None,
    ) -> datetime | None:
        arguments = {
            "job": job_id,
            "state": state,
            "outcome": json.dumps(outcome),
            "detail": {name: value for name, value in detail.items() if value is not None},
            "from": come_from,
            "lease": lease,
            "attempt": attempt,
            "store_lease": _ms(self.leases.store),
        }
        ended = self._run("finish", **arguments)
        return datetime.fromtimestamp(ended / 1000, UTC) if ended else None

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

    def stored(self, job_id: str, *, ttl: float) -> bool:
        """The result of a job that has ended is in the result backend; its record goes in ``ttl`` seconds."""
        return bool(self._run("stored", job=job_id, ttl=_ms(ttl)))

    # Reading

    def read(self, job_id: str) -> Record | None:
        """The job's record, or None for an unknown one."""
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(self.record_key(job_id))
            pipe.time()
            fields, (seconds, microseconds) = pipe.execute()
        now = self._clock() if self._clock else seconds + microseconds / 1e6
        return Record.from_hash(job_id, fields, datetime.fromtimestamp(now, UTC)) if fields else None

    def log(self, job_id: str) -> list[LogEntry]:
        """What happened to the job, oldest first; at most the last 200 entries."""
        with store_errors(self._redis):
            return [
                LogEntry.from_json(text) for text in self._redis.lrange(self.prefix + "log:" + job_id, 0, -1)
            ]

    def place(self, job_id: str) -> tuple[int | None, datetime | None]:
        """The job's place in the line for quota, 1 being next, and when it is due; None for neither."""
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            pipe.zrank(self.prefix + "line:create", job_id)
            pipe.zscore(self.prefix + "due", job_id)
            rank, due = pipe.execute()
        return (
            None if rank is None else rank + 1,
            None if due is None else datetime.fromtimestamp(due / 1000, UTC),
        )

    def events(self, after: str = "$", *, block: float = 1.0, count: int = 100) -> list[Event]:
        """Events after the one of that id, waiting up to ``block`` seconds for the first.

        "0" begins with the oldest one kept, "$" with the next to come.
        """
        with store_errors(self._redis):
            wait = max(1, _ms(min(block, self._longest_block)))
            answer: Any = self._redis.xread({self.prefix + "events": after}, count=count, block=wait)
        entries = answer[0][1] if answer else []
        return [Event.from_stream(entry_id, fields) for entry_id, fields in entries]

    def server_facts(self) -> dict[str, Any]:
        """What the server says of itself (INFO)."""
        with store_errors(self._redis):
            facts: dict[str, Any] = self._redis.info()
        return facts

    # The bell and the end

    def wait_for_bell(self, timeout: float) -> None:
        """Sleep until something may be due sooner than was thought, at most ``timeout`` seconds."""
        with store_errors(self._redis):
            self._redis.blpop([self.prefix + "bell"], timeout=max(min(timeout, self._longest_block), 0.001))

    def record_key(self, job_id: str) -> str:
        """Where the record lies, for asynchronous readers; only this module's scripts write there."""
        return f"{self.prefix}job:{job_id}"

    def channel(self, job_id: str) -> str:
        """The pub/sub channel that tells the end of a job."""
        return f"{self.prefix}ended:{job_id}"
