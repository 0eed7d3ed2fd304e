"""Copies in a ledger that has met an accident."""

import json
from dataclasses import replace
from typing import Any

import pytest

from limner.errors import RecordUnreadable
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.copying import (
    AWAY,
    GONE,
    PATIENCE,
    begin,
    claim,
    copying,
    delivered,
    due,
    put,
    report,
)
from tests.integration.limner.ledger.stories import record

# The ledger's own accidents


def test_an_index_entry_without_a_record_is_removed(bench: Bench) -> None:
    job_id = delivered(bench)
    bench.client.delete(bench.ledger.jobs.key(job_id))
    assert bench.ledger.copies.waiting() == []
    bench.client.zadd(bench.ledger.prefix + "copies", {job_id: 1})
    assert (claim(bench), due(bench, job_id)) == ([], None)


def test_a_job_without_images_is_not_kept_due(bench: Bench) -> None:
    job_id = delivered(bench)
    bench.client.hdel(bench.ledger.jobs.key(job_id), "copies")
    assert (claim(bench), due(bench, job_id)) == ([], None)
    bench.client.zadd(bench.ledger.prefix + "copies", {job_id: 1})
    assert bench.ledger.copies.begin(job_id, record(bench, job_id).copy_lease) is None


@pytest.mark.parametrize(
    "copies",
    [
        "",
        "{}",
        "[null]",
        '[{"task":"t"}]',
        '[{"task":"t","url":1}]',
        '[{"task":"t","url":"u","stored":true}]',
        '[{"task":"t","url":"u","stored":true,"file":{"size":"x"}}]',
    ],
)
def test_a_job_with_damaged_copies_is_set_apart(bench: Bench, copies: str) -> None:
    job_id = delivered(bench)
    bench.client.hset(bench.ledger.jobs.key(job_id), "copies", copies)
    claimed = bench.ledger.queue.claim(bench.quota, copies=8)
    assert (claimed.steps, len(claimed.unreadable)) == ([], 1)
    assert [found.job_id for found in bench.ledger.jobs.broken()] == [job_id]
    assert (due(bench, job_id), due(bench, job_id, "due")) == (3600.0, None)


def test_a_job_that_only_a_worker_cannot_read_is_set_apart(bench: Bench) -> None:
    job_id = delivered(bench)
    damaged = json.dumps([{"task": "t", "url": "u", "file": {"size": 1}}])
    bench.client.hset(bench.ledger.jobs.key(job_id), "copies", damaged)
    [step] = claim(bench)
    with pytest.raises(RecordUnreadable) as told:
        bench.ledger.copies.begin(step.job_id, step.lease)
    assert bench.ledger.jobs.set_apart(job_id, told.value)
    assert (due(bench, job_id), due(bench, job_id, "due")) == (3600.0, None)


def test_a_repaired_job_is_copied(bench: Bench) -> None:
    job_id = delivered(bench)
    key = bench.ledger.jobs.key(job_id)
    whole = bench.client.hget(key, "copies")
    bench.client.hset(key, "copies", "[null]")
    claim(bench)
    bench.client.hset(key, "copies", whole)
    assert bench.ledger.jobs.put_back(job_id)
    assert (due(bench, job_id), due(bench, job_id, "due")) == (0.0, None)
    assert report(bench, begin(bench), put(1, 2)) == "copied"


def test_a_dropped_record_is_not_copied(bench: Bench) -> None:
    job_id = delivered(bench)
    bench.client.hset(bench.ledger.jobs.key(job_id), "copies", "[null]")
    claim(bench)
    assert bench.ledger.jobs.put_back(job_id, drop=True)
    assert due(bench, job_id) is None


def test_new_workers_try_it_at_once(bench: Bench) -> None:
    job_id = delivered(bench)
    bench.client.hset(bench.ledger.jobs.key(job_id), "copies", "[null]")
    claim(bench)
    assert due(bench, job_id) == 3600.0
    bench.ledger.queue.claim(replace(bench.quota, creates=7))
    assert due(bench, job_id) == 0.0


def test_a_dropped_record_is_not_among_the_failed_copies(bench: Bench) -> None:
    job_id = delivered(bench)
    report(bench, begin(bench), {}, GONE)
    bench.ledger.jobs.adopt(job_id, "another")
    bench.client.hset(bench.ledger.jobs.key(job_id), "copies", "[null]")
    bench.now += 1.0
    bench.claim()
    assert bench.ledger.jobs.put_back(job_id, drop=True)
    assert due(bench, job_id, "copies:failed") is None


def test_a_damaged_record_is_not_listed(bench: Bench) -> None:
    job_id = delivered(bench)
    for absurd in ("x", "9" * 15):
        bench.client.hset(bench.ledger.jobs.key(job_id), "copy_since", absurd)
        assert bench.ledger.copies.waiting() == []


@pytest.mark.parametrize("key", ["copies", "copies:failed"])
def test_a_key_of_another_type_stops_no_report(bench: Bench, key: str) -> None:
    job_id = delivered(bench)
    begun = begin(bench)
    bench.client.delete(bench.ledger.prefix + key)
    bench.client.set(bench.ledger.prefix + key, "x")
    assert report(bench, begun, {}, GONE) == ("stale" if key == "copies" else "noted")
    assert bench.client.exists(f"{bench.ledger.prefix}damaged:{bench.ledger.prefix}{key}")
    assert bench.ledger.copies.retry(job_id) == 2
    assert due(bench, job_id) == 0.0


def test_a_step_of_the_clock_moves_the_copies(bench: Bench) -> None:
    job_id = copying(bench)
    since = record(bench, job_id).copy_since
    report(bench, begin(bench), {}, AWAY)
    bench.now -= 3600
    assert bench.ledger.queue.claim(bench.quota, copies=8).stepped
    assert (due(bench, job_id), due(bench, job_id, "due")) == (5.0, PATIENCE)
    moved: Any = record(bench, job_id).copy_since
    assert (since - moved).total_seconds() == 3600


def test_long_links_are_kept_whole(bench: Bench) -> None:
    urls = [f"https://a/{number}?{'x' * 100_000}" for number in range(4)]
    job_id = copying(bench, urls)
    assert [copy.url for copy in begin(bench).copies] == urls
    assert due(bench, job_id) == bench.ledger.leases.copy
