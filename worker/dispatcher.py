"""The dispatcher of a worker: claims due steps and sends a Celery task for each.

The dispatchers of all workers compete. Each claim is atomic, so a step goes to exactly one of them, and a
single dispatcher suffices.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from celery import Celery, bootsteps
from celery.signals import worker_shutdown
from kombu.serialization import dumps

from config import Settings
from limner._redis import record_error
from limner.errors import LimnerError, RecordUnreadable
from limner.ledger import LONGEST_NAP, Claim, Ledger, Loss, Memory, Money, Quota
from worker.copies.room import Room
from worker.copies.services import CopyServices
from worker.inspection import STEP
from worker.limits.quota import money, quotas
from worker.marks import Marks
from worker.outages import is_outage, outage
from worker.rabbitmq.queues import make_ready
from worker.rabbitmq.transport import Blocked, confirmed_together
from worker.rescue import Rescue
from worker.services import POLLS_IN_A_MESSAGE, copies_images, make_ledger

logger = logging.getLogger(__name__)

TASKS = {
    "create": "limner.create_task",
    "poll": "limner.check_status",
    "recover": "limner.recover",
    "credits": "limner.check_credits",
    "copy": "limner.copy_images",
}
"""The Celery task of each step."""

_OUTAGE_PAUSE = 0.5
LEAST_GAP = 0.005
"""Seconds between two claims of a busy dispatcher. One claim for many steps costs less than many claims."""
FIRST_BEHIND, MOST_BEHIND = 0.005, 0.2
"""Seconds by which a dispatcher that found nothing wakes later next time. So few of many wake in vain."""
BATCH = 25
"""The most steps of a kind in a claim. Redis serves nobody else during one, which takes 3 to 5 ms for so many
to send and to poll."""
MAINTAIN_GAP = 2.0
"""Seconds between two rounds of the ledger's housekeeping."""


@dataclass(frozen=True, slots=True)
class Message:
    """A Celery message for one step, or for several polls."""

    task: str
    task_id: str
    arguments: list[Any]


def messages(steps: Sequence[Claim]) -> Iterator[Message]:
    """The messages for these steps. Several polls share a message, which costs less.

    No message has the id of a job, because whoever revokes that id means the job.
    """
    polls = [step for step in steps if step.step == "poll"]
    for step in steps:
        if step.step != "poll":
            task_id = f"{step.step}:{step.job_id}:{step.lease}"
            yield Message(TASKS[step.step], task_id, [step.job_id, step.lease])
    for start in range(0, len(polls), POLLS_IN_A_MESSAGE):
        together = polls[start : start + POLLS_IN_A_MESSAGE]
        task_id = f"poll:{','.join(poll.job_id for poll in together)}:{together[0].lease}"
        yield Message(TASKS["poll"], task_id, [[(poll.job_id, poll.lease) for poll in together]])


_LOSSES = {
    "rolled_back": "the ledger has gone back to an older state: Redis has lost writes. Jobs that may "
    "have been sent in between will be in doubt (python -m limner doubts)",
    "emptied": "the ledger was emptied, or is another one: its jobs are gone, and producers get UnknownJob. "
    "Their tasks, as far as this worker knows them, are listed by python -m limner callbacks",
    "known": "the ledger has lost writes, as another worker has found before",
}
"""What is at stake after a loss of data."""


def tell_loss(loss: Loss) -> None:
    """Tell a loss of the ledger's data, and what this worker has done about it."""
    logger.error(
        "%s. Nothing is sent for one window of the quota. On record again: %d attempts; tasks of jobs that "
        "are gone: %d",
        _LOSSES[loss.what],
        loss.restored,
        loss.unknown,
    )


