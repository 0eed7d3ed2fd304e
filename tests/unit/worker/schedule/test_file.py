from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from limner.models import TextToImage
from limner.options import SubmitOptions
from tests.repository import ROOT
from worker.schedule.file import Entry, ScheduleError, read_schedule
from worker.schedule.ticks import Crontab, Every

SEVEN = 1_795_417_200  # 2026-11-23T07:00:00Z
KITE = 'request = { prompt = "a red kite" }\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "schedule.toml"


def read(file: Path, text: str) -> list[Entry]:
    file.write_text(text)
    return read_schedule(file)


def faults(file: Path, text: str) -> list[str]:
    with pytest.raises(ScheduleError) as caught:
        read(file, text)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{file}: ") for line in lines)
    return [line.removeprefix(f"{file}: ") for line in lines]


def test_an_entry_can_have_all_fields(file: Path) -> None:
    [entry] = read(
        file,
        """
        [kite]
        crontab = "0 7 * * *"
        timezone = "Europe/Berlin"
        priority = 9
        metadata = { tenant = "t1" }
        catch_up = 60
        lane = "postcards"
        account = "north"
        expires_in = 1800
        copy = false
        copy_to = "postcards/daily"
        [kite.request]
        prompt = "a red kite"
        num_images = 2
        """,
    )
    assert entry == Entry(
        name="kite",
        rhythm=Crontab.parse("0 7 * * *", ZoneInfo("Europe/Berlin")),
        request=TextToImage(prompt="a red kite", num_images=2),
        options=SubmitOptions.checked(
            priority=9,
            metadata={"tenant": "t1"},
            lane="postcards",
            account="north",
            expires_in=1800,
            copy=False,
            copy_to="postcards/daily",
        ),
        catch_up=60,
    )


def test_optional_fields_have_defaults(file: Path) -> None:
    daily, often = read(file, f'[daily]\ncrontab = "0 7 * * *"\n{KITE}[often]\nevery = 60\n{KITE}')
    assert daily.rhythm == Crontab.parse("0 7 * * *", UTC)
    assert often.rhythm == Every(60)
    assert (daily.options, daily.catch_up) == (SubmitOptions(), 3600)


@pytest.mark.parametrize(
    ("written", "read_as"),
    [("false", 0), ("0", 0), ("31622400", 31_622_400), ('"today"', "today"), ('"latest"', "latest")],
)
def test_catch_up_is_a_word_or_a_time(file: Path, written: str, read_as: object) -> None:
    [entry] = read(file, f"[kite]\nevery = 60\ncatch_up = {written}\n{KITE}")
    assert entry.catch_up == read_as


def test_a_disabled_entry_is_checked_and_omitted(file: Path) -> None:
    assert read(file, f"[kite]\nenabled = false\nevery = 60\n{KITE}") == []
    assert faults(file, f"[kite]\nenabled = false\nevery = 0\n{KITE}") == [
        "[kite] every: Input should be greater than or equal to 1"
    ]


def test_an_empty_file_schedules_nothing(file: Path) -> None:
    assert read(file, "# nothing yet") == []


def test_the_example_schedule_buys_nothing() -> None:
    path = ROOT / "config" / "schedule.toml"
    assert "[postcard-of-the-day]" in path.read_text()
    assert read_schedule(path) == []


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("every = 60\ncolour = 1\n" + KITE, "colour: there is no such field"),
        (KITE, "crontab, every: exactly one of the two is needed"),
        ('every = 60\ncrontab = "* * * * *"\n' + KITE, "crontab, every: exactly one of the two is needed"),
        ('crontab = "* *"\n' + KITE, "crontab: a crontab has five fields, '* *' has 2"),
        ('crontab = "0 25 * * *"\n' + KITE, "crontab: '0 25 * * *' is no crontab: Invalid end range"),
        ('crontab = "0 mon * * *"\n' + KITE, "crontab: 'mon' is no hour of a crontab"),
        ("every = 0.5\n" + KITE, "every: Input should be a valid integer"),
        ('every = 60\ntimezone = "UTC"\n' + KITE, "timezone: goes with crontab only"),
        (
            'crontab = "* * * * *"\ntimezone = "Mars/Base"\n' + KITE,
            "timezone: there is no time zone 'Mars/Base'",
        ),
        (
            'crontab = "* * * * *"\ntimezone = "Europe"\n' + KITE,
            "timezone: there is no time zone 'Europe'",
        ),
        ("every = 60\n", "request: Field required"),
        ("every = 60\nrequest = {}\n", "request.prompt: Field required"),
        ('every = 60\nrequest = { promt = "x", prompt = "x" }\n', "request.promt: there is no such field"),
        ('every = 60\nrequest = { prompt = "x", num_images = 5 }\n', "request.num_images: Input should be"),
        (
            'every = 60\nrequest = { prompt = "x", style = "AUTO", style_codes = ["00000000"] }\n',
            "request: style: cannot be used together with style_codes",
        ),
        ("every = 60\npriority = 10\n" + KITE, "priority: must be a whole number from 0 to 9, not 10"),
        ('every = 60\nlane = ""\n' + KITE, "lane: must be a text of 1 to 64 printable characters"),
        ("every = 60\nlane = 42\n" + KITE, "lane: must be a text of 1 to 64 printable characters"),
        (f'every = 60\naccount = "{"x" * 65}"\n' + KITE, "account: must be a text of 1 to 64"),
        ('every = 60\ncopy_to = "../a"\n' + KITE, "copy_to: must be a relative folder"),
        ("every = 60\ncopy = 1\n" + KITE, "copy: Input should be a valid boolean"),
        ("every = 60\ncopied = false\n" + KITE, "copied: there is no such field"),
        ("every = 60\nexpires_in = 0\n" + KITE, "expires_in: must be a number of seconds above 0"),
        ("every = 60\nexpires_in = nan\n" + KITE, "expires_in: must be a number of seconds above 0"),
        ('every = 60\nexpires_in = "1h"\n' + KITE, "expires_in: must be a number of seconds above 0"),
        (
            "every = 60\ncatch_up = -1\n" + KITE,
            'catch_up: must be false, "today", "latest" or a whole number',
        ),
        ("every = 60\ncatch_up = true\n" + KITE, 'catch_up: must be false, "today", "latest" or'),
        ("every = 60\ncatch_up = 0.5\n" + KITE, 'catch_up: must be false, "today", "latest" or'),
        ("every = 60\ncatch_up = 31622401\n" + KITE, 'catch_up: must be false, "today", "latest" or'),
        ('every = 60\ncatch_up = "tomorrow"\n' + KITE, 'catch_up: must be false, "today", "latest" or'),
        ("every = 60\nmetadata = { on = 2026-11-23 }\n" + KITE, "metadata: cannot be written as JSON"),
        (f'every = 60\nmetadata = {{ long = "{"x" * 4050}" }}\n' + KITE, "metadata: at most 4096 bytes"),
    ],
)
def test_a_fault_names_the_file_the_entry_and_the_field(file: Path, table: str, fault: str) -> None:
    [line] = faults(file, f"[kite]\n{table}")
    assert line.startswith(f"[kite] {fault}")


