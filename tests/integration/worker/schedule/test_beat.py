"""``celery -A worker beat`` as a real process."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from config import Settings
from limner._redis import connect
from limner.errors import StoreUnavailable
from limner.ledger import Ledger
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.children import Child
from tests.processes import wait_until
from tests.repository import ROOT
from worker.application import build_app
from worker.health.beat import LOOK, verdict
from worker.schedule.beat import OUTAGE_PAUSE, Scheduler
from worker.schedule.file import read_schedule

EVERY_SECOND = '[kite]\nevery = 1\nrequest = { prompt = "a red kite" }\n'
NOTHING_SOON = '[kite]\ncrontab = "0 0 29 2 *"\nrequest = { prompt = "a red kite" }\n'

StartBeat = Callable[..., Child]
MakeScheduler = Callable[[str], tuple[Scheduler, Path]]


@pytest.fixture
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(aof=True, appendfsync="always") as valkey:
        yield valkey


@pytest.fixture
def start_beat(valkey: EmbeddedValkey, tmp_path: Path) -> Iterator[StartBeat]:
    """A function that starts beat without an API key, with its output in a file of the given name."""
    beats: list[Child] = []
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}

    def start(name: str = "beat", *, schedule: str = EVERY_SECOND) -> Child:
        file = tmp_path / "schedule.toml"
        file.write_text(schedule)
        with (tmp_path / name).open("wb") as output:
            beats.append(
                Child(
                    [sys.executable, "-m", "celery", "-A", "worker", "beat", "-l", "INFO"],
                    output=output,
                    env=environment
                    | {"LIMNER_REDIS_URL": valkey.url, "LIMNER_SCHEDULE_FILE": str(file)}
                    | {
                        "LIMNER_REDIS_TIMEOUT_SECONDS": "1",
                        "LIMNER_HEARTBEAT_FILE": str(tmp_path / f"{name}.heart"),
                    },
                    cwd=ROOT,
                )
            )
        return beats[-1]

    yield start
    for beat in beats:
        beat.kill()


@pytest.fixture
def make_scheduler(valkey: EmbeddedValkey, tmp_path: Path) -> MakeScheduler:
    """A function that makes the scheduler of beat, and returns it with the file that it touches."""

    def make(heartbeat: str) -> tuple[Scheduler, Path]:
        schedule = tmp_path / "schedule.toml"
        schedule.write_text(EVERY_SECOND)
        settings = Settings(redis_url=valkey.url, schedule_file=schedule, heartbeat_file=tmp_path / heartbeat)
        return Scheduler(build_app(settings)), tmp_path / f"{heartbeat}-beat"

    return make


@pytest.fixture
def ticks(valkey: EmbeddedValkey) -> Callable[[], list[int]]:
    """A function that returns the ledger's ticks in order of submission, or none during an outage."""
    ledger = Ledger(connect(valkey.url, timeout=1.0))

    def read() -> list[int]:
        with suppress(StoreUnavailable):
            return [
                round(datetime.fromisoformat(event.metadata["tick"]).timestamp())
                for event in ledger.journal.events("0", block=0.001, count=1000)
            ]
        return []

    return read


def is_without_gap_or_double(ticks: list[int]) -> bool:
    return sorted(ticks) == list(range(min(ticks), max(ticks) + 1))


def test_two_beats_submit_each_tick_once_and_one_can_continue_alone(
    start_beat: StartBeat, ticks: Callable[[], list[int]], tmp_path: Path
) -> None:
    first, second = start_beat("first"), start_beat("second")
    for name in ("first", "second"):
        wait_until(lambda: "is job" in (tmp_path / name).read_text())  # noqa: B023 - called at once
    together = len(ticks())
    wait_until(lambda: len(ticks()) >= together + 4)
    assert "(known)" in (tmp_path / "first").read_text() + (tmp_path / "second").read_text()

    first.kill()
    alone = len(ticks())
    wait_until(lambda: len(ticks()) >= alone + 4)
    assert second.running
    assert is_without_gap_or_double(ticks())


