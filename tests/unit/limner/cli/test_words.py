"""The command line's pure parts: words, facts, codes, and what it says of itself."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import typer

from limner.cli.app import app
from limner.cli.as_json import entry_as_json, event_as_json, fields_of, moment, outcome_as_json
from limner.cli.exits import ExitCode, exit_code
from limner.cli.words import CANCELLATIONS, ending, happened, paid_tasks, standing
from limner.errors import (
    Cancelled,
    ConfigurationError,
    Expired,
    GenerationFailed,
    IdempotencyConflict,
    InvalidRequest,
    InvalidState,
    NoImages,
    OverBudget,
    RecordTooNew,
    StoreUnavailable,
    UnknownJob,
    WaitTimeout,
)
from limner.job import Cancellation
from limner.models import Images, TextToImage
from limner.status import Event, JobState, JobStatus, LogEntry, Task, TaskState
from tests.repository import ROOT

NOW = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
RATE_LIMITED = {"cause": "rate_limited", "code": 429, "http_status": 200, "message": "Too many."}
IMAGES = Images(
    job_id="j1",
    urls=["https://files.example/1.png"],
    task_id="t1",
    parameters=TextToImage(prompt="a red kite"),
    credits=Decimal("3.5"),
    created_at=NOW,
    sent_at=NOW,
    finished_at=NOW + timedelta(seconds=9),
)


def make_status(**facts: Any) -> JobStatus:
    usual: dict[str, Any] = {
        "job_id": "j1",
        "state": JobState.QUEUED,
        "position": None,
        "attempts": 0,
        "polls": 0,
        "task_id": None,
        "tasks": (),
        "resubmitted": 0,
        "copies": (),
        "copy_tries": 0,
        "next_copy_at": None,
        "wrong_ids": 0,
        "held": False,
        "created_at": NOW,
        "sent_at": None,
        "finished_at": None,
        "next_step_at": None,
        "over_budget": None,
        "lane": None,
        "account": None,
        "expires_at": None,
        "starts_at": None,
        "ends_at": None,
        "paused": None,
        "last_error": None,
        "faulted": 0,
        "raw": None,
        "request": {"prompt": "a red kite"},
        "metadata": {},
    }
    return JobStatus(**{**usual, **facts})


@pytest.mark.parametrize(
    ("event", "detail", "words"),
    [
        ("submitted", {}, "submitted"),
        ("submitted", {"next": 60_000}, "submitted; starts in 60.0 s"),
        ("sending", {"attempt": 2}, "attempt 2: sending the request"),
        (
            "refused",
            {"attempt": 1, "error": RATE_LIMITED, "next": 1300},
            "refused: rate_limited (code 429): Too many.; sent again in 1.3 s",
        ),
        ("refused", {"error": {"cause": "no_credits"}, "next": 0}, "refused: no_credits"),
        (
            "refused",
            {"error": {"cause": "server_fault", "http_status": 502}},
            "refused: server_fault (HTTP 502)",
        ),
        (
            "refused",
            {"error": {"cause": "no_credits"}, "next": 0, "pause": 60_000},
            "refused: no_credits; its account is paused for 60.0 s",
        ),
        (
            "refused",
            {"error": {"cause": "no_credits"}, "pause": 1e15},
            "refused: no_credits; its account is paused until somebody resumes it",
        ),
        ("sending", {"attempt": 1, "account": "north"}, "attempt 1: sending the request, account north"),
        ("expired", {"error": {}}, "expired: it was not sent in time, and costs nothing"),
        ("over_budget", {"cap": "day"}, "no money for it: it would break LIMNER_CREDITS_PER_DAY"),
        ("over_budget", {"cap": "lane"}, "no money for it: it would break LIMNER_CREDITS_PER_LANE_DAY"),
        ("over_budget", {}, "no money for it: it would break a cap"),
        (
            "in_doubt",
            {"error": {"cause": "timed_out"}, "next": 900_000},
            "in doubt whether it was accepted: timed_out; decided in 900.0 s",
        ),
        ("generating", {"task_id": "t1", "next": 2500}, "accepted as provider task t1; first poll in 2.5 s"),
        (
            "late_answer",
            {"attempt": 1, "task_id": "t1", "by": "callback"},
            (
                "a callback named provider task t1 for attempt 1 when the job had ended: "
                "it is paid for, and polled late"
            ),
        ),
        (
            "adopted",
            {"attempt": 1, "task_id": "t1", "by": "person"},
            "a person named provider task t1 for attempt 1: adopted",
        ),
        ("held", {}, "held: python -m limner resolve decides"),
        (
            "accepted_unnamed",
            {"attempt": 2},
            "a callback for attempt 2: accepted, id unknown: look in the log of the provider",
        ),
        ("wrong_ids", {"count": 10}, "callbacks have named 10 wrong task ids"),
        (
            "resubmitted",
            {"attempt": 1, "by": "policy"},
            "sent again by decision of LIMNER_IN_DOUBT, although attempt 1 may be paid for",
        ),
        (
            "double",
            {"attempt": 1, "task_id": "t1", "credits": "3.5"},
            "paid for twice: provider task t1 for attempt 1 as well, 3.5 credits",
        ),
        (
            "late_result",
            {"attempt": 1, "task_id": "t1"},
            "paid for after its end: provider task t1 for attempt 1, credits not told",
        ),
        ("succeeded_late", {"urls": 1}, "succeeded: 1 image, after the job had failed"),
        (
            "task_lost",
            {"attempt": 1, "task_id": "t1", "error": {"cause": "no_record", "message": "Nobody knows it."}},
            "provider task t1 for attempt 1 is given up: no_record: Nobody knows it.",
        ),
        ("polled", {"answer": "generating", "next": 2500}, "polled: generating; next poll in 2.5 s"),
        ("succeeded", {"urls": 1, "credits": "3.5"}, "succeeded: 1 image, 3.5 credits"),
        ("succeeded", {"urls": 2}, "succeeded: 2 images"),
        ("failed", {"error": NoImages("None came").to_json()}, "failed: NoImages: None came"),
        ("cancelled", {}, "cancelled"),
    ],
)
def test_an_event_is_told_in_plain_words(event: str, detail: dict[str, Any], words: str) -> None:
    assert happened(event, detail) == words


@pytest.mark.parametrize(
    ("event", "detail", "words"),
    [
        (
            "paused",
            {
                "cause": "no_credits",
                "seconds": 60,
                "error": {"cause": "no_credits", "code": 402},
                "job": "j1",
            },
            "account main is paused for 60.0 s: no_credits (code 402) (job j1)",
        ),
        (
            "paused",
            {"cause": "by_hand", "error": {"message": "Invoices first"}},
            "account main is paused until somebody resumes it: by hand: Invoices first",
        ),
        (
            "paused",
            {"cause": "by_hand", "seconds": 5, "error": {"message": ""}},
            "account main is paused for 5.0 s: by hand",
        ),
        ("paused", {}, "account main is paused until somebody resumes it: no reason given"),
        (
            "resumed",
            {"cause": "no_credits", "seconds": 61.5, "why": "probe"},
            "account main goes on after 61.5 s: the provider has taken a request again",
        ),
        ("resumed", {"seconds": 5, "why": "time"}, "account main goes on after 5.0 s: its time is over"),
        ("resumed", {"why": "by hand"}, "account main goes on: somebody resumed it"),
        (
            "resuming",
            {"cause": "no_credits"},
            "account main is resumed by a person: one request is tried first, and then all goes on",
        ),
        ("credits", {"credits": 3.5, "needed": 7}, "account main has 3.5 credits, a job needs 7"),
    ],
)
def test_an_event_of_an_account_is_told_by_its_name(event: str, detail: dict[str, Any], words: str) -> None:
    assert happened(event, {**detail, "account": "main"}) == words


def test_an_event_of_an_account_belongs_to_no_job() -> None:
    paused = Event("1-0", "", "paused", NOW, {"account": "main", "cause": "by_hand"}, {})
    assert (event_as_json(paused)["job_id"], event_as_json(paused)["detail"]["account"]) == (None, "main")


def test_an_event_of_a_newer_version_is_told_by_its_details() -> None:
    assert happened("moved", {"files": 2, "to": "store"}) == "moved: files 2, to store"
    assert happened("moved", {}) == "moved"


@pytest.mark.parametrize("event", ["sending", "refused", "in_doubt", "generating", "polled", "failed"])
def test_an_event_without_its_details_is_told_all_the_same(event: str) -> None:
    assert happened(event, {})


def test_the_standing_of_a_job_names_its_place_and_its_next_step() -> None:
    assert standing(make_status(position=14), NOW) == "queued, number 14 in the queue"
    generating = make_status(
        state=JobState.GENERATING,
        attempts=1,
        polls=3,
        task_id="t1",
        next_step_at=NOW + timedelta(seconds=2.5),
    )
    assert standing(generating, NOW) == (
        "generating, next step in 2.5 s, 1 attempt, 3 polls, provider task t1"
    )


def test_what_holds_a_job_up_is_told() -> None:
    assert (
        standing(make_status(over_budget="day"), NOW)
        == "queued, waits for money: the cap of the day is reached"
    )
    assert standing(make_status(paused="no_credits"), NOW) == "queued, its account is paused (no credits)"


def test_the_forecast_is_told_in_whole_seconds() -> None:
    waiting = make_status(
        position=14, starts_at=NOW + timedelta(seconds=7.2), ends_at=NOW + timedelta(seconds=23.4)
    )
    assert standing(waiting, NOW) == "queued, number 14 in the queue, about 7 s to start, 23 s to the end"
    under_way = make_status(state=JobState.GENERATING, ends_at=NOW + timedelta(seconds=9))
    assert standing(under_way, NOW) == "generating, about 9 s to the end"
    overdue = make_status(state=JobState.GENERATING, ends_at=NOW - timedelta(seconds=9))
    assert standing(overdue, NOW) == "generating, about 0 s to the end"


def test_the_expiry_is_told_as_long_as_it_may_come() -> None:
    soon = NOW + timedelta(seconds=30)
    assert standing(make_status(expires_at=soon), NOW) == "queued, expires in 30 s"
    assert standing(make_status(state=JobState.GENERATING, expires_at=soon), NOW) == "generating"


def test_the_last_refusal_is_told_until_the_job_has_ended() -> None:
    assert standing(make_status(last_error="Too many."), NOW) == "queued, last answer: Too many."
    ended = make_status(
        last_error="Too many.", state=JobState.SUCCEEDED, finished_at=NOW + timedelta(seconds=9)
    )
    assert standing(ended, NOW) == "succeeded, after 9.0 s"


def test_what_was_paid_for_beside_the_result_is_told_with_its_images() -> None:
    def task(task_id: str, **facts: Any) -> Task:
        usual: dict[str, Any] = {
            "attempt": 1,
            "state": TaskState.SUCCEEDED,
            "confirmed": True,
            "credits": Decimal("3.5"),
            "urls": (),
            "known_at": None,
            "account": "main",
        }
        return Task(task_id=task_id, **{**usual, **facts})

    assert paid_tasks(make_status(tasks=(task("t1"),))) == []
    assert paid_tasks(make_status(tasks=(task("t1", urls=("https://a/1.png",)),))) == [
        "provider task t1, attempt 1: succeeded, 3.5 credits",
        "image: https://a/1.png",
    ]
    two = (task("t1"), task("t2", attempt=2, state=TaskState.FAILED, credits=None))
    assert paid_tasks(make_status(tasks=two)) == [
        "provider task t1, attempt 1: succeeded, 3.5 credits",
        "provider task t2, attempt 2: failed",
    ]


def test_a_step_that_is_overdue_is_due_now() -> None:
    overdue = make_status(next_step_at=NOW - timedelta(seconds=5))
    assert standing(overdue, NOW) == "queued, next step in 0.0 s"


def test_the_end_tells_images_credits_and_task() -> None:
    assert ending(IMAGES) == ["image: https://files.example/1.png", "credits: 3.5", "provider task: t1"]


def test_the_end_of_a_failed_job_tells_advice_and_charge() -> None:
    assert ending(GenerationFailed("It broke", {"task_id": "t1"})) == [
        "GenerationFailed: It broke",
        "advice: Submit again.",
        "credits: none were charged",
        "provider task: t1",
    ]
    assert "credits: were charged" in ending(NoImages("None came"))
    assert "credits: may have been charged" in ending(Cancelled("Ended"))


def test_every_cancellation_has_its_words() -> None:
    assert set(CANCELLATIONS) == set(Cancellation)


def test_times_are_written_in_utc_to_the_millisecond() -> None:
    assert moment(NOW) == "2026-11-23T12:00:00.250Z"
    facts = fields_of(make_status(sent_at=NOW))
    assert (facts["sent_at"], facts["finished_at"]) == ("2026-11-23T12:00:00.250Z", None)


def test_an_entry_counts_its_seconds_from_the_submission() -> None:
    entry = LogEntry(NOW + timedelta(seconds=1.5), "polled", {"answer": "generating"})
    assert entry_as_json(entry, NOW) == {
        "at": "2026-11-23T12:00:01.750Z",
        "seconds": 1.5,
        "event": "polled",
        "text": "polled: generating",
        "detail": {"answer": "generating"},
    }


def test_the_facts_of_an_outcome_name_its_state() -> None:
    assert outcome_as_json("j1", IMAGES)["state"] == "succeeded"
    assert outcome_as_json("j1", Cancelled("Ended"))["state"] == "cancelled"
    assert outcome_as_json("j1", Expired("Too late"))["state"] == "expired"
    assert outcome_as_json("j1", OverBudget("Too much"))["state"] == "failed"
    failed = outcome_as_json("j1", GenerationFailed("It broke", {"code": "500"}))
    assert (failed["state"], failed["error"]["type"], failed["error"]["code"]) == (
        "failed",
        "GenerationFailed",
        "500",
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GenerationFailed("no"), ExitCode.JOB_FAILED),
        (Expired("no"), ExitCode.JOB_FAILED),
        (InvalidRequest("no"), ExitCode.BAD_INPUT),
        (InvalidState("no"), ExitCode.BAD_INPUT),
        (ConfigurationError("no"), ExitCode.BAD_INPUT),
        (IdempotencyConflict("no"), ExitCode.BAD_INPUT),
        (WaitTimeout("no"), ExitCode.TIMEOUT),
        (UnknownJob("no"), ExitCode.UNKNOWN_JOB),
        (StoreUnavailable("no"), ExitCode.STORE_UNAVAILABLE),
        (RecordTooNew("no"), ExitCode.RECORD_TOO_NEW),
        (RuntimeError("no"), ExitCode.FAULT),
    ],
)
def test_every_error_has_its_exit_code(error: Exception, code: ExitCode) -> None:
    assert exit_code(error) is code


def test_submit_has_an_option_for_every_field_of_a_request() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {parameter.name for parameter in commands["submit"].params}
    fields = {"style_code" if name == "style_codes" else name for name in TextToImage.model_fields}
    assert fields <= options


def test_the_documentation_lists_every_command_option_and_exit_code() -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for code in ExitCode:
        assert f"| {code} | {code.meaning} |" in page
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"## {name}" in page
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or parameter.opts[0] in page


@pytest.mark.parametrize(("count", "told"), [(1, "1 wrong task id from"), (104, "104 wrong task ids from")])
def test_wrong_ids_are_told(count: int, told: str) -> None:
    assert f", {told} callbacks" in standing(make_status(wrong_ids=count), NOW)
    assert "wrong" not in standing(make_status(), NOW)
