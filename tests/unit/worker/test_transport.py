"""Which transport a broker's URL leads to."""

import pytest
from kombu import Connection

from config.settings import celery_url
from worker.transport import Transport, install


@pytest.mark.parametrize(
    "url", ["redis://h:1/0", "rediss://h:1/0", "unix:///run/redis.sock?db=2", "unix://:pw@/run/redis.sock"]
)
def test_every_dialect_of_a_redis_url_gets_the_mended_transport(url: str) -> None:
    install()
    assert isinstance(Connection(celery_url(url)).transport, Transport)
