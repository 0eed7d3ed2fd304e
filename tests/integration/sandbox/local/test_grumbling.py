"""A proxy that answers for a Redis with its errors."""

import pytest
import redis

from sandbox.local.grumbling import GARBAGE, GrumblingProxy
from sandbox.local.valkey import EmbeddedValkey


def test_it_complains_of_all_commands_or_of_some_and_forwards_afterwards() -> None:
    with (
        EmbeddedValkey() as valkey,
        GrumblingProxy(valkey.url) as proxy,
        redis.Redis.from_url(proxy.url) as client,
    ):
        client.set("a", b"x\r\n$5" * 50_000)
        with (
            proxy.grumbles("ERR max daily request limit exceeded"),
            pytest.raises(redis.ResponseError, match="max daily"),
        ):
            client.get("a")
        with proxy.grumbles("NOPERM no", "PUBLISH"):
            assert client.exists("a")
            with pytest.raises(redis.exceptions.NoPermissionError):
                client.publish("c", "m")
        with (
            proxy.grumbles(GARBAGE),
            pytest.raises((redis.ConnectionError, redis.exceptions.InvalidResponse)),
        ):
            client.get("a")
        client.connection_pool.disconnect()
        assert client.get("a") == b"x\r\n$5" * 50_000
        assert proxy.complaints == 3
