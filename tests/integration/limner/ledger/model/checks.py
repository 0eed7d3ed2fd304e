"""The checks of the model: invariants, and that every job ends."""

import json
from collections import Counter
from datetime import datetime
from decimal import Decimal
from typing import Final

from hypothesis.stateful import invariant

from limner.errors import DeadlineExceeded, GenerationFailed, InDoubt
from limner.ledger import Claim, Grant, Quota
from limner.ledger.record import Record
from limner.status import JobState, TaskState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.model.account import ms
from tests.integration.limner.ledger.model.copying import Copying
from tests.integration.limner.ledger.model.costs import MONEY
from tests.integration.limner.ledger.model.life import Life
from tests.integration.limner.ledger.model.tasks import GRACE, TTL
from tests.integration.limner.ledger.model.world import ERROR

INDEXES: Final = ("copies", "due", "ready", "ready:polls:main", "in-flight:main", "expiring")
NOTED_ONLY: Final = {
    "conflict",
    "not_copied",
    "polled",
    "attempt_failed",
    "task_failed",
    "task_lost",
    "task_succeeded",
}
"""The events that are in a job's log and not on the stream."""

ADOPTIONS: Final = ("adopted", "generating", "late_answer")
DELIVERIES: Final = ("copying", "succeeded", "succeeded_late", "double", "late_result", "task_succeeded")


GONE: Final = -2
"""The time to live that Redis reports for a missing key."""


def milliseconds(at: datetime | None) -> int | None:
    return None if at is None else ms(at.timestamp())


