"""The part of a worker's consumer that inspects messages."""

import base64
import json
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from celery import bootsteps
from celery.utils.saferepr import saferepr

from worker.dispatcher import TASKS
from worker.inspection import Inspection, Refused, Sound
from worker.letters import MOST_KEPT, LetterBox
from worker.outages import is_outage, outage
from worker.rabbitmq import transport as rabbitmq
from worker.rabbitmq.deliveries import sent_anew
from worker.transport import Channel

logger = logging.getLogger(__name__)

_PAUSE: Final = 0.5
_PATIENCE: Final = 5.0


class InspectionStep(bootsteps.StartStopStep):
    """The bootstep that gives the consumer's channel its inspection, after each connection to the broker."""

    requires = ("celery.worker.consumer:Tasks",)

    def start(self, parent: Any) -> None:
        """Inspect what comes from now on."""
        app = parent.app
        # Celery has connected to the broker.
        outage.serves("broker")
        if not app.marks.known:
            _read_key(app.marks.renew, app.services.ledger.letters.fleet_key)
        take = partial(inspect, Inspection(app.marks, frozenset(TASKS.values())), app.services.letters)
        channel = parent.task_consumer.channel
        if isinstance(channel, Channel):
            channel.inspect = take
        else:
            anew = None
            if isinstance(channel, rabbitmq.Channel):
                channel.places, anew = parent.initial_prefetch_count, partial(sent_anew, app)
            make_handler = type(parent).create_task_handler
            parent.create_task_handler = lambda: guarded(make_handler(parent), take, anew)

    def shutdown(self, parent: Any) -> None:
        """Write the letters that wait."""
        parent.app.services.letters.stop(_PATIENCE)


def inspect(inspection: Inspection, box: LetterBox, item: bytes, queue: str) -> Sound | None:
    """Inspect a message; None for one that was set aside."""
    try:
        sound = inspection(item, queue)
    except Refused as refused:
        box.add(str(refused), queue, item)
        return None
    except Exception as error:
        # Whatever an odd message makes stumble here, it must not be the consumer's loop.
        logger.exception("the inspection of a message has failed")
        box.add(f"unreadable: {type(error).__name__}", queue, item)
        return None
    if sound.fault:
        box.add(sound.fault, queue, item)
    return sound


def guarded(
    handle: Callable[[Any], None],
    take: Callable[[bytes, str], Sound | None],
    sent_anew: Callable[[Any], bool] | None = None,
) -> Callable[[Any], None]:
    """A handler that inspects the messages of a broker other than Redis.

    ``sent_anew`` tells of a message that is done with, because it was sent anew.
    """

    def inspected(message: Any) -> None:
        if sent_anew is not None and sent_anew(message):
            return
        sound = take(_as_item(message), str(message.delivery_info.get("routing_key") or ""))
        if sound is None:
            message.ack()
            return
        message.headers, message.body = sound.headers, sound.body
        message.content_type, message.content_encoding = sound.raw["content-type"], "utf-8"
        message._decoded_cache = sound.decoded  # noqa: SLF001 - kombu's own
        handle(message)

    return inspected


def _as_item(message: Any) -> bytes:
    """The message as it would lie in a queue of Redis."""
    body = message.body if isinstance(message.body, bytes) else str(message.body or "").encode()
    # kombu has decompressed it, unless it is a message of RabbitMQ, whose class is ours.
    headers = {name: value for name, value in message.headers.items() if name != "compression"}
    if compression := getattr(message, "compression", None):
        headers["compression"] = compression
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-type": message.content_type,
        "headers": headers,
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"redelivered": message.delivery_info.get("redelivered")},
            **{name: message.properties.get(name) for name in ("priority", "correlation_id", "timestamp")},
        },
    }
    try:
        return json.dumps(envelope, default=str).encode()
    except (TypeError, ValueError, RecursionError):
        # AMQP has tables that JSON has not. The inspection refuses it, and keeps this text.
        return f"no JSON: {saferepr(envelope, MOST_KEPT)}".encode(errors="replace")


def _read_key(renew: Callable[[Callable[[], str]], None], read: Callable[[], str]) -> None:
    """Read the key of the marks. Without it, no step of the fleet could be told from a forgery."""
    while True:
        try:
            return renew(read)
        except Exception as error:
            # Raised here, it would end the worker.
            if is_outage(error):
                outage.failed("ledger", error)
            else:
                logger.exception("the consumer waits for the ledger")
        time.sleep(_PAUSE)
