"""Celery's consumer for RabbitMQ."""

from typing import ClassVar

from celery.worker import consumer

_NOT_OURS = "celery.worker.consumer.delayed_delivery:DelayedDelivery"


class Consumer(consumer.Consumer):
    """A consumer that makes no queues for delayed messages.

    Where it finds a quorum queue, Celery 5.7 makes 28 more of them, and as many exchanges. The times of jobs
    are on the ledger, so no message of a fleet is delayed.
    """

    class Blueprint(consumer.Consumer.Blueprint):  # type: ignore[misc,valid-type]
        """The consumer's parts, without that one."""

        default_steps: ClassVar = [
            step for step in consumer.Consumer.Blueprint.default_steps if step != _NOT_OURS
        ]
