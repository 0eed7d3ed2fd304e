"""The transport for each form of a broker's URL."""

import subprocess
import sys

import pytest

from config.settings import celery_url

# The check runs in its own process, because kombu caches the first transport of each name.
CHECK = """
import sys
from kombu import Connection
from worker.transport import Transport, install
install()
sys.exit(not isinstance(Connection(sys.argv[1]).transport, Transport))
"""


@pytest.mark.parametrize(
    "url", ["redis://h:1/0", "rediss://h:1/0", "unix:///run/redis.sock?db=2", "unix://:pw@/run/redis.sock"]
)
def test_every_form_of_a_redis_url_gets_our_transport(url: str) -> None:
    assert subprocess.run([sys.executable, "-c", CHECK, celery_url(url)], check=False).returncode == 0
