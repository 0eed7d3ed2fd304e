"""kombu's Redis transport, mended.

When the connection drops while a message is unacknowledged, kombu 5.7.0 asks the closed connection for its
parameters and the worker exits: ``AttributeError: 'NoneType' object has no attribute 'hostname'``. Told as a
lost connection, the same moment is one that Celery knows how to survive.
"""

from typing import Any

from kombu.transport import redis as kombu_redis
from redis.exceptions import ConnectionError as RedisConnectionError

__all__ = ["Transport"]


class Channel(kombu_redis.Channel):
    """A channel that says so when its connection is gone."""

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or getattr(self.connection, "client", None) is None:
            raise RedisConnectionError("the connection to the broker is closed")
        parameters: dict[str, Any] = super()._connparams(asynchronous=asynchronous)  # type: ignore[misc]
        return parameters


class Transport(kombu_redis.Transport):
    """The Redis transport with that channel."""

    Channel = Channel
