"""kombu's transport for RabbitMQ, whose publishers never wait for ever.

RabbitMQ confirms each message once it is safe. kombu 5.7.0 waits for that without a limit, also while the
broker holds up its publishers because its memory or disk is full, and an attempt to close such a connection
waits as well. Here a publisher waits for a bounded time, sees the alarm at once, and is told if a message
reached no queue. Several messages can be confirmed together, which costs one wait instead of many.
"""

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from amqp.exceptions import AccessRefused, NotAllowed, RecoverableConnectionError
from celery.worker.state import reserved_requests
from kombu.transport import TRANSPORT_ALIASES, pyamqp

from worker.rabbitmq import properties

__all__ = ["Blocked", "Channel", "Message", "SSLTransport", "Transport", "confirmed_together", "install"]

CONFIRM_SECONDS: Final = 5.0
"""The longest wait for a confirmation, unless the transport option ``confirm_seconds`` says another."""

ANSWER_SECONDS: Final = 15.0
"""The longest wait for any other answer. After a restart, quorum queues answer nothing while they recover."""


class Blocked(RecoverableConnectionError):
    """The broker takes no messages until its memory or disk has room. The connection stays usable."""


class Refusal(RecoverableConnectionError):
    """The broker refuses the user or the virtual host, perhaps because a password is being changed."""


class _Patient:
    """Waits for an answer of the broker for a bounded time."""

    def wait(
        self, method: Any, callback: Any = None, timeout: float | None = None, returns_tuple: bool = False
    ) -> Any:
        """Wait for an answer. Raises a lost connection if it does not come."""
        known: Any = self
        connection = known.connection
        patience = timeout or max(ANSWER_SECONDS, connection.confirm_seconds)
        try:
            return super().wait(method, callback, patience, returns_tuple)  # type: ignore[misc]
        except TimeoutError:
            connection.collect()
            raise RecoverableConnectionError(f"RabbitMQ has not answered within {patience:g} s") from None


class Message(pyamqp.Message):
    """A message whose body is left compressed, for the inspection, which decompresses up to a limit."""

    def __init__(self, msg: Any, channel: Any = None, **options: Any) -> None:
        headers = msg.properties.get("application_headers") or {}
        self.compression = headers.pop("compression", None)
        super().__init__(msg, channel=channel, **options)