class Dispatcher(threading.Thread):
    """The thread that claims steps and sends their messages until it is stopped."""

    def __init__(
        self,
        app: Celery,
        ledger: Ledger,
        allowed: Sequence[Quota],
        money: Money,
        marks: Marks,
        room: Room | None = None,
        rescue: Rescue | None = None,
    ) -> None:
        super().__init__(name="limner-dispatcher", daemon=True)
        self._app: Any = app
        self._ledger = ledger
        self._wakeup = ledger.queue.wakeup()
        self._quotas = allowed
        self._money = money
        self._marks = marks
        self._room = room
        """The room for copies in this worker; None if it makes none."""
        self._rescue = rescue
        self._renew_at = 0.0
        self.ticked_at = time.monotonic()
        """The time (``time.monotonic``) of the last tick, by which a dispatcher that stands still is seen."""
        self._stopped = threading.Event()
        self._producer: Any = None
        self._away = False
        # Claimed steps that were not sent because the broker was away.
        self._unsent: list[Claim] = []
        self._claim_again = 0.0
        self._behind, self._expecting = 0.0, False
        self._maintain_at = 0.0
        # Recently claimed steps, each with the time of its claim, the oldest first.
        self._claimed: deque[tuple[float, Claim]] = deque()

    def run(self) -> None:
        """Tick until stopped. During an outage of Redis, wait and try again."""
        while not self._stopped.is_set():
            self.ticked_at = time.monotonic()
            try:
                nap = self.tick()
                if nap > 0 and not self._stopped.is_set():
                    self._sleep(nap)
                self._back()
            except RecordUnreadable as error:
                self._still(error)
            except Exception as error:
                # Without its dispatcher, the worker would claim nothing while its heartbeat goes on.
                if is_outage(error):
                    outage.failed("ledger", error)
                else:
                    logger.exception("the dispatcher stumbled and goes on")
                self._pause()
        self._close_wakeup()
        self._drop_producer()

    def _sleep(self, nap: float) -> None:
        woken = self._wakeup.wait(min(nap + self._behind, LONGEST_NAP))
        # It wakes up for a step that is due by then. If the step is gone, another dispatcher was faster.
        self._expecting = not woken and nap < LONGEST_NAP

    def tick(self) -> float:
        """Claim and send once; returns the seconds until there is more to do."""
        if (now := time.monotonic()) >= self._renew_at:
            self._marks.renew(self._ledger.letters.fleet_key)
            self._renew_at = now + MAINTAIN_GAP
            if self._rescue:
                self._rescue.bring_home(self._ledger)
        if self._unsent:
            # If some were sent after all, their messages are stale and do nothing.
            self._ledger.queue.give_back(self._unsent)
            self._unsent = []
        self._stopped.wait(max(0.0, self._claim_again - time.monotonic()))
        self._claim_again = time.monotonic() + LEAST_GAP
        copies = self._room.claims() if self._room else 0
        claimed = self._ledger.queue.claim(*self._quotas, money=self._money, batch=BATCH, copies=copies)
        if self._room:
            self._room.claimed(sum(step.step == "copy" for step in claimed.steps))
        if claimed.stepped:
            logger.warning(
                "the clock of Redis was stepped by %+.1f s; the ledger's times were moved with it",
                claimed.stepped,
            )
        if claimed.loss:
            tell_loss(claimed.loss)
        for said in claimed.unreadable:
            logger.warning("a job is left alone: %s", record_error(said))
        if self._expecting:
            lost = min(MOST_BEHIND, max(FIRST_BEHIND, 2 * self._behind))
            self._behind = 0.0 if claimed.steps else lost
            self._expecting = False
        if claimed.steps:
            self._remember(claimed.steps)
            self._send(claimed.steps)
        return 0.0 if self._maintain() else claimed.wait

    def _maintain(self) -> bool:
        """Do some of the ledger's housekeeping; returns True if more is due at once."""
        now = time.monotonic()
        if now < self._maintain_at:
            return False
        more = self._ledger.queue.maintain()
        self._maintain_at = now if more else now + MAINTAIN_GAP
        return more

    def fault(self, still: float) -> str | None:
        """The fault of a dispatcher that has not ticked for longer than ``still`` seconds, or has ended."""
        if self._stopped.is_set():
            return None
        if not self.is_alive():
            return "its dispatcher has ended"
        age = time.monotonic() - self.ticked_at
        return f"its dispatcher has stood still for {age:.0f} s" if age > still else None

    def stop(self) -> None:
        """Stop claiming."""
        self._stopped.set()

    def give_back(self) -> None:
        """Give back recently claimed steps that have not begun, so that they can be claimed again at once.

        Otherwise they would wait for the end of their leases if no other worker takes their messages.
        """
        steps = [step for _, step in self._claimed]
        self._claimed.clear()
        try:
            if count := self._ledger.queue.give_back(steps):
                logger.info("%d claimed steps are given back", count)
        except Exception as error:
            # The worker is about to end, in order.
            logger.warning("claimed steps wait for their lease: %s", error)

    def _remember(self, steps: list[Claim]) -> None:
        now = time.monotonic()
        longest = max(self._ledger.leases.step, self._ledger.leases.poll)
        while self._claimed and self._claimed[0][0] < now - longest:
            self._claimed.popleft()
        self._claimed.extend((now, step) for step in steps)

    def _send(self, steps: list[Claim]) -> None:
        try:
            if self._producer is None:
                self._producer = self._app.amqp.Producer(self._app.connection_for_write())
                settings = self._app.settings
                make_ready(self._app, self._producer, (settings.steps_queue, settings.copies_queue))
            with confirmed_together(self._producer):
                for message in messages(steps):
                    self._publish(message)
            outage.serves("sending")
        except Exception as error:
            if is_outage(error) or isinstance(error, Blocked):
                outage.failed("sending", error)
            else:
                logger.warning("%d steps could not be sent: %r", len(steps), error)
            # A connection that is held up tells when the broker takes messages again.
            if not isinstance(error, Blocked):
                self._drop_producer()
            self._unsent += steps
            self._stopped.wait(_OUTAGE_PAUSE)

    def _publish(self, message: Message) -> None:
        # Celery's own message, without the headers that a consumer of the fleet ignores (worker.inspection):
        # building and reading them would take twice as long as the rest.
        content_type, encoding, text = dumps([message.arguments, {}, {}], serializer="json")
        body = text.encode(encoding)
        mark = self._marks.of(message.task, message.task_id, body)
        settings = self._app.settings
        self._producer.publish(
            body,
            exchange="",
            routing_key=settings.copies_queue if message.task == TASKS["copy"] else settings.steps_queue,
            content_type=content_type,
            content_encoding=encoding,
            headers={"lang": "py", "task": message.task, "id": message.task_id, STEP: mark},
        )

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        # The connection is broken already.
        with contextlib.suppress(Exception):
            if producer is not None:
                producer.connection.release()

    def _still(self, error: LimnerError) -> None:
        if not self._away:
            logger.error("the dispatcher stands still: %s", error)
        self._away = True
        self._pause()

    def _pause(self) -> None:
        self._close_wakeup()
        self._stopped.wait(_OUTAGE_PAUSE)

    def _close_wakeup(self) -> None:
        # A connection that is broken already may not be closed in order.
        with contextlib.suppress(Exception):
            self._wakeup.close()

    def _back(self) -> None:
        outage.serves("ledger")
        if self._away:
            logger.info("the dispatcher goes on")
        self._away = False


