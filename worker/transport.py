"""kombu's Redis transport with a fix, an inspection and fewer commands.

The fix: when the connection drops while a message is unacknowledged, kombu 5.7.0 asks the closed connection
for its parameters and the worker exits, ``AttributeError: 'NoneType' object has no attribute 'hostname'``.
Raised as a lost connection, the same failure is one that Celery survives.

The connections: the broker's URL has the dialect of all our URLs, Sentinels included, and its connections are
those of :mod:`limner._redis`. A server that cannot serve is a lost connection, whatever it said.

The inspection: kombu builds a message of whatever lies in the queue, and Celery believes it. What stumbles
over an odd one is the consumer's loop, and so the worker. A worker's channel inspects each message before
(see :mod:`worker.inspection`).

Fewer commands: kombu copies each message that it takes to a hash in Redis, and removes it there when it is
acknowledged. The lease on the ledger brings a lost step back, so a step's message needs no copy. That saves
half of the commands and a third of the worker's CPU.
"""

import logging
import time
from collections.abc import Callable
from queue import Empty
from typing import Any, cast

import redis
from celery.worker.state import reserved_requests
from kombu.message import Message as BaseMessage
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis
from kombu.utils import json as kombu_json
from redis.exceptions import ConnectionError as RedisConnectionError

from limner._redis import CLASSES, Address, Serving, make_pool
from worker.inspection import STEP, Sound

__all__ = ["Channel", "Transport", "install"]

logger = logging.getLogger(__name__)


class _Watched(Serving):
    """A connection whose socket kombu watches: it may not be replaced behind kombu's back."""

    channel: Any = None

    def _renew(self) -> None:
        raise RedisConnectionError("the connection to the broker is gone")

    def disconnect(self: Any, *args: Any, **options: Any) -> None:
        """Close the connection, and stop watching it."""
        super().disconnect(*args, **options)  # type: ignore[misc]
        if self.channel is not None and self.channel._registered:  # noqa: SLF001 - kombu's own
            self.channel._on_connection_disconnect(self)  # noqa: SLF001 - kombu's own


def _watched_by(channel: Any) -> dict[str, type]:
    """The classes of connections whose sockets a channel watches."""
    return {
        name: type(kind.__name__, (_Watched, kind), {"channel": channel}) for name, kind in CLASSES.items()
    }


class QoS(kombu_redis.QoS):
    """Keeps unacknowledged messages of steps in memory only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._steps: dict[str, Any] = {}

    def append(self, message: Any, delivery_tag: str) -> None:
        """Remember a message until it is acknowledged."""
        if STEP in message.headers:
            self._steps[delivery_tag] = message
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Forget a message that is done."""
        if self._steps.pop(delivery_tag, None) is not None:
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Refuse a message."""
        super().reject(delivery_tag, requeue)
        self._steps.pop(delivery_tag, None)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        """Return a message to the broker's queue, as when the worker stops."""
        message = self._steps.pop(tag, None)
        if message is None:
            super().restore_by_tag(tag, client, leftmost)
            return
        origin = message.delivery_info
        channel: Any = self.channel
        with channel.conn_or_acquire(client) as connection, connection.pipeline() as pipe:
            # kombu's own method for this has no public name.
            give_back = channel._do_restore_message  # noqa: SLF001
            give_back(message._raw, origin["exchange"], origin["routing_key"], pipe, leftmost)  # noqa: SLF001
            pipe.execute()


