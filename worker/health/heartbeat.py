"""The heartbeat of a worker: a file that its consumer writes while it takes tasks.

The file is empty, or says the fault of a worker whose loop runs and does not do all its work.
"""

import logging
from pathlib import Path
from typing import Any, Final

from celery import bootsteps

from worker.health.__main__ import LOST
from worker.rabbitmq import transport as rabbitmq
from worker.transport import Channel

logger = logging.getLogger(__name__)

BEAT: Final = 5.0
"""Seconds between two beats."""
STILL: Final = 15.0
"""Seconds without an answer of the broker, or without a tick of the dispatcher, after which one is at fault.
The broker answers each second, and the dispatcher ticks as often."""
STUCK: Final = 600.0
"""Seconds for which the steps of a worker may occupy all its places. The longest
waits two minutes for Redis."""


def beat(path: Path, fault: str | None = None) -> None:
    """Beat once: write the fault, and set the file's time to now."""
    path.write_text(fault or "", encoding="utf-8")


class HeartbeatStep(bootsteps.StartStopStep):
    """The bootstep that beats in the consumer's own loop, so that a hanging loop is noticed."""

    requires = ("celery.worker.consumer:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Start to beat, after the first connection to the broker and after each new one."""
        if fault := unread(parent):
            logger.error("this worker will not do the steps of jobs: %s", fault)

        def once() -> None:
            write(parent.app.settings.heartbeat_file, fault_of(parent))

        once()
        loop = parent.hub or parent.timer
        self._timer = loop.call_repeatedly(BEAT, once)

    def stop(self, parent: Any) -> None:
        """Stop beating, since the connection is lost or the worker stops."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
            write(parent.app.settings.heartbeat_file, LOST)

    shutdown = stop


def write(path: Path, fault: str | None) -> None:
    """Beat once. A full disk makes the worker look dead, and must not end its loop."""
    try:
        beat(path, fault)
    except OSError as error:
        logger.warning("LIMNER_HEARTBEAT_FILE: %s cannot be written: %s", path, error)


def fault_of(consumer: Any) -> str | None:
    """The fault of a worker whose consumer's loop runs, or None."""
    app, channel = consumer.app, consumer.task_consumer.channel
    dispatcher, settings = app.dispatcher, app.settings
    known = isinstance(channel, Channel | rabbitmq.Channel)
    taking = channel.fault(STILL, STUCK) if known else None
    # A tick lasts as long as a call to Redis at most.
    claiming = dispatcher.fault(STILL + settings.redis_timeout_seconds) if dispatcher else None
    return unread(consumer) or taking or claiming


def unread(consumer: Any) -> str | None:
    """The fault of a worker that does not read the queue of the steps, or None. One may read only copies."""
    settings, queue = consumer.app.settings, consumer.app.settings.steps_queue
    read = {each.name for each in consumer.task_consumer.queues}
    if queue in read or read == {settings.copies_queue}:
        return None
    return f"it does not read the queue {queue}; add it to -Q, or leave -Q out (LIMNER_PREFIX names it)"
