"""``submit`` on a real ledger."""

import io
import json
import sys

import pytest

from limner import Limner
from limner._redis import connect
from limner.ledger import Ledger
from tests.integration.limner.cli.conftest import Run


def request(valkey_url: str, job_id: str) -> dict[str, object]:
    record = Ledger(connect(valkey_url)).jobs.read(job_id)
    assert record
    return dict(record.request)


def test_options_are_the_fields_of_the_request(limner_cli: Run, valkey_url: str) -> None:
    [told] = limner_cli("submit", "a fox", "--num-images", "2", "--rendering-speed", "turbo", "--seed", "7")
    found = request(valkey_url, told["job_id"])
    assert (found["prompt"], found["num_images"], found["rendering_speed"], found["seed"]) == (
        "a fox",
        2,
        "TURBO",
        7,
    )


def test_a_prompt_may_come_from_standard_input(
    limner_cli: Run, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("eine Füchsin\n".encode()), "ascii"))
    [told] = limner_cli("submit", "-")
    assert request(valkey_url, told["job_id"])["prompt"] == "eine Füchsin"


def test_the_same_key_gives_the_same_job_and_another_request_is_refused(limner_cli: Run) -> None:
    first = limner_cli("submit", "a fox", "--idempotency-key", "order 7")
    assert limner_cli("submit", "a fox", "--idempotency-key", "order 7") == first
    assert limner_cli("submit", "a hen", "--idempotency-key", "order 7", code=2) == []


def test_a_time_to_wait_implies_to_wait(limner_cli: Run) -> None:
    [told] = limner_cli("submit", "a fox", "--timeout", "0", code=3)
    assert list(told) == ["job_id"]


def test_metadata_comes_back_with_the_events(limner_cli: Run, valkey_url: str) -> None:
    limner_cli("submit", "a fox", "--metadata", json.dumps({"order": 7}))
    with Limner(valkey_url) as limner:
        assert next(iter(limner.events(from_start=True))).metadata == {"order": 7}
