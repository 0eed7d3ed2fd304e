"""The checks of a worker's Redis before it starts."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from config import Settings
from worker.health.preflight import preflight, risks, unkept

DURABLE: dict[str, object] = {"aof_enabled": 1, "redis_version": "7.2.4", "connected_slaves": 1}


@pytest.mark.parametrize("durability", ["server", "disk", "replica"])
def test_a_durable_server_with_a_replica_keeps_every_durability(durability: str) -> None:
    assert unkept(durability, DURABLE) is None


@pytest.mark.parametrize(
    ("durability", "facts", "fault"),
    [
        ("disk", {"aof_enabled": 0}, "disk needs a Redis with an append-only file"),
        ("disk", {"redis_version": "7.0.15"}, "this server (7.0.15) does not have"),
        ("disk", {"redis_version": "6.2"}, "WAITAOF"),
        ("replica", {"connected_slaves": 0}, "replica needs a connected replica, and this server has none"),
    ],
)
def test_what_a_server_lacks_for_a_durability_is_named(
    durability: str, facts: dict[str, Any], fault: str
) -> None:
    assert fault in str(unkept(durability, {**DURABLE, **facts}))


def test_the_servers_own_durability_asks_for_nothing() -> None:
    assert unkept("server", {}) is None


def test_the_second_number_of_a_version_is_no_digit() -> None:
    assert unkept("disk", {**DURABLE, "redis_version": "7.10.0"}) is None


def test_a_server_that_is_durable_and_evicts_nothing_is_no_risk() -> None:
    assert risks({**DURABLE, "maxmemory_policy": "noeviction"}) == []


@pytest.mark.parametrize("durability", ["server", "disk", "replica"])
def test_a_server_that_tells_nothing_is_no_reason_to_exit(durability: str) -> None:
    assert unkept(durability, {}) is None
    [unknown] = risks({})
    assert "INFO" in unknown


def test_a_server_that_forgets_or_evicts_is_a_risk_by_its_setting() -> None:
    [forgets, evicts] = risks({"aof_enabled": 0, "maxmemory_policy": "allkeys-lru"})
    assert "appendonly no" in forgets
    assert "maxmemory-policy allkeys-lru" in evicts
    assert all(risk.startswith("LIMNER_REDIS_URL: ") for risk in (forgets, evicts))


@pytest.mark.parametrize(
    ("url", "key", "name"),
    [
        ("https://api.kie.ai/api/v1/jobs", "k1", "LIMNER_API_URL must not end in /api/v1/jobs"),
        ("https://api.kie.ai", "two words", "LIMNER_API_KEY has a blank"),
    ],
)
def test_a_setting_that_is_certainly_wrong_ends_the_worker(url: str, key: str, name: str) -> None:
    settings = Settings(redis_url="redis://127.0.0.1:1/0", api_url=url, api_key=SecretStr("k1"))
    with pytest.raises(SystemExit, match=f"limner: {name}"):
        preflight(settings.model_copy(update={"api_key": SecretStr(key)}))


def test_a_rescue_folder_that_takes_no_file_ends_the_worker(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = Settings(
        redis_url="redis://127.0.0.1:1/0", api_key=SecretStr("k1"), rescue_folder=tmp_path / "file" / "folder"
    )
    with pytest.raises(SystemExit, match=r"limner: LIMNER_RESCUE_FOLDER: .* takes no file: Not a directory"):
        preflight(settings)
