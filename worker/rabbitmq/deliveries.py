"""Messages that RabbitMQ has delivered many times.

RabbitMQ 4 drops a message of a quorum queue after 20 deliveries. A producer's message is delivered again
whenever the ledger stays away, or its worker dies, and must not be lost by that.
"""

import logging
from typing import Any, Final

from celery import Celery

logger = logging.getLogger(__name__)

MOST: Final = 10
"""Deliveries after which a message is sent anew. RabbitMQ 4 allows 20 by default."""
_COUNT: Final = "x-delivery-count"


def sent_anew(app: Celery, message: Any) -> bool:
    """True for a message that was sent anew because it has been delivered often, and is done with that."""
    count = message.headers.get(_COUNT)
    if not isinstance(count, int) or count < MOST:
        return False
    queue = message.delivery_info.get("routing_key")
    headers = {name: value for name, value in message.headers.items() if name != _COUNT}
    if message.compression:
        headers["compression"] = message.compression
    kept = {
        name: value
        for name, value in message.properties.items()
        if name in ("correlation_id", "reply_to", "priority", "timestamp", "expiration")
    }
    try:
        with app.producer_pool.acquire(block=True) as producer:
            channel: Any = producer.channel
            raw = channel.prepare_message(
                message.body,
                content_type=message.content_type,
                content_encoding=message.content_encoding,
                headers=headers,
                properties={**kept, "delivery_mode": 2},
            )
            channel.basic_publish(raw, exchange="", routing_key=queue)
    except Exception as error:
        logger.warning("a message that was delivered %d times is not sent anew: %r", count, error)
        return False
    logger.warning("a message of the queue %s was delivered %d times, and is sent anew", queue, count)
    message.ack()
    return True
