"""The life of a job of the model, from its first attempt to its stored result."""

import json
from dataclasses import dataclass
from typing import Final

from limner.ledger import Closing, Grant
from limner.ledger.outcomes import EXPIRED
from limner.status import JobState
from tests.integration.limner.ledger.model.endings import Ending

SENT: Final = (JobState.SENDING, JobState.IN_DOUBT, JobState.GENERATING, JobState.COPYING)


@dataclass
class Life(Ending):
    """The expected state of a job."""

    @property
    def let_go(self) -> bool:
        """True if nothing more can happen to the job."""
        return self.state.ended and self.stored and not self.open_task and self.copy_due is None

    def is_sending(self, attempt: int) -> bool:
        return self.state is JobState.SENDING and self.attempt == attempt

    def holds(self, lease: int, state: JobState) -> bool | None:
        """True for the current lease, False for a stale one, None if it has expired: both replies will do."""
        if self.state is not state or self.lease != lease:
            return False
        return True if self.owned else None

    def may_poll(self, lease: int) -> bool:
        polls = self.state is JobState.GENERATING or self.state.ended
        return polls and self.lease == lease and self.polling is not None and self.index == "due"

    # Attempts

    def sent(self, now: int, grant: Grant, token: str, *, lease: int, deadline: int) -> None:
        assert grant.attempt == self.attempt + 1
        assert grant.tries == grant.attempt - self.uncounted
        assert self.state is JobState.QUEUED
        assert not self.open_task, "an attempt is granted beside a task that is open"
        assert token not in self.tokens
        self.state, self.grant = JobState.SENDING, grant
        self.tokens[token] = grant.attempt
        self.permit, self.sent_at, self.answered = (self.job_id, self.lease), now, False
        self.kept[grant.attempt] = self.cost
        self.has_waited()
        self.account.probe_with(self.job_id, now + lease)
        self.account.move(self.permit, now)
        self.wait(now + lease)
        if self.deadline is None:
            self.deadline, self.allowance = now + deadline, deadline
        else:
            self.deadline += self.waited(now)
        self.ready_since = None
        self.log.append("sending")

    def refused(
        self,
        now: int,
        delay: int,
        *,
        doubtful: bool,
        uncounted: int | None,
        pause: Closing | None,
        unsent: bool,
    ) -> None:
        self.state, self.in_flight = JobState.QUEUED, False
        self.costs_what(self.attempt, doubtful=doubtful)
        assert self.permit
        if unsent:
            self.account.give_permit_back(now, self.permit)
        closed = opened = False
        if pause:
            closed = self.account.close(now, pause, self.job_id, self.cost, self.sent_at)
        elif unsent:
            self.account.no_probe(self.job_id, now + delay)
        else:
            opened = self.account.probe_refused(self.job_id, now)
        if not closed and not opened and not unsent:
            self.account.widen(now, 1)
        if closed and pause and pause.after and uncounted is not None:
            delay = 0
        self.faulted += doubtful
        self.wait(now + delay)
        self.log.append("refused")
        adopted = self.go_on_polling(now)
        if not adopted:
            self.watch()
        if uncounted is not None:
            self.do_not_count(uncounted + max(0, now - self.sent_at), adopted)
        if self.state is JobState.QUEUED and self.proven is not None and self.proven != self.decided:
            self.doubt_instead(now, self.proven)

    def refused_in_vain(
        self, now: int, attempt: int, *, pause: Closing | None, unsent: bool, doubtful: bool
    ) -> None:
        """Record a refusal after the job's end. A pause closes the account all the same."""
        self.costs_what(attempt, doubtful=doubtful)
        if unsent and attempt == self.attempt and self.permit:
            self.account.give_permit_back(now, self.permit)
        closed = pause and self.account.close(now, pause, self.job_id, self.cost, self.sent_at)
        if not closed and not unsent:
            self.account.widen(now, 1)

    def costs_what(self, attempt: int, *, doubtful: bool) -> None:
        """A refused attempt costs nothing, unless the provider may have made a task all the same."""
        if not doubtful:
            self.owe_nothing(attempt)
        elif attempt in self.kept:
            self.dubious[attempt] = self.kept.pop(attempt)

    def finally_refused(self, now: int) -> None:
        if not self.account.probe_refused(self.job_id, now):
            self.account.widen(now, 1)

    def do_not_count(self, time: int, adopted: bool) -> None:
        self.uncounted += 1
        # Callbacks for this attempt are refused.
        self.tokens = {token: number for token, number in self.tokens.items() if number != self.attempt}
        if self.uncounted == self.attempt and not adopted:
            self.deadline = None
        else:
            assert self.deadline is not None
            self.deadline += time

    def doubt(self, now: int, grace: int, why: Closing | None = None) -> None:
        if why:
            self.account.close(now, why, self.job_id, self.cost, self.sent_at)
        else:
            self.account.widen(now, 1)
        self.state, self.doubtful, self.lease = JobState.IN_DOUBT, self.attempt, self.lease + 1
        self.in_flight = False
        assert self.permit
        self.account.move(self.permit, now)
        pause = self.account.pause
        self.account.no_probe(self.job_id, now + (pause.length if pause else 0))
        self.wait(now + grace)
        self.log.append("in_doubt")
        self.go_on_polling(now)

    def hold(self, now: int, delay: int) -> None:
        self.wait(now + delay)
        if self.held_at is None:
            self.held_at = now
            self.log.append("held")

    def resubmit(self, now: int) -> None:
        self.state, self.deadline, self.held_at, self.ready_since = JobState.QUEUED, None, None, None
        self.decided, self.doubtful, self.in_flight = self.doubtful, None, False
        self.resubmitted, self.verdict = self.resubmitted + 1, None
        self.leave_doubtful(())
        self.wait(now)
        self.watch()
        self.log.append("resubmitted")

    # The end

    def expire(self, now: int) -> None:
        """Expire the job. An earlier attempt may have been accepted."""
        self.finish(now, JobState.EXPIRED, json.loads(EXPIRED), 0)

    def is_stored(self, now: int, finished: int, follow: int, *, copied: bool) -> bool:
        if not self.state.ended:
            return False
        if finished != self.finished or (self.copied and not copied):
            # An earlier end has overwritten a later one, so the later one is stored again.
            self.stored = False
            self.wait(now)
            return False
        if not self.open_task:
            self.index = None
        elif not self.stored:
            self.poll_in(now, follow)
        self.stored = True
        return True