def make_dispatcher(
    app: Celery,
    settings: Settings,
    marks: Marks,
    memory: Memory,
    copies: CopyServices | None = None,
    rescue: Rescue | None = None,
) -> Dispatcher:
    """Make the dispatcher from the settings, of a worker with this memory that makes these copies."""
    # After a lost reply, a repeated claim would lease further steps while the first ones stay leased.
    ledger = make_ledger(settings, repeat=False, memory=memory)
    room = copies.room if copies else None
    return Dispatcher(app, ledger, quotas(settings), money(settings), marks, room, rescue)


class DispatcherStep(bootsteps.StartStopStep):
    """The bootstep that starts the dispatcher with the worker, and stops it before the worker drains."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self.dispatcher: Dispatcher | None = None

    def start(self, parent: Any) -> None:
        """Start the dispatcher."""
        app = parent.app
        copies = app.services.copies if copies_images(app.settings, app) else None
        self.dispatcher = app.dispatcher = make_dispatcher(
            app, app.settings, app.marks, app.services.ledger.memory, copies, app.services.rescue
        )
        self.dispatcher.start()
        # stop() would be too early to give steps back: the pool still takes messages until it has drained.
        worker_shutdown.connect(self._drained, weak=False)

    def close(self, _parent: Any) -> None:
        """Stop claiming. Celery calls this on every bootstep before it stops the first one."""
        if self.dispatcher:
            self.dispatcher.stop()

    def stop(self, _parent: Any) -> None:
        """Wait for the last tick. The time-out of Redis bounds it."""
        if self.dispatcher:
            self.dispatcher.stop()
            self.dispatcher.join(timeout=10)

    def _drained(self, **_: Any) -> None:
        if self.dispatcher:
            self.dispatcher.give_back()
            self.dispatcher = None

    def terminate(self, parent: Any) -> None:
        """Stop when the worker is terminated."""
        self.stop(parent)
