"""The properties of a message of RabbitMQ, read so that none of them ends a worker."""

import logging
from typing import Any

from amqp.serialization import PROPERTY_CLASSES, decode_properties_basic
from amqp.spec import Basic

logger = logging.getLogger(__name__)


def properties_of(buffer: bytes, offset: int) -> tuple[dict[str, Any], int]:
    """The properties of a message; none if they cannot be read.

    py-amqp 5.4.2 raises for text that is no UTF-8. That ends the loop of the consumer, and RabbitMQ
    delivers the message to the next worker.
    """
    try:
        found: tuple[dict[str, Any], int] = decode_properties_basic(buffer, offset)
    except Exception as error:
        logger.warning("the properties of a message cannot be read: %s", type(error).__name__)
        return {}, len(buffer)
    return found


def install() -> None:
    """Have this process read the properties of messages in this way."""
    readers: Any = PROPERTY_CLASSES
    readers[Basic.CLASS_ID] = properties_of