class Channel(_Patient, pyamqp.Channel):
    """A channel whose publishes are confirmed within a bounded time."""

    Message = Message
    places = 0
    """The messages that a worker takes at a time; 0 for a channel of no worker."""

    def __init__(self, connection: Any, *args: Any, **options: Any) -> None:
        self._patience: float = connection.confirm_seconds
        self._gathering = False
        self._taken: set[int] = set()
        self._full_since: float | None = None
        self._begin()
        super().__init__(connection, *args, **options)

    def _begin(self) -> None:
        self._sent = 0
        self._unconfirmed: set[int] = set()
        self._nacked = 0

    def _do_revive(self) -> None:
        # The server counts anew on a channel that was opened again.
        self._begin()
        super()._do_revive()  # type: ignore[misc]

    # Publishing

    def basic_publish_confirm(self, msg: Any, exchange: str = "", *args: Any, **options: Any) -> None:
        """Publish a message, and wait until it is confirmed. Raises Blocked or another connection error."""
        patience = options.pop("confirm_timeout", None) or self._patience
        channel: Any = self
        if not channel._confirm_selected:  # noqa: SLF001 - py-amqp's own
            channel._confirm_selected = True  # noqa: SLF001
            self.confirm_select()
            channel.events["basic_ack"].add(self._on_confirmed)
            channel.events["basic_nack"].add(self._on_nacked)
        self._check_alarm()
        if not exchange:
            # A queue that is gone would otherwise swallow the message, and confirm it.
            options["mandatory"] = True
        options["timeout"] = options.get("timeout") or patience
        self._sent += 1
        self._unconfirmed.add(self._sent)
        channel._basic_publish(msg, exchange, *args, **options)  # noqa: SLF001
        if not self._gathering:
            self._wait(patience)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Wait for the confirmations of all messages that are published in the block at its end."""
        self._gathering = True
        try:
            yield
        except BaseException:
            self._unconfirmed.clear()
            raise
        finally:
            self._gathering = False
        self._wait(self._patience)

    def _wait(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        connection = self.connection
        try:
            while self._unconfirmed:
                self._check_alarm(drain=False)
                if connection is None or self.connection is None:
                    raise RecoverableConnectionError("the connection to RabbitMQ was lost")
                connection.drain_events(timeout=max(0.001, deadline - time.monotonic()))
        except TimeoutError:
            count = len(self._unconfirmed)
            # Confirmations that come later would be taken for those of other messages.
            connection.collect()
            raise RecoverableConnectionError(
                f"RabbitMQ has not confirmed {count} messages within {patience:g} s"
            ) from None
        finally:
            self._unconfirmed.clear()
        if self._nacked:
            self._nacked = 0
            raise RecoverableConnectionError("RabbitMQ could not store a message")

    def _check_alarm(self, *, drain: bool = True) -> None:
        connection = self.connection
        if connection is None:
            raise RecoverableConnectionError("the connection to RabbitMQ is closed")
        if drain and connection.blocked:
            with contextlib.suppress(TimeoutError):
                while True:
                    connection.drain_events(timeout=0)
        if connection.blocked:
            self._unconfirmed.clear()
            raise Blocked("RabbitMQ takes no messages: its memory or its disk is full")

    def _on_confirmed(self, tag: int, multiple: bool) -> None:
        if multiple:
            self._unconfirmed = {each for each in self._unconfirmed if each > tag}
        else:
            self._unconfirmed.discard(tag)

    def _on_nacked(self, tag: int, multiple: bool) -> None:
        self._nacked += 1
        self._on_confirmed(tag, multiple)

    # Consuming

    def message_to_python(self, raw_message: Any) -> Any:
        """The message, which takes a place until it is acknowledged."""
        self._taken.add(raw_message.delivery_tag)
        return super().message_to_python(raw_message)

    def basic_ack(self, delivery_tag: int, *args: Any, **options: Any) -> Any:
        """Acknowledge a message."""
        self._taken.discard(delivery_tag)
        return super().basic_ack(delivery_tag, *args, **options)

    def basic_reject(self, delivery_tag: int, *args: Any, **options: Any) -> Any:
        """Refuse a message."""
        self._taken.discard(delivery_tag)
        return super().basic_reject(delivery_tag, *args, **options)

    def fault(self, still: float, stuck: float) -> str | None:
        """The fault of a worker's channel that takes no messages although it could, or None.

        ``still`` is the longest time in seconds for which messages that nobody works on may occupy all
        places, and ``stuck`` that for steps. AMQP's own heartbeat finds a broker that does not answer.
        """
        if not self.places or len(self._taken) < self.places:
            self._full_since = None
            return None
        now = time.monotonic()
        self._full_since = since = now if self._full_since is None else self._full_since
        age = now - since
        if not reserved_requests and age > still:
            return f"messages that nobody works on have taken all its places for {age:.0f} s"
        return f"its steps have taken all its places for {age:.0f} s" if age > stuck else None


class Connection(_Patient, pyamqp.Connection):
    """A connection that knows the broker's alarm."""

    Channel = Channel

    def __init__(self, *args: Any, confirm_seconds: float = CONFIRM_SECONDS, **options: Any) -> None:
        self.confirm_seconds = confirm_seconds
        self.blocked = False
        """True while the broker takes no messages from this connection."""
        super().__init__(*args, **options)

    def _on_blocked(self) -> None:
        self.blocked = True

    def _on_unblocked(self) -> None:
        self.blocked = False

    def close(self, *args: Any, **options: Any) -> Any:
        """Close the connection, without a farewell while the broker would not read it."""
        if self.blocked:
            return self.collect()
        return super().close(*args, **options)


class _Persistent:
    """Takes a refused login for a lost connection. Celery's worker exits with any other error."""

    def establish_connection(self) -> Any:
        """Connect. Raises Refusal, or a connection error."""
        try:
            return super().establish_connection()  # type: ignore[misc]
        except (AccessRefused, NotAllowed) as error:
            raise Refusal(f"RabbitMQ refuses this user: {error.reply_text}") from error


class Transport(_Persistent, pyamqp.Transport):
    """The transport for ``amqp://``."""

    Connection = Connection


class SSLTransport(_Persistent, pyamqp.SSLTransport):
    """The transport for ``amqps://``."""

    Connection = Connection


@contextmanager
def confirmed_together(producer: Any) -> Iterator[None]:
    """Send the messages that are published in the block together, as far as the producer's broker can."""
    channel = producer.channel
    with channel.together() if isinstance(channel, Channel) else producer.batch():
        yield


def install() -> None:
    """Make these the transports for ``amqp://`` and ``amqps://`` URLs."""
    properties.install()
    for alias, transport in (("amqp", Transport), ("amqps", SSLTransport)):
        TRANSPORT_ALIASES[alias] = f"{__name__}:{transport.__name__}"
