"""The output of ``--json`` is plain JSON."""

from datetime import UTC, date, datetime
from decimal import Decimal

from limner.cli.as_json import error_as_json, event_as_json, fields_of
from limner.cli.exits import ExitCode
from limner.spending import DaySpend
from limner.status import Event

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_amounts_are_exact_and_days_are_dates() -> None:
    spent = DaySpend(
        date=date(2026, 11, 23),
        spent=Decimal("3.5"),
        tasks=1,
        copied_objects=2,
        copied_bytes=3_000,
        by_account={"north": Decimal("3.5")},
        by_lane={},
    )
    assert fields_of(spent) == {
        "date": "2026-11-23",
        "spent": "3.5",
        "tasks": 1,
        "copied_objects": 2,
        "copied_bytes": 3000,
        "by_account": {"north": "3.5"},
        "by_lane": {},
    }


def test_an_event_of_no_job_has_null_for_its_id() -> None:
    detail = {"account": "north", "needed": "7", "credits": "3"}
    facts = event_as_json(Event("1-0", "", "credits", NOW, detail, {}))
    assert facts["job_id"] is None
    assert facts["text"] == "account north has 3 credits, a job needs 7"


def test_an_error_names_its_job_only_if_it_has_one() -> None:
    without = error_as_json("InvalidRequest", "prompt: is empty", ExitCode.BAD_INPUT)
    assert without == {"error": "InvalidRequest", "message": "prompt: is empty", "exit_code": 2}
    assert error_as_json("UnknownJob", "gone", ExitCode.UNKNOWN_JOB, "j1")["job_id"] == "j1"
