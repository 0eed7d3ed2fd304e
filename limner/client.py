"""The producer's side: submit a request, wait for its images."""

import asyncio
import os
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self, Unpack

from limner._redis import DEFAULT_TIMEOUT, address, connect, connect_async
from limner.configuration import (
    DAY,
    DEFAULT_PREFIX,
    Durability,
    checked_durability,
    checked_name,
    checked_seconds,
    prefix_of_env,
    redis_url_of_env,
)
from limner.errors import ConfigurationError, InvalidRequest
from limner.job import Job
from limner.ledger import Ledger, Submission, Submitted
from limner.loops import EventLoops
from limner.models import TextToImage
from limner.namespaces import checked_namespace, namespace_of_env
from limner.operations import Operations
from limner.options import SubmitKeywords, SubmitOptions
from limner.submission import check_account, conflict, encodable, of_prompt, submission_of
from limner.subscription import Subscription

__all__ = ["Limner"]

CONNECTIONS: Final = 3


class Limner(Operations):
    """The client of a fleet: it submits jobs, and finds them again. Thread-safe; keep one per process.

    ``redis_url`` is that of the fleet (``LIMNER_REDIS_URL``), and so is ``prefix``, if the fleet has one of
    its own (``LIMNER_PREFIX``). ``timeout`` bounds every call to Redis, in seconds. ``idempotency_seconds``
    is for how long after a job's end its idempotency key still leads to it.
    ``durability`` is what a submit waits for: "server", "disk" or "replica", see
    :class:`~limner.configuration.Durability`. ``connections`` bounds those of calls to Redis: the blocking
    calls of all threads share so many, and each event loop has one fewer; further calls wait. One more is for
    all waits. With a Redis far away, more make more calls at once. Creating a client connects to nothing.
    Raises :class:`~limner.errors.ConfigurationError`, which names the argument or setting.

    With a ``namespace``, idempotency keys, lanes, events and doubts are apart from those of clients with
    another one, whose jobs are unknown here. A client without one has keys and lanes of its own as well, and
    sees the jobs of all. It is no security boundary: whoever has the Redis has everything.

    Each method that blocks has a twin for asynchronous code, whose name begins with ``a`` and which never
    blocks the event loop. ``asubmit``, ``aaccounts`` and ``aevents``, and a job's ``aresult``, ``astatus``
    and ``alog``, hold no thread. The others have one of eight threads of this client make the blocking call.
    If they are cancelled before a thread is free, the call is not made; later, it is made all the same.
    ``aclose`` waits for such calls.
    """

    def __init__(
        self,
        redis_url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        namespace: str = "",
        timeout: float = DEFAULT_TIMEOUT,
        idempotency_seconds: float = DAY,
        durability: str = Durability.SERVER,
        connections: int = CONNECTIONS,
    ) -> None:
        seconds = checked_seconds(timeout, "timeout")
        self._namespace = checked_namespace(namespace)
        self._idempotency_seconds = checked_seconds(idempotency_seconds, "idempotency_seconds")
        if isinstance(connections, bool) or not isinstance(connections, int) or connections < 1:
            raise ConfigurationError(f"connections: must be a whole number from 1 on, not {connections!r}")
        self._redis = connect(redis_url, timeout=seconds, connections=connections)
        self._ledger = Ledger(
            self._redis,
            prefix=checked_name(prefix, "prefix"),
            durability=checked_durability(durability),
        )
        # The reads of waits take one of the connections of threads.
        of_loop = max(1, connections - 1)
        self._loops = EventLoops(lambda: connect_async(redis_url, timeout=seconds, connections=of_loop))
        self._waits = Subscription(self._ledger, lambda: connect(redis_url, timeout=seconds, connections=1))

    @classmethod
    def from_env(cls) -> Self:
        """With ``LIMNER_REDIS_URL`` of the environment.

        Also, if they are set, with ``LIMNER_PREFIX``, ``LIMNER_NAMESPACE``, ``LIMNER_IDEMPOTENCY_SECONDS``
        and ``LIMNER_DURABILITY``.
        """
        seconds = os.environ.get("LIMNER_IDEMPOTENCY_SECONDS", str(DAY))
        durability = os.environ.get("LIMNER_DURABILITY", "").strip() or Durability.SERVER
        return cls(
            redis_url_of_env(),
            prefix=prefix_of_env(),
            namespace=namespace_of_env(),
            idempotency_seconds=checked_seconds(seconds, "LIMNER_IDEMPOTENCY_SECONDS"),
            durability=checked_durability(durability, "LIMNER_DURABILITY"),
        )

    def __repr__(self) -> str:
        namespace = f", namespace={self._namespace!r}" if self._namespace else ""
        return f"Limner({address(self._redis)}{namespace})"

    def submit(
        self,
        request: TextToImage | str,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitKeywords],
    ) -> Job:
        """Hand a request to the fleet; once this returns, the job is not lost.

        The same ``idempotency_key`` gives the same job, however often and from wherever it is submitted,
        until ``idempotency_seconds`` after the job's end; ``job.created`` is true if this call made it.

        The options are those of :class:`~limner.options.SubmitOptions`. ``priority`` runs from 0 to 9, the
        highest first, and is 5 by default. ``metadata`` is a JSON object of at most 4 KiB that comes back
        with the result and in events. Between the lanes of one priority turns are shared: with
        ``lane="tenant-42"``, one tenant's thousands of jobs do not delay another's one. ``account`` names the
        account at the provider that is to be used; else it is the one with the most room. A job that has not
        been sent ``expires_in`` seconds after its submission ends in :class:`~limner.errors.Expired` and
        costs nothing. In a fleet that copies images, ``copy=False`` leaves those of this job out, and
        ``copy_to="orders/4711"`` is their folder under the fleet's prefix.

        Raises :class:`~limner.errors.InvalidRequest`, which names the argument, TypeError for an option that
        there is not, :class:`~limner.errors.IdempotencyConflict` if the key belongs to another request, and
        :class:`~limner.errors.StoreUnavailable`; after the last it is safe to submit again with the same
        key. Its subclass :class:`~limner.errors.NotDurable` says that the job is stored and may run.
        """
        new = self._submission(request, idempotency_key, SubmitOptions.checked(**options))
        return self._job(self._ledger.jobs.submit(new), new)

    def submit_many(
        self,
        requests: Iterable[TextToImage | str],
        *,
        idempotency_keys: Iterable[str] | None = None,
        **options: Unpack[SubmitKeywords],
    ) -> list[Job]:
        """Submit many requests in one round trip, in order. All are checked before any is stored.

        With ``idempotency_keys``, one for each request, it is safe to submit all of them again after
        :class:`~limner.errors.StoreUnavailable`; without, some may be stored already. On a conflict, the rest
        is stored all the same. Options and errors are those of :meth:`submit`.
        """
        asked = list(requests)
        keys = [None] * len(asked) if idempotency_keys is None else list(idempotency_keys)
        if len(keys) != len(asked):
            raise InvalidRequest(f"idempotency_keys: {len(keys)} keys for {len(asked)} requests")
        checked = SubmitOptions.checked(**options)
        new = [self._submission(request, key, checked) for request, key in zip(asked, keys, strict=True)]
        submitted = self._ledger.jobs.submit_many(new)
        return [self._job(one, sent) for one, sent in zip(submitted, new, strict=True)]

    async def asubmit(
        self,
        request: TextToImage | str,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[SubmitKeywords],
    ) -> Job:
        """:meth:`submit` for asynchronous code."""
        new = self._submission(request, idempotency_key, SubmitOptions.checked(**options))
        script, store = self._ledger.jobs.submission(new), self._ledger.store
        return self._job(await self._loops.call(lambda client: store.arun_durably(client, script)), new)

    async def asubmit_many(
        self,
        requests: Iterable[TextToImage | str],
        *,
        idempotency_keys: Iterable[str] | None = None,
        **options: Unpack[SubmitKeywords],
    ) -> list[Job]:
        """:meth:`submit_many` for asynchronous code.

        It runs in a thread: to check and write out thousands of requests would hold the event loop up.
        """
        # What is iterated over may belong to this thread.
        asked, keys = list(requests), None if idempotency_keys is None else list(idempotency_keys)
        return await self._loops.in_thread(self.submit_many, asked, idempotency_keys=keys, **options)

    def get(self, job_id: str) -> Job:
        """The job of that id, without asking whether there is one; raises InvalidRequest if none can be.

        To a client with a namespace, a job of another one is unknown.
        """
        if not isinstance(job_id, str) or not job_id or not encodable(job_id):
            raise InvalidRequest("job_id: must be a text")
        return Job(job_id, self._ledger, self._loops, self._waits, namespace=self._namespace)

    def close(self) -> None:
        """Close the connections of blocking calls and of waits; waits under way end in StoreUnavailable."""
        self._loops.close()
        self._waits.close()
        self._redis.close()

    async def aclose(self) -> None:
        """Wait for the calls that threads make, and close all connections that this event loop uses.

        Its waits end in StoreUnavailable.
        """
        await asyncio.to_thread(self._waits.close, asyncio.get_running_loop())
        await self._loops.aclose()
        self._redis.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def _submission(
        self, request: TextToImage | str, idempotency_key: str | None, options: SubmitOptions
    ) -> Submission:
        return submission_of(
            of_prompt(request) if isinstance(request, str) else request,
            options,
            idempotency_key=idempotency_key,
            idempotency_seconds=self._idempotency_seconds,
            namespace=self._namespace,
        )

    def _job(self, submitted: Submitted, new: Submission) -> Job:
        check_account(submitted, new)
        if submitted.outcome == "conflict":
            raise conflict(submitted, new, "idempotency_key")
        created = submitted.outcome == "created"
        return Job(
            submitted.job_id,
            self._ledger,
            self._loops,
            self._waits,
            created=created,
            namespace=self._namespace,
        )
