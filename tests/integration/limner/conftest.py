"""A fleet of one account, as its ledger knows it: no worker runs."""

from collections.abc import Iterator

import pytest

from limner._redis import connect
from limner.ledger import Ledger, Quota

QUOTA = Quota(20, 10.0, 10, 1.0, 100)


@pytest.fixture
def ledger(valkey_url: str) -> Iterator[Ledger]:
    with connect(valkey_url) as client:
        yield Ledger(client)


@pytest.fixture
def url(valkey_url: str, ledger: Ledger) -> str:
    """The URL of a Redis on which a worker has served one account."""
    ledger.queue.claim(QUOTA)
    return valkey_url
