"""The checks of copies, against a real folder and a real ledger."""

from datetime import timedelta
from pathlib import Path

import pytest

from config import Settings
from limner._redis import connect
from limner.ledger import Ledger
from worker.health.copy_checks import LATE, check_copies, check_storage
from worker.health.findings import Verdict
from worker.health.preflight import storage_preflight


def settings(copy_to: str, **others: str) -> Settings:
    return Settings(redis_url="redis://127.0.0.1:1/0", copy_to=copy_to, **others)  # type: ignore[arg-type]


def test_without_a_storage_the_life_of_links_is_told() -> None:
    [finding] = check_storage(settings(""))
    assert finding.verdict is Verdict.OK
    assert "links are gone after about a day" in finding.found


def test_a_storage_that_works_is_told(tmp_path: Path) -> None:
    [finding] = check_storage(settings(f"file://{tmp_path}/images"))
    assert finding.verdict is Verdict.OK


def test_a_storage_that_does_not_work_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("a file")
    [finding] = check_storage(settings(f"file://{tmp_path}/images"))
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("LIMNER_COPY_TO: ")


def test_a_host_that_cannot_be_fetched_from_is_a_failure_at_the_start(tmp_path: Path) -> None:
    wrong = settings(tmp_path.as_uri(), copy_plain_hosts="127.1")
    [finding] = check_storage(wrong)
    assert finding.verdict is Verdict.FAIL
    assert finding.found.startswith("LIMNER_COPY_PLAIN_HOSTS ")
    with pytest.raises(SystemExit, match=r"LIMNER_COPY_PLAIN_HOSTS .*'127.1'"):
        storage_preflight(wrong)


def test_late_and_failed_copies_are_told(valkey_url: str) -> None:
    with connect(valkey_url) as client:
        ledger = Ledger(client)
        assert list(check_copies(ledger)) == []
        now = client.time()[0]
        for job_id, age in [("young", 60.0), ("old", LATE + 7200), ("failed", 2 * 86_400.0)]:
            client.hset(f"limner:{{main}}:job:{job_id}", "copy_since", int((now - age) * 1000))
        client.zadd("limner:{main}:copies", {"young": now * 1000, "old": now * 1000})
        client.zadd("limner:{main}:copies:failed", {"failed": now * 1000})
        failed, late = check_copies(ledger)
    assert failed.found == "the images of 1 job could not be copied"
    assert late.found.endswith(f"the oldest for {timedelta(seconds=LATE + 7200).seconds // 3600} h")
    assert "of 1 job waited" in late.found