class Checks(Copying):
    """The promises of the ledger."""

    @invariant()
    def the_indexes_are_as_the_model_says(self) -> None:
        prefix, lives = self.ledger.prefix, self.lives.values()
        with self.client.pipeline(transaction=False) as pipe:
            pipe.zrange(prefix + "due", 0, -1, withscores=True)
            pipe.zrange(prefix + "ready", 0, -1)
            pipe.zrange(prefix + "ready:polls:main", 0, -1, withscores=True)
            pipe.zrange(prefix + "in-flight:main", 0, -1)
            pipe.zrange(prefix + "doubts", 0, -1)
            pipe.zrange(prefix + "window:create:main", 0, -1, withscores=True)
            pipe.zrange(prefix + "window:poll:main", 0, -1, withscores=True)
            pipe.zrange(prefix + "expiring", 0, -1, withscores=True)
            pipe.hgetall(prefix + "callbacks")
            due, create, poll, in_flight, doubts, creates, polls, expiring, counts = pipe.execute()
        assert dict(due) == {life.job_id: life.due for life in lives if life.index == "due"}
        assert create == self.queue("ready")
        assert [job_id for job_id, _ in poll] == self.queue("ready:polls:main")
        assert dict(poll) == {life.job_id: life.due for life in lives if life.index == "ready:polls:main"}
        assert set(in_flight) == {life.job_id for life in lives if life.in_flight}
        assert set(doubts) == {life.job_id for life in lives if life.doubtful is not None}
        assert dict(creates) == {
            f"{job}:{lease}": at for (job, lease), (at, _) in self.account.permits.items()
        }
        assert dict(polls) == {f"{job}:{lease}": at for (job, lease), at in self.account.reads.items()}
        assert dict(expiring) == {life.job_id: life.expires for life in lives if life.watched}
        assert {outcome: int(count) for outcome, count in counts.items()} == self.counts

    @invariant()
    def the_pause_is_as_the_model_says(self) -> None:
        known, told = self.account.pause, self.client.hgetall(self.ledger.prefix + "pause:main")
        assert told.get("cause") == (known and known.cause)
        if known:
            assert int(told["until"]) == known.until
            assert told.get("probe") == known.probe
            assert told.get("check") == (known.check and str(known.check))
            waits = known.probe or known.check
            assert told.get("probe_until") == (str(known.probe_until) if waits else None)
            assert known.cause == "by_hand" or int(told["length"]) == known.length

    @invariant()
    def the_lanes_are_as_the_model_says(self) -> None:
        for priority in {life.priority for life in self.lives.values()}:
            told = self.client.zrange(f"{self.ledger.prefix}lanes:{priority}", 0, -1, withscores=True)
            mine = {lane: last for (of, lane), last in self.turns.last.items() if of == priority}
            assert dict(told) == mine

    @invariant()
    def the_money_is_as_the_model_says(self) -> None:
        held: Counter[str] = Counter()
        for life in self.lives.values():
            for what, amounts in (("held", life.kept), ("doubtful", life.dubious)):
                for book in ("", ":account:main", f":lane:{life.lane}" if life.lane else None):
                    if book is not None:
                        held[what + book] += sum(amounts.values())
            assert not life.kept or life.open_task or not life.state.ended, "held for nothing"
        told = {
            what: int(sum_) for what, sum_ in self.client.hgetall(self.ledger.prefix + "money:held").items()
        }
        assert min(told.values(), default=0) >= 0
        assert {what: sum_ for what, sum_ in told.items() if sum_} == +held
        for day, spent in self.account.spent.items():
            assert self.client.hget(f"{self.ledger.prefix}money:{day}", "spent") == str(spent)

    @invariant()
    def the_records_are_as_the_model_says(self) -> None:
        lives = list(self.lives.values())
        with self.client.pipeline(transaction=False) as pipe:
            for life in lives:
                pipe.hgetall(self.ledger.jobs.key(life.job_id))
                pipe.lrange(f"{self.ledger.prefix}log:{life.job_id}", 0, -1)
                pipe.pttl(self.ledger.jobs.key(life.job_id))
                pipe.pttl(f"{self.ledger.prefix}log:{life.job_id}")
                pipe.pttl(f"{self.ledger.prefix}key:{life.key}")
            answers = iter(pipe.execute())
        for life in lives:
            fields, log, *times = (next(answers) for _ in range(5))
            record = Record.from_hash(life.job_id, fields)
            self.check_index(life)
            self.check_record(life, record)
            self.check_tasks(life, record)
            self.check_candidates(life, fields)
            self.check_end(life, fields)
            assert [json.loads(text)["event"] for text in log] == life.log
            assert "secret-" not in str(log) + repr(record)
            self.check_times(life, *times)

    def check_index(self, life: Life) -> None:
        assert life.in_flight == (
            life.state in (JobState.SENDING, JobState.GENERATING)
            or (life.state is JobState.QUEUED and life.owned)
        )
        assert (life.index is None) == (life.state.ended and life.stored and not life.open_task)
        assert life.doubtful is not None or life.state is not JobState.IN_DOUBT
        assert life.doubtful is None or life.state not in (JobState.QUEUED, JobState.SENDING)
        if life.open_task:
            later = life.state is JobState.SENDING and life.open_task.attempt < life.attempt
            assert later or life.state is JobState.GENERATING or life.has_outcome

    def check_record(self, life: Life, record: Record) -> None:
        assert (record.state, record.attempt, record.lease) == (life.state, life.attempt, life.lease)
        assert record.tries == life.attempt - life.uncounted
        assert (record.polls, record.resubmitted) == (life.polls, life.resubmitted)
        assert record.tokens == {attempt: token for token, attempt in life.tokens.items()}
        assert (record.doubtful, record.faulted) == (life.doubtful, life.faulted)
        assert (record.proven, record.wrong_ids) == (life.proven, life.wrong_ids)
        assert record.task_id == life.task_id
        assert milliseconds(record.signalled_at) == life.signalled
        if not life.state.ended:
            assert milliseconds(record.deadline) == life.deadline
            assert milliseconds(record.held_at) == life.held_at

    def check_tasks(self, life: Life, record: Record) -> None:
        assert [
            (task.task_id, task.attempt, task.state, task.confirmed, task.urls) for task in record.tasks
        ] == [(task.task_id, task.attempt, task.state, task.sure, task.urls) for task in life.tasks]
        spent = [None if task.credits is None else str(task.credits) for task in record.tasks]
        assert spent == [task.credits for task in life.tasks]
        names = {task.task_id for task in record.tasks}
        assert len(names) == len(record.tasks)
        heard = {task_id for job_id, task_id in self.heard if job_id == life.job_id}
        waiting = {task.task_id for task in life.candidates}
        assert heard <= names | waiting | life.forgotten
        assert sum(life.log.count(event) for event in ADOPTIONS) >= len(names)
        # Unneeded tasks that were paid are on record.
        made = sum(task.state is TaskState.SUCCEEDED for task in record.tasks)
        waited = "copying" in life.log and "succeeded" in life.log
        assert sum(life.log.count(event) for event in DELIVERIES) - waited == made + life.paid_failures
        if record.state is JobState.GENERATING:
            assert record.open_task
            assert record.task_id == record.open_task.task_id
        if record.state is JobState.SUCCEEDED:
            assert record.task_id == life.task_id
            assert made
        if record.state in (JobState.FAILED, JobState.EXPIRED):
            assert record.failure
            assert made == 0, "a job has failed whose image is there"

    def check_candidates(self, life: Life, fields: dict[str, str]) -> None:
        told = json.loads(fields.get("candidates", "[]"))
        assert [(task["id"], task["attempt"], task.get("tried", False)) for task in told] == [
            (task.task_id, task.attempt, task.tried) for task in life.candidates
        ]
        # Somebody gives them their turn.
        assert not told or life.open_task

    def check_end(self, life: Life, fields: dict[str, str]) -> None:
        end = (fields["state"], fields.get("outcome"), fields.get("finished"))
        if not life.state.ended:
            assert life.job_id not in self.ends
            assert end[2] is None
            assert end[1] is None or json.loads(end[1]) == life.outcome
            return
        known = self.ends.get(life.job_id)
        assert known in (None, end) or (known and known[0] in ("failed", "expired") and end[0] == "succeeded")
        self.ends[life.job_id] = end
        assert json.loads(fields["outcome"]) == life.outcome
        assert end[2] == str(life.finished)

    def check_times(self, life: Life, record: int, log: int, key: int) -> None:
        """Check that the record, its log and its key expire exactly if nothing more can happen to the job."""
        for left in (record, log, key if life.key else record):
            assert (left > 0) == life.let_go
            assert left != GONE

    def teardown(self) -> None:
        """Check that one worker without faults ends every job after all workers have crashed."""
        indexes = [self.ledger.prefix + name for name in INDEXES]
        self.ledger.accounts.resume("main")
        for _ in range(60 + 20 * len(self.lives)):
            claimed = self.ledger.queue.claim(Quota(2, 10.0, 2, 1.0, 3), money=MONEY, copies=1)
            for step in claimed.steps:
                (self.copy if step.step == "copy" else self.do)(step)
            self.now = self.at(max(claimed.wait, 0.001))
            if not self.client.exists(*indexes):
                break
        assert self.client.exists(*indexes) == 0, "something stays due for ever"
        for job_id in self.lives:
            record = self.ledger.jobs.read(job_id)
            assert record
            assert record.state.ended, f"{job_id} is {record.state} for ever"
            assert record.open_task is None
            assert self.client.pttl(self.ledger.jobs.key(job_id)) > 0
        held = self.client.hget(self.ledger.prefix + "money:held", "held")
        assert held in (None, "0"), "money is held for ever"
        self.check_events()

    def check_events(self) -> None:
        events = self.client.xrange(self.ledger.prefix + "events")
        assert "secret-" not in str(events)
        for job_id in self.lives:
            logged = [entry.event for entry in self.ledger.journal.log(job_id)]
            told = [fields["event"] for _, fields in events if fields["job"] == job_id]
            assert told == [event for event in logged if event not in NOTED_ONLY]

    def do(self, step: Claim) -> None:
        if step.step == "credits":
            assert self.ledger.accounts.balance_read(step.job_id, step.lease, Decimal(100), longest=60.0)
            return
        record = self.ledger.jobs.read(step.job_id)
        assert record
        job_id, lease, state = step.job_id, step.lease, record.state
        assert lease == record.lease
        if step.step == "create":
            grant = self.ledger.jobs.begin(
                job_id, lease, f"secret-last-{self.now}", deadline=20.0, money=MONEY
            )
            if isinstance(grant, Grant):
                self.ledger.jobs.accepted(job_id, grant.attempt, f"last {grant.attempt}", poll_in=1.0)
            elif grant == "late":
                self.ledger.jobs.fail(job_id, DeadlineExceeded("late"), [state], lease=lease)
        elif step.step == "poll":
            self.poll(record)
        else:
            self.bring_to_end(record)
        after = self.ledger.jobs.read(job_id)
        if after and after.finished_at:
            assert self.ledger.jobs.stored(
                job_id, after.finished_at, ttl=TTL, follow=1.0, copied=after.copied
            )

    def bring_to_end(self, record: Record) -> None:
        job_id, lease, state = record.job_id, record.lease, record.state
        if state is JobState.COPYING:
            assert self.ledger.copies.deliver(job_id, lease)
        elif state is JobState.SENDING:
            assert self.ledger.jobs.doubt(job_id, record.attempt, ERROR, grace=GRACE)
        elif state is JobState.IN_DOUBT and not self.ledger.jobs.resubmit(job_id, lease=lease):
            assert self.ledger.jobs.fail(job_id, InDoubt("unknown"), [state], lease=lease)

    def poll(self, record: Record) -> None:
        """Report an end that depends on the task's name only, whenever it is polled."""
        task, job_id = record.open_task, record.job_id
        assert task
        ways = [
            lambda: speaking.task_succeeded(self.ledger, job_id, task.task_id, [], None, ttl=TTL),
            lambda: speaking.task_failed(self.ledger, job_id, task.task_id, GenerationFailed("no"), ttl=TTL),
            lambda: speaking.task_lost(self.ledger, job_id, task.task_id, ERROR, grace=GRACE, ttl=TTL),
        ]
        assert ways[len(task.task_id + job_id) % 3]().what != "stale"
