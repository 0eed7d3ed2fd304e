"""Other words for the end of a task."""

import httpx
import pytest

from sandbox.kie.faults.state_words import STATE_WORDS
from sandbox.kie.server import SandboxProvider
from tests.integration.sandbox.conftest import create, record, until


@pytest.mark.parametrize("word", STATE_WORDS)
def test_a_word_comes_with_the_end_that_it_means(
    word: str, provider: SandboxProvider, client: httpx.Client
) -> None:
    provider.faults(state_words={"variant": word})
    task_id = create(client)["data"]["taskId"]
    assert record(client, task_id)["data"]["state"] in ("waiting", "generating")
    data = until(
        lambda: found if (found := record(client, task_id)["data"])["completeTime"] is not None else None
    )
    [row] = provider.ledger()
    assert data["state"] == word
    if STATE_WORDS[word]:
        assert "resultUrls" in data["resultJson"]
        assert (row["state"], row["billed"]) == ("success", 7.0)
    else:
        assert data["failMsg"]
        assert (row["state"], row["billed"]) == ("fail", 0)


def test_a_word_for_success_does_not_hide_a_failure(provider: SandboxProvider, client: httpx.Client) -> None:
    provider.faults(state_words={"variant": "done"}, task_fail=1)
    task_id = create(client)["data"]["taskId"]
    until(lambda: record(client, task_id)["data"]["state"] == "fail")
