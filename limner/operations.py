"""The operator's side: accounts, pauses, spending, doubts, copies and events."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import TypeVar

from limner.accounts import MAIN, AccountStatus
from limner.errors import InvalidRequest, StoreUnavailable
from limner.ledger import Ledger, Reading, doubt_of
from limner.loops import EventLoops
from limner.options import duration
from limner.spending import KEEP_DAYS, Spending
from limner.status import BrokenRecord, Contradiction, Doubt, Event, Letter, PendingCopy, UnmatchedCallback
from limner.submission import encodable
from limner.waiting import Patience

T = TypeVar("T")

MAX_REASON_LENGTH = 500
WEEK = 7


class Operations:
    """The part of :class:`~limner.client.Limner` for operators. All methods raise StoreUnavailable.

    The twins for asynchronous code, whose names begin with ``a``, raise the same.
    """

    _ledger: Ledger
    _loops: EventLoops
    _namespace: str

    def accounts(self) -> list[AccountStatus]:
        """The state of each account, by name: its quota, the jobs that wait for it, and its pause.

        Empty before the first worker has started.
        """
        return self._ledger.accounts.statuses()

    async def aaccounts(self) -> list[AccountStatus]:
        """:meth:`accounts` for asynchronous code; it holds no thread."""
        return await self._ask(self._ledger.accounts.reading())

    def pause(self, account: str = MAIN, seconds: float | None = None, reason: str = "") -> None:
        """Send nothing of an account for so many seconds, or until somebody resumes it.

        Requests on the wire and polls continue. It replaces a pause of another cause. ``reason`` is
        shown with the pause, in at most 500 characters. Raises :class:`~limner.errors.InvalidRequest`, which
        names the argument.
        """
        self._check_account(account)
        length = None if seconds is None else _length(seconds)
        if not isinstance(reason, str) or len(reason) > MAX_REASON_LENGTH or not encodable(reason):
            raise InvalidRequest(f"reason: must be a text of at most {MAX_REASON_LENGTH} characters")
        self._ledger.accounts.pause(account, seconds=length, reason=reason)

    async def apause(self, account: str = MAIN, seconds: float | None = None, reason: str = "") -> None:
        """:meth:`pause` for asynchronous code."""
        await self._loops.in_thread(self.pause, account, seconds, reason)

    def resume(self, account: str = MAIN) -> bool:
        """End an account's pause; False if there is none.

        After a pause by hand, all requests continue at once. After a pause that the provider caused, they
        continue as soon as it has accepted one. Raises :class:`~limner.errors.InvalidRequest` for an unknown
        account.
        """
        self._check_account(account)
        return self._ledger.accounts.resume(account)

    async def aresume(self, account: str = MAIN) -> bool:
        """:meth:`resume` for asynchronous code."""
        return await self._loops.in_thread(self.resume, account)

    def spend(self, days: int = WEEK) -> Spending:
        """The credits spent on the last days, today (UTC) included, and those that are held or doubtful.

        ``days`` is 1 to 400, for which spending is kept. Raises :class:`~limner.errors.InvalidRequest`.
        """
        if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= KEEP_DAYS:
            raise InvalidRequest(f"days: must be a whole number from 1 to {KEEP_DAYS}, not {days!r}")
        return self._ledger.budget.spend(days)

    async def aspend(self, days: int = WEEK) -> Spending:
        """:meth:`spend` for asynchronous code."""
        return await self._loops.in_thread(self.spend, days)

    def doubts(self) -> list[Doubt]:
        """The attempts that the provider may have accepted, the oldest first.

        Jobs that have ended so are among them for as long as their record is kept. A client with a namespace
        has those of its own.
        :meth:`Job.adopt`, :meth:`Job.resubmit` and :meth:`Job.give_up` resolve one.
        """
        return [doubt_of(record) for record in self._ledger.jobs.doubts() if self._lists(record.namespace)]

    async def adoubts(self) -> list[Doubt]:
        """:meth:`doubts` for asynchronous code."""
        return await self._loops.in_thread(self.doubts)

    def broken(self) -> list[BrokenRecord]:
        """The jobs whose records cannot be read, those first that have been broken for longest."""
        return self._ledger.jobs.broken()

    async def abroken(self) -> list[BrokenRecord]:
        """:meth:`broken` for asynchronous code."""
        return await self._loops.in_thread(self.broken)

    def retry_broken(self, job_id: str) -> bool:
        """Have a job of :meth:`broken` tried again now, after a repair; False if it is none of them."""
        return self._ledger.jobs.put_back(job_id)

    async def aretry_broken(self, job_id: str) -> bool:
        """:meth:`retry_broken` for asynchronous code."""
        return await self._loops.in_thread(self.retry_broken, job_id)

    def drop_broken(self, job_id: str) -> bool:
        """Give up a job of :meth:`broken` for good; False if it is none of them.

        It never ends, and its record is kept for 30 days. A task of it may have been paid for.
        """
        return self._ledger.jobs.put_back(job_id, drop=True)

    async def adrop_broken(self, job_id: str) -> bool:
        """:meth:`drop_broken` for asynchronous code."""
        return await self._loops.in_thread(self.drop_broken, job_id)

    def check(self, *, repair: bool = False) -> list[Contradiction]:
        """The contradictions in the ledger, found by a walk through all of it in small steps.

        Jobs go on meanwhile. With ``repair``, what is safe to be repaired is repaired, such as a job that no
        index has: it is due again. Nothing else is changed.
        """
        return list(self._ledger.check.run(repair=repair))

    async def acheck(self, *, repair: bool = False) -> list[Contradiction]:
        """:meth:`check` for asynchronous code."""
        return await self._loops.in_thread(self.check, repair=repair)

    def copies(self, *, failed: bool = False) -> list[PendingCopy]:
        """The jobs whose images are still to be copied, the next one first; at most 10,000.

        With ``failed``, those whose images are not tried any more, the oldest first, for as long as their
        records are kept. A client with a namespace has those of its own jobs. :meth:`Job.retry_copies` has
        the images of one tried again.
        """
        listed = self._ledger.copies.failed() if failed else self._ledger.copies.waiting()
        return [copy for copy in listed if self._lists(copy.namespace)]

    async def acopies(self, *, failed: bool = False) -> list[PendingCopy]:
        """:meth:`copies` for asynchronous code."""
        return await self._loops.in_thread(self.copies, failed=failed)

    def unmatched_callbacks(self) -> list[UnmatchedCallback]:
        """The callbacks that named a job which is not known here; at most 10,000, for 14 days."""
        return self._ledger.journal.unmatched_callbacks()

    async def aunmatched_callbacks(self) -> list[UnmatchedCallback]:
        """:meth:`unmatched_callbacks` for asynchronous code."""
        return await self._loops.in_thread(self.unmatched_callbacks)

    def letters(self) -> list[Letter]:
        """The messages that workers have set aside, the oldest first: the last 1,000, for 14 days.

        No job could be made of them: they cannot be read, name a task that is not Limner's, or pretend to be
        the fleet's own.
        """
        return self._ledger.letters.all()

    async def aletters(self) -> list[Letter]:
        """:meth:`letters` for asynchronous code."""
        return await self._loops.in_thread(self.letters)

    def drop_letters(self, *ids: str) -> int:
        """Drop letters by their ids, or all of them without an id; returns the number of those dropped."""
        return self._ledger.letters.drop(*ids)

    async def adrop_letters(self, *ids: str) -> int:
        """:meth:`drop_letters` for asynchronous code."""
        return await self._loops.in_thread(self.drop_letters, *ids)

    def callback_counts(self) -> dict[str, int]:
        """The number of callbacks that the fleet has received, by outcome."""
        return self._ledger.journal.callback_counts()

    async def acallback_counts(self) -> dict[str, int]:
        """:meth:`callback_counts` for asynchronous code."""
        return await self._loops.in_thread(self.callback_counts)

    def events(self, *, from_start: bool = False, follow: bool = True) -> Iterator[Event]:
        """The events of all jobs and accounts, from now on, or from the oldest one kept.

        A client with a namespace has the events of its own jobs, and of all accounts. With ``follow``, they
        do not end; without, the newest one is the last. A Redis that is away is waited for, up to half a
        minute. New events are read five times a second, and no connection is held in between: there may be a
        follower for each of many clients.
        """
        journal, store = self._ledger.journal, self._ledger.store
        after = "0" if from_start else ""
        patience = Patience(time.monotonic())
        while True:
            events: list[Event] = []
            try:
                after = after or store.ask(journal.newest())
                events = store.ask(journal.events_now(after))
                patience.seen(time.monotonic())
            except StoreUnavailable:
                if patience.lost(time.monotonic()):
                    raise
            else:
                if not (events or follow):
                    return
            for event in events:
                after = event.id
                if not event.job_id or self._lists(event.namespace):
                    yield event
            if not events:
                time.sleep(Patience.PAUSE)

    async def aevents(self, *, from_start: bool = False, follow: bool = True) -> AsyncIterator[Event]:
        """:meth:`events` for asynchronous code; it holds no thread."""
        journal = self._ledger.journal
        after = "0" if from_start else ""
        patience = Patience(time.monotonic())
        while True:
            events: list[Event] = []
            try:
                after = after or await self._ask(journal.newest())
                events = await self._ask(journal.events_now(after))
                patience.seen(time.monotonic())
            except StoreUnavailable:
                if patience.lost(time.monotonic()):
                    raise
            else:
                if not (events or follow):
                    return
            for event in events:
                after = event.id
                if not event.job_id or self._lists(event.namespace):
                    yield event
            if not events:
                await asyncio.sleep(Patience.PAUSE)

    async def _ask(self, reading: Reading[T]) -> T:
        return await self._loops.call(lambda client: self._ledger.store.aask(client, reading))

    def _lists(self, namespace: str) -> bool:
        return not self._namespace or namespace == self._namespace

    def _check_account(self, account: str) -> None:
        names = self._ledger.accounts.names()
        if account not in names:
            known = f"the fleet has {', '.join(names)}" if names else "no worker has started yet"
            raise InvalidRequest(f"account: there is no {account!r}; {known}")


def _length(seconds: float) -> float:
    try:
        return duration(seconds)
    except ValueError as error:
        raise InvalidRequest(f"seconds: {error}") from None
