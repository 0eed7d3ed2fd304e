"""kombu's Redis transport with a fix and fewer commands.

The fix: when the connection drops while a message is unacknowledged, kombu 5.7.0 asks the closed connection
for its parameters and the worker exits, ``AttributeError: 'NoneType' object has no attribute 'hostname'``.
Raised as a lost connection, the same failure is one that Celery survives. The same applies to a server that
refuses to write, because it was demoted to a replica, lacks replicas, or has a full disk.

Fewer commands: kombu copies each message that it takes to a hash in Redis, and removes it there when it is
acknowledged. The lease on the ledger brings a lost step back, so a step's message needs no copy. That saves
half of the commands and a third of the worker's CPU.
"""

from typing import Any

import redis
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from limner._connection import refuses

__all__ = ["STEP", "Transport", "install"]

STEP = "limner-step"
"""The header of a message that the dispatcher sent."""


class _Refusals:
    """Raises a server's refusal to serve as a lost connection."""

    def parse_response(self, connection: Any, command_name: str, **options: Any) -> Any:
        try:
            return super().parse_response(connection, command_name, **options)  # type: ignore[misc]
        except ResponseError as error:
            if not refuses(error):
                raise
            connection.disconnect()
            raise RedisConnectionError(f"the broker refuses to serve: {error}") from error


class _Pipeline(_Refusals, redis.client.Pipeline):
    pass


class Client(_Refusals, redis.Redis):
    """The client of the broker. kombu makes one for each channel."""

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        """A pipeline that handles refusals like the client."""
        return _Pipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


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


class Channel(kombu_redis.Channel):
    """A channel that raises a connection error when its connection is closed."""

    QoS = QoS
    bindings_prefix = ""
    """The beginning of the keys in which kombu keeps the bindings of queues."""
    from_transport_options = (*kombu_redis.Channel.from_transport_options, "bindings_prefix")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.bindings_prefix:
            # Formats and names that are attributes of kombu's class.
            for name in ("keyprefix_queue", "keyprefix_binding_deadlines", "keyprefix_binding_permanent"):
                setattr(
                    self, name, f"{self.bindings_prefix}.{getattr(kombu_redis.Channel, name).lstrip('_')}"
                )

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or getattr(self.connection, "client", None) is None:
            raise RedisConnectionError("the connection to the broker is closed")
        parameters: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]
        return parameters

    def _get_client(self) -> Any:
        client: Any = super()._get_client()  # type: ignore[misc]
        return Client if client is redis.Redis else client


class Transport(kombu_redis.Transport):
    """The Redis transport with this module's channel."""

    Channel = Channel


def install() -> None:
    """Make this the transport for ``redis://`` and ``rediss://`` URLs."""
    for alias in ("redis", "rediss"):
        TRANSPORT_ALIASES[alias] = f"{__name__}:{Transport.__name__}"