def test_two_beats_that_were_away_for_a_day_buy_the_ticks_of_today_once(
    start_beat: StartBeat, valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    # In this zone it is between 12:00 and 13:00, so that the test may run at any time of the day.
    zone = f"Etc/GMT{now.hour - 12:+d}"
    names = {"today": '"today"', "skipped": "false", "hour": "3600"}
    texts = [daily(name, 10, zone, catch_up) for name, catch_up in names.items()]
    texts += [daily("yesterday", 15, zone, '"today"'), daily("latest", 15, zone, '"latest"')]
    path = tmp_path / "written.toml"
    path.write_text("".join(texts))
    ledger = Ledger(connect(valkey.url, timeout=1.0))
    for entry in read_schedule(path):
        ledger.ticks.record(entry.mark, int(now.timestamp()) - 86_400)

    # The last entry ticks once a second: once it has, the others before it have been looked at.
    schedule = "".join([*texts, EVERY_SECOND])
    for name in ("first", "second"):
        start_beat(name, schedule=schedule)
    for name in ("first", "second"):
        wait_until(lambda: "schedule kite: the tick of" in (tmp_path / name).read_text())  # noqa: B023

    events = ledger.journal.events("0", block=0.001, count=1000)
    bought = [event.metadata for event in events if event.metadata["schedule"] != "kite"]
    today = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    assert sorted((each["schedule"], datetime.fromisoformat(each["tick"])) for each in bought) == [
        ("latest", today - timedelta(hours=19)),
        ("today", today),
    ]


def daily(name: str, hour: int, zone: str, catch_up: str) -> str:
    return (
        f'[{name}]\ncrontab = "0 {hour} * * *"\ntimezone = "{zone}"\ncatch_up = {catch_up}\n'
        'request = { prompt = "a red kite" }\n'
    )


def test_a_tick_is_not_lost_in_an_outage_of_redis(
    start_beat: StartBeat, ticks: Callable[[], list[int]], valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    log = tmp_path / "beat"
    start_beat()
    wait_until(lambda: ticks())
    valkey.kill()
    wait_until(lambda: "an outage begins" in log.read_text())
    valkey.restart()
    wait_until(lambda: "the outage is over" in log.read_text())
    wait_until(lambda: max(ticks(), default=0) >= time.time() - 2)
    assert is_without_gap_or_double(ticks())
    assert log.read_text().count("an outage begins") == 1


def test_beat_waits_for_redis_if_it_is_down_at_the_start(
    start_beat: StartBeat, ticks: Callable[[], list[int]], valkey: EmbeddedValkey, tmp_path: Path
) -> None:
    valkey.kill()
    beat = start_beat()
    wait_until(lambda: "an outage begins" in (tmp_path / "beat").read_text())
    assert "Traceback" not in (tmp_path / "beat").read_text()
    valkey.restart()
    wait_until(lambda: ticks())
    assert beat.running


def a_minute_later(file: Path) -> str | None:
    """The verdict if the last look at the schedule were a minute older."""
    before = file.stat().st_mtime - 60
    os.utime(file, (before, before))
    return verdict(file, time.time())


def test_a_beat_with_nothing_to_do_shows_that_it_lives(start_beat: StartBeat, tmp_path: Path) -> None:
    file = tmp_path / "beat.heart-beat"
    start_beat(schedule=NOTHING_SOON)
    wait_until(file.exists)
    assert a_minute_later(file)
    wait_until(lambda: verdict(file, time.time()) is None)


def test_a_suspended_beat_is_unhealthy_until_it_goes_on(start_beat: StartBeat, tmp_path: Path) -> None:
    file = tmp_path / "beat.heart-beat"
    beat = start_beat()
    wait_until(file.exists)
    beat.signal(signal.SIGSTOP)
    wait_until(lambda: psutil.Process(beat.pid).status() == psutil.STATUS_STOPPED)
    assert a_minute_later(file)
    beat.signal(signal.SIGCONT)
    wait_until(lambda: verdict(file, time.time()) is None)


def test_a_look_that_redis_refuses_does_not_count(
    make_scheduler: MakeScheduler, valkey: EmbeddedValkey
) -> None:
    scheduler, file = make_scheduler("heart")
    valkey.kill()
    assert scheduler.tick() == OUTAGE_PAUSE
    assert not file.exists()
    valkey.restart()
    assert scheduler.tick() <= LOOK
    assert verdict(file, time.time()) is None


def test_a_beat_without_a_place_for_its_file_keeps_its_schedule(
    make_scheduler: MakeScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler, file = make_scheduler("no-such-folder/heart")
    assert [scheduler.tick() <= 1, scheduler.tick() <= 1] == [True, True]
    assert not file.exists()
    assert caplog.text.count("cannot be touched") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("down", [False, True])
def test_beat_stops_at_once(
    start_beat: StartBeat, valkey: EmbeddedValkey, tmp_path: Path, number: signal.Signals, down: bool
) -> None:
    if down:
        valkey.pause()
    beat = start_beat(schedule=NOTHING_SOON)
    wait_until(lambda: "beat: Starting" in (tmp_path / "beat").read_text())
    if down:
        wait_until(lambda: "an outage begins" in (tmp_path / "beat").read_text())
    beat.signal(number)
    began = time.monotonic()
    assert beat.wait(10) == 0
    assert time.monotonic() - began < 3
    assert "Traceback" not in (tmp_path / "beat").read_text()
    assert not list(ROOT.glob("celerybeat-schedule*"))


def test_an_invalid_schedule_is_refused_and_nothing_is_submitted(
    start_beat: StartBeat, ticks: Callable[[], list[int]], tmp_path: Path
) -> None:
    beat = start_beat(schedule=f'{EVERY_SECOND}[fox]\nevery = 1\ncrontab = "* *"\n')
    assert beat.wait(30) == 1
    log = (tmp_path / "beat").read_text()
    assert f"{tmp_path / 'schedule.toml'}: [fox] crontab: a crontab has five fields" in log
    assert "[fox] request: Field required" in log
    assert "Traceback" not in log
    assert ticks() == []