def test_all_faults_are_reported_at_once(file: Path) -> None:
    text = f'[a]\nevery = 0\ncrontab = "* *"\nrequest = {{ prompt = " " }}\n["b c"]\nevery = 1\n{KITE}'
    assert [line.partition(":")[0] for line in faults(file, text)] == [
        "[a] crontab, every",
        "[a] crontab",
        "[a] every",
        "[a] request.prompt",
        "[b c] the name must be 1 to 100 letters, digits, dots, hyphens and underscores",
    ]


@pytest.mark.parametrize(
    "text", ["[kite\n", f"[kite]\nevery = 1\n{KITE}[kite]\nevery = 2\n{KITE}", "every = 1\nevery = 2\n"]
)
def test_invalid_toml_is_refused_with_its_line(file: Path, text: str) -> None:
    [line] = faults(file, text)
    assert line.startswith("is not TOML: ")
    assert "line " in line


def test_a_value_outside_a_table_is_refused(file: Path) -> None:
    assert faults(file, "every = 60\n") == ["[every] must be a table"]


def test_a_binary_file_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ScheduleError, match="is not TOML"):
        read_schedule(file)


def test_a_missing_file_is_refused_with_the_setting_s_name(file: Path) -> None:
    with pytest.raises(ScheduleError, match=r"No such file.*LIMNER_SCHEDULE_FILE"):
        read_schedule(file)


def test_a_tick_has_one_key_and_its_origin_in_the_metadata(file: Path) -> None:
    [entry] = read(file, f'[kite]\nevery = 60\nmetadata = {{ tenant = "t1", tick = "mine" }}\n{KITE}')
    first, repeated = (entry.submission(SEVEN, idempotency_seconds=86_400) for _ in range(2))
    other = entry.submission(SEVEN + 60, idempotency_seconds=86_400)
    assert first.key == repeated.key != other.key
    assert first.key_ttl == 86_400
    assert first.options.metadata == {"tenant": "t1", "schedule": "kite", "tick": "2026-11-23T07:00:00Z"}


def test_a_tick_has_the_lane_account_and_expiry_of_its_entry(file: Path) -> None:
    options = 'lane = "postcards"\naccount = "north"\nexpires_in = 0.5\n'
    [entry] = read(file, f"[kite]\nevery = 60\n{options}{KITE}")
    new = entry.submission(SEVEN, idempotency_seconds=86_400)
    marks = {"schedule": "kite", "tick": "2026-11-23T07:00:00Z"}
    assert new.options == SubmitOptions(lane="postcards", account="north", expires_in=0.5, metadata=marks)


@pytest.mark.parametrize(
    ("rhythm", "catch_up", "longest"),
    [
        ("every = 60", "600", 600),
        ("every = 60", '"today"', 90_000),
        ("every = 604800", '"latest"', 604_800),
        ('crontab = "0 7 * * 1"', '"latest"', 604_800),
    ],
)
def test_a_key_outlasts_the_catch_up_time_of_its_tick(
    file: Path, rhythm: str, catch_up: str, longest: int
) -> None:
    [entry] = read(file, f"[kite]\n{rhythm}\ncatch_up = {catch_up}\n{KITE}")
    at = entry.rhythm.latest(SEVEN)
    assert longest < entry.submission(at, idempotency_seconds=1).key_ttl <= longest + 60
