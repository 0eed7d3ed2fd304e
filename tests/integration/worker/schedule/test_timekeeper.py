"""Beat's writes to a real Valkey, at times that the test chooses."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

import pytest
import redis

from limner._redis import connect
from limner.errors import StoreUnavailable
from limner.ledger import Ledger, Quota
from limner.models import TextToImage
from limner.options import SubmitOptions
from limner.status import Event
from sandbox.local.valkey import EmbeddedValkey
from worker.schedule.beat import Timekeeper
from worker.schedule.file import Entry
from worker.schedule.ticks import Crontab, Every, iso

NOON = 1_795_435_200
HOUR = 3600
OPTIONS = SubmitOptions(priority=7, metadata={"tenant": "t1"})
KITE = Entry("kite", Every(HOUR), TextToImage(prompt="a red kite"), OPTIONS, catch_up=HOUR)


@dataclass
class Bench:
    """One Valkey, and the beats that the test starts."""

    valkey: EmbeddedValkey
    client: "redis.Redis"

    def start(self, *entries: Entry, at: int) -> Timekeeper:
        return Timekeeper(entries, Ledger(self.client), started=at, idempotency_seconds=86_400)

    def submitted(self) -> list[Event]:
        return Ledger(self.client).journal.events("0", block=0.001, count=1000)

    def jobs(self) -> list[str]:
        return [event.job_id for event in self.submitted()]

    def ticks(self) -> list[str]:
        return [event.metadata["tick"] for event in self.submitted()]


@pytest.fixture
def bench() -> Iterator[Bench]:
    with EmbeddedValkey(aof=True) as valkey:
        client = connect(valkey.url, timeout=1.0)
        yield Bench(valkey, client)
        client.close()


def test_a_tick_becomes_a_job(bench: Bench) -> None:
    beat = bench.start(KITE, at=NOON - 10)
    assert beat.run(NOON - 10) == NOON
    assert bench.jobs() == []
    assert beat.run(NOON) == NOON + HOUR
    [job_id] = bench.jobs()
    record: Any = Ledger(bench.client).jobs.read(job_id)
    assert record.request["prompt"] == "a red kite"
    assert record.priority == 7
    assert record.metadata == {"tenant": "t1", "schedule": "kite", "tick": iso(NOON)}
    beat.run(NOON + 1)
    assert bench.jobs() == [job_id]


def test_two_beats_submit_a_tick_once(bench: Bench) -> None:
    first, second = bench.start(KITE, at=NOON - 10), bench.start(KITE, at=NOON - 5)
    for now in (NOON, NOON + HOUR):
        first.run(now)
        second.run(now + 1)
    assert bench.ticks() == [iso(NOON), iso(NOON + HOUR)]


def test_a_new_entry_begins_with_its_next_tick(bench: Bench) -> None:
    beat = bench.start(KITE, at=NOON + 1)
    beat.run(NOON + 1)
    assert bench.ticks() == []
    beat.run(NOON + HOUR)
    assert bench.ticks() == [iso(NOON + HOUR)]


def test_the_missed_first_tick_of_an_entry_is_caught_up(bench: Bench) -> None:
    bench.start(KITE, at=NOON - 10).run(NOON - 10)
    bench.start(KITE, at=NOON + 10).run(NOON + 10)
    assert bench.ticks() == [iso(NOON)]


def test_after_a_stop_only_the_latest_missed_tick_is_caught_up(bench: Bench) -> None:
    bench.start(KITE, at=NOON - 10).run(NOON)
    late = NOON + 5 * HOUR + 60
    bench.start(KITE, at=late).run(late)
    bench.start(KITE, at=late + 60).run(late + 60)
    assert bench.ticks() == [iso(NOON), iso(NOON + 5 * HOUR)]


def test_the_ticks_left_out_by_a_stop_are_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    unkept = replace(KITE, name="unkept", catch_up=0)
    bench.start(KITE, unkept, at=NOON - 10).run(NOON)
    late = NOON + 5 * HOUR + 60
    beat = bench.start(KITE, unkept, at=late)
    beat.run(late)
    beat.run(late + 1)
    left_out = [line.rpartition(" left out from ")[2] for line in caplog.messages if "was away" in line]
    assert left_out == [
        f"{iso(NOON + HOUR)} until {iso(NOON + 5 * HOUR)} (catch_up)",
        f"{iso(NOON + HOUR)} until now (catch_up)",
    ]


def test_two_beats_that_were_away_for_a_day_buy_the_tick_of_today(bench: Bench) -> None:
    # NOON is 12:00 UTC, and the last tick before the stop was the one of 07:00 a day before.
    daily = Crontab.parse("0 7 * * *", UTC)
    entries = [
        replace(KITE, name="today", rhythm=daily, catch_up="today"),
        replace(KITE, name="none", rhythm=daily, catch_up=0),
        replace(KITE, name="hour", rhythm=daily),
        replace(KITE, name="yesterday", rhythm=Crontab.parse("0 13 * * *", UTC), catch_up="today"),
        replace(KITE, name="latest", rhythm=Crontab.parse("0 13 * * *", UTC), catch_up="latest"),
    ]
    bench.start(*entries, at=NOON - 30 * HOUR).run(NOON - 24 * HOUR)
    before = len(bench.jobs())
    first, second = bench.start(*entries, at=NOON), bench.start(*entries, at=NOON + 1)
    for now in (NOON + 2, NOON + 3):
        first.run(now)
        second.run(now)
    assert [(event.metadata["schedule"], event.metadata["tick"]) for event in bench.submitted()[before:]] == [
        ("today", iso(NOON - 5 * HOUR)),
        ("latest", iso(NOON - 23 * HOUR)),
    ]


def test_an_entry_without_catch_up_skips_missed_ticks(bench: Bench) -> None:
    punctual = replace(KITE, catch_up=0)
    bench.start(punctual, at=NOON - 10).run(NOON)
    late = NOON + HOUR + 60
    bench.start(punctual, at=late).run(late)
    assert bench.ticks() == [iso(NOON)]


@pytest.mark.parametrize("between", [[], [replace(KITE, rhythm=Every(1800))]])
def test_an_entry_that_was_removed_and_restored_starts_as_new(bench: Bench, between: list[Entry]) -> None:
    bench.start(KITE, at=NOON - 10).run(NOON)
    bench.start(*between, at=NOON + 10).run(NOON + 10)
    late = NOON + HOUR + 60
    bench.start(KITE, at=late).run(late)
    assert bench.ticks() == [iso(NOON)]


def test_a_changed_request_keeps_the_job_of_a_submitted_tick(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.start(KITE, at=NOON - 10).run(NOON)
    newer = bench.start(replace(KITE, request=TextToImage(prompt="a blue kite")), at=NOON - 5)
    newer.run(NOON + 1)
    [job_id] = bench.jobs()
    assert job_id in caplog.text
    assert "another request" in caplog.text
    newer.run(NOON + HOUR)
    assert bench.ticks() == [iso(NOON), iso(NOON + HOUR)]


def test_a_tick_survives_an_outage(bench: Bench) -> None:
    beat = bench.start(KITE, at=NOON - 10)
    beat.run(NOON - 10)
    bench.valkey.kill()
    for now in (NOON, NOON + 2):
        with pytest.raises(StoreUnavailable):
            beat.run(now)
    bench.valkey.restart()
    assert beat.run(NOON + 600) == NOON + HOUR
    assert bench.ticks() == [iso(NOON)]


def test_ticks_skipped_by_a_long_outage_are_logged_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    beat = bench.start(KITE, at=NOON - 10)
    beat.run(NOON - 10)
    bench.valkey.kill()
    for now in (NOON + 2 * HOUR, NOON + 2 * HOUR + 30):
        with pytest.raises(StoreUnavailable):
            beat.run(now)
    bench.valkey.restart()
    beat.run(NOON + 2 * HOUR + 60)
    assert bench.ticks() == [iso(NOON + 2 * HOUR)]
    assert caplog.text.count(f"left out from {iso(NOON)} until {iso(NOON + 2 * HOUR)}") == 1


def test_a_tick_that_is_too_late_is_skipped_and_logged_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    beat = bench.start(replace(KITE, catch_up=60), at=NOON - 10)
    beat.run(NOON - 10)
    beat.run(NOON + 61)
    beat.run(NOON + 62)
    assert bench.ticks() == []
    assert caplog.text.count(f"left out from {iso(NOON)}") == 1


def test_an_entry_runs_again_after_the_system_time_was_ahead(bench: Bench) -> None:
    beat = bench.start(KITE, at=NOON - 10)
    beat.run(NOON + 100 * HOUR)
    for now in (NOON - 5, NOON):
        beat.run(now)
    assert bench.ticks() == [iso(NOON + 100 * HOUR), iso(NOON)]


def test_without_entries_there_is_no_next_tick(bench: Bench) -> None:
    assert bench.start(at=NOON).run(NOON) == float("inf")


def test_a_tick_for_an_unknown_account_is_skipped(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    Ledger(bench.client).queue.claim(Quota(20, 10.0, 10, 1.0, 100, account="north"))
    lost, north = SubmitOptions(account="nroth"), SubmitOptions(account="north", lane="t1")
    beat = bench.start(replace(KITE, name="lost", options=lost), replace(KITE, options=north), at=NOON - 10)
    beat.run(NOON)
    [job_id] = bench.jobs()
    record: Any = Ledger(bench.client).jobs.read(job_id)
    assert (record.account, record.lane) == ("north", "t1")
    assert "schedule lost: account: there is no 'nroth'" in caplog.text
    assert "the fleet has north" in caplog.text
    beat.run(NOON + HOUR)
    assert len(bench.jobs()) == 2
