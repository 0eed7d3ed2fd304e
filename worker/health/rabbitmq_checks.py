"""A fleet's RabbitMQ: a message is sent and taken, and the queues are those that the fleet would make."""

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any, Final

from amqp.exceptions import AccessRefused, AMQPError, NotFound, PreconditionFailed
from celery import Celery
from kombu import Connection, Queue
from kombu.exceptions import OperationalError

from config import Settings
from worker.health.findings import Finding, fail, ok, warn
from worker.rabbitmq.transport import Blocked, Refusal

CHECK: Final = "broker"


def check_rabbitmq(settings: Settings, app: Celery, where: str) -> Iterator[Finding]:
    """Send a message to a queue of its own, take it, and look at the fleet's queues."""
    connection: Any = app.connection_for_write()
    try:
        connection.ensure_connection(max_retries=1, interval_start=0)
        _send_and_take(connection)
        found = list(_other_queues(settings, app, connection))
    except (AMQPError, OperationalError, OSError) as error:
        yield _away(f"LIMNER_BROKER_URL: {where}", error)
    else:
        yield ok(CHECK, f"{where} takes messages")
        yield from found
    finally:
        with contextlib.suppress(AMQPError, OSError):
            connection.release()


def _away(setting: str, error: BaseException) -> Finding:
    if isinstance(error, OperationalError):
        error = error.__cause__ or error
    if isinstance(error, Blocked):
        said, advice = "takes no messages: its memory or its disk is full", "make room there"
    elif isinstance(error, Refusal | AccessRefused):
        said, advice = "refuses this user", "check user, password and virtual host, and the user's rights"
    else:
        # Messages of foreign libraries may quote a whole URL.
        said, advice = f"cannot be used ({type(error).__name__})", "check the URL, and that it runs"
    return fail(CHECK, f"{setting} {said}", advice)


def _send_and_take(connection: Connection) -> None:
    # An exclusive queue goes with its connection.
    name = f"limner-doctor-{secrets.token_hex(8)}"
    channel: Any = connection.default_channel
    queue: Any = Queue(name, exclusive=True, durable=False, auto_delete=True)(channel)
    queue.queue_declare()
    message = channel.prepare_message(b"{}", content_type="application/json", content_encoding="binary")
    channel.basic_publish(message, exchange="", routing_key=name)
    if queue.get(no_ack=True) is None:
        raise OSError("a message was lost")


def _other_queues(settings: Settings, app: Any, connection: Any) -> Iterator[Finding]:
    """Findings about queues that are there, and that the fleet would have made otherwise."""
    for name in (settings.queue, settings.steps_queue, settings.copies_queue):
        channel = connection.channel()
        queue = app.amqp.queues[name](channel)
        try:
            queue.queue_declare(passive=True)
            queue.queue_declare()
        except NotFound:
            continue
        except PreconditionFailed:
            wanted = (queue.queue_arguments or {}).get("x-queue-type", "classic")
            yield warn(
                CHECK,
                f"the queue {name} was made with other arguments than those of this fleet ({wanted})",
                "it is used as it is; to have it made anew, stop the fleet and delete it when it is empty",
            )
        finally:
            channel.close()