class Message(virtual.Message):
    """A message that may have been inspected, and decoded with that."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        if not isinstance(payload, Sound):
            super().__init__(payload, channel=channel, **options)
            return
        self._raw = raw = payload.raw
        properties, body = raw["properties"], cast("Any", payload.body)
        BaseMessage.__init__(
            self,
            body=body,
            channel=channel,
            delivery_tag=properties["delivery_tag"],
            content_type=raw["content-type"],
            content_encoding=raw["content-encoding"],
            headers=raw["headers"],
            properties=properties,
            delivery_info=properties["delivery_info"],
        )
        self._decoded_cache = payload.decoded


class Channel(kombu_redis.Channel):
    """A channel that raises a connection error when its connection is closed.

    A worker sets ``inspect``, which returns None for a message that it has set aside.
    """

    QoS = QoS
    Message = Message
    inspect: Callable[[bytes, str], Sound | None] | None = None
    bindings_prefix = ""
    """The beginning of the keys in which kombu keeps the bindings of queues."""
    address: Address | None = None
    """The broker. Without it, kombu's own URL says where it is: another app of this process may have one."""
    socket_timeout: Any = None
    from_transport_options = (*kombu_redis.Channel.from_transport_options, "bindings_prefix", "address")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.answered_at = time.monotonic()
        """The time (``time.monotonic``) at which the broker last answered a request for messages."""
        if self.bindings_prefix:
            # Formats and names that are attributes of kombu's class.
            for name in ("keyprefix_queue", "keyprefix_binding_deadlines", "keyprefix_binding_permanent"):
                setattr(
                    self, name, f"{self.bindings_prefix}.{getattr(kombu_redis.Channel, name).lstrip('_')}"
                )

    def _brpop_read(self, **options: Any) -> bool:
        # kombu's own method, with the inspection between the reading and the delivery.
        channel: Any = self
        try:
            try:
                taken = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except channel.connection_errors:
                self.client.connection.disconnect()
                raise
            self.answered_at = time.monotonic()
            if not taken:
                raise Empty
            key, item = taken
            queue = key.decode().rsplit(self.sep, 1)[0]
            channel._queue_cycle.rotate(queue)  # noqa: SLF001 - kombu's own
            message = kombu_json.loads(item) if self.inspect is None else self.inspect(item, queue)
            if message is not None:
                self.connection._deliver(message, queue)  # noqa: SLF001
            return True
        finally:
            self._in_poll = None
            channel._flush_brpop_reauth()  # noqa: SLF001 - kombu's own

    def _receive_one(self, listener: Any) -> bool:
        # Events and remote control come by another way, where an odd message would end the loop as well.
        channel: Any = super()
        try:
            return bool(channel._receive_one(listener))  # noqa: SLF001 - kombu's own
        except (redis.RedisError, OSError, Empty):
            raise
        except Exception as error:
            logger.warning("an odd event or command is left out: %s", type(error).__name__)
            return False

    def fault(self, still: float, stuck: float) -> str | None:
        """The fault of a worker's channel that takes no messages although it could, or None.

        ``still`` is the longest time in seconds without an answer of the broker, which answers each second.
        ``stuck`` is the longest time for which steps may occupy all places.
        """
        age = time.monotonic() - self.answered_at
        if age <= still:
            return None
        if self.qos.can_consume():
            return f"its loop has not been answered by the broker for {age:.0f} s"
        if not reserved_requests:
            return f"messages that nobody works on have taken all its places for {age:.0f} s"
        return f"its steps have taken all its places for {age:.0f} s" if age > stuck else None

    def _get_pool(self, asynchronous: bool = False) -> Any:
        if self.connection is None or getattr(self.connection, "client", None) is None:
            raise RedisConnectionError("the connection to the broker is closed")
        if self.address is None:
            return super()._get_pool(asynchronous)  # type: ignore[misc]
        self.keyprefix_fanout = self.keyprefix_fanout.format(db=self.address.database)
        return make_pool(
            self.address,
            timeout=self.socket_timeout,
            # A repeated publish could send twice; those who publish know whether that matters.
            repeat=False,
            decode=False,
            classes=_watched_by(self) if asynchronous else CLASSES,
        )


class Transport(kombu_redis.Transport):
    """The Redis transport with this module's channel."""

    Channel = Channel
    # Whatever the server says, the worker connects again. An error that is not on the list ends it.
    connection_errors = (*kombu_redis.Transport.connection_errors, redis.RedisError)


def install() -> None:
    """Make this the transport for ``redis://`` and ``rediss://`` URLs."""
    for alias in ("redis", "rediss"):
        TRANSPORT_ALIASES[alias] = f"{__name__}:{Transport.__name__}"
