"""Queues of RabbitMQ, which are used as they are found.

Whoever declares a queue that is there with other arguments is refused by RabbitMQ: a worker would not start
because a producer came first, and a linked task would be lost because its queue is a quorum queue. So a queue
is declared only where there is none.
"""

from collections.abc import Iterable
from typing import Any

from amqp.exceptions import NotFound, RecoverableConnectionError
from celery.app import amqp
from kombu import Queue


class FoundQueue(Queue):
    """A queue that is made only if there is none of its name."""

    can_cache_declaration = False

    def declare(self, nowait: bool = False, channel: Any = None) -> str:
        """Make the queue, unless there is one."""
        channel = channel or self.channel
        if channel.connection is None:
            raise RecoverableConnectionError("the connection to RabbitMQ is closed")
        # RabbitMQ closes the channel of whoever asks for a queue that is not there.
        probe = channel.connection.channel()
        try:
            self.queue_declare(passive=True, channel=probe)
        except NotFound:
            super().declare(nowait=nowait, channel=probe)
        finally:
            if probe.connection is not None:
                probe.close()
        return str(self.name)


class Queues(amqp.Queues):
    """Celery's list of queues, all of which are used as they are found."""

    def _add(self, queue: Queue) -> Queue:
        found: Queue = super()._add(FoundQueue(**queue.as_dict()))  # type: ignore[misc]
        return found


class AMQP(amqp.AMQP):
    """Celery's part for messages, with these queues."""

    queues_cls = Queues


def make_ready(app: Any, producer: Any, names: Iterable[str]) -> None:
    """Make these queues where there are none. Brokers other than RabbitMQ need none."""
    for queue in map(app.amqp.queues.__getitem__, names):
        if isinstance(queue, FoundQueue):
            queue(producer.channel).declare()
