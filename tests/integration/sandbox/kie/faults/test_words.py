"""Refusals and failures in other words."""

import httpx
import pytest

from sandbox.kie.faults.words import REFUSAL_WORDS
from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import client_of, create, ended


@pytest.mark.parametrize("variant", REFUSAL_WORDS)
def test_a_refusal_has_the_code_and_the_words_of_its_variant(
    variant: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(refusal_words={"next": 1, "variant": variant})
    answer = create(client)
    assert (answer["code"], answer["msg"], answer["data"]) == (*REFUSAL_WORDS[variant], None)
    assert variant.endswith(str(answer["code"]))
    assert provider.ledger() == []


@pytest.mark.parametrize(
    ("variant", "code", "part"),
    [
        ("load", "500", "Moderate load"),
        ("safety_vest", "500", "safety vest"),
        ("timeout", "500", "timeout"),
        ("credits", "402", "Credits"),
        ("key_cap", "433", "daily limit"),
        ("moderation_zh", "400", "内容违规"),
        ("credits_zh", "500", "余额不足"),
    ],
)
def test_a_task_fails_with_the_words_of_its_variant(
    variant: str, code: str, part: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(task_fail={"variant": variant})
    data = ended(client, create(client)["data"]["taskId"])
    assert (data["state"], data["failCode"]) == ("fail", code)
    assert part in data["failMsg"]


@pytest.mark.parametrize(
    ("option", "words"), [("same", "call frequency is too high"), ("named", "Too many concurrent tasks")]
)
def test_the_limit_of_running_tasks_can_be_named(option: str, words: str) -> None:
    with (
        SandboxProvider(max_running=1, running_words=option, duration=60) as provider,
        client_of(provider) as client,
    ):
        assert create(client)["code"] == 200
        refused = create(client)
        assert refused["code"] == 429
        assert words in refused["msg"]
