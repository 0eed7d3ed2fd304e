"""The receiver, against a ledger that only takes notes."""

import json
import logging
from collections import Counter
from dataclasses import dataclass, field

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from limner.callbacks import Receiver, Refusal, Reply
from limner.callbacks.receiver import AGAIN, QUIET_SECONDS, SUCCESS
from limner.callbacks.signature import SIGNATURE, TIMESTAMP, signature
from limner.errors import ConfigurationError, RecordTooNew, StoreUnavailable
from limner.ledger.messages import Adoption

KEY = SecretStr("example-webhook-key")
NOW = 1767225600.0
TASK = "3f0c9a5be1d24772a86b1d0e5c94f1aa"
BODY = json.dumps({"code": 200, "data": {"taskId": TASK}}).encode()
TOKEN = "n0t-4_secret"


@dataclass
class Notes:
    """Takes the place of the ledger, and of the two parts of it that a receiver calls."""

    answer: Adoption = Adoption.EXPECTED
    attempt: int | None = 1
    error: Exception | None = None
    called: list[tuple[str, str, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def jobs(self) -> "Notes":
        return self

    @property
    def journal(self) -> "Notes":
        return self

    def called_back(self, job_id: str, token: str, task_id: str) -> Adoption:
        if self.error:
            raise self.error
        self.called.append((job_id, token, task_id))
        return self.answer

    def accepted_unnamed(self, job_id: str, token: str) -> Adoption:
        self.called.append((job_id, token, ""))
        return Adoption.UNNAMED

    def attempt_of(self, _job_id: str, _token: str) -> int | None:
        if self.error:
            raise self.error
        return self.attempt

    def count_callback(self, outcome: str) -> None:
        if self.error:
            raise self.error
        self.counts[outcome] += 1


def receiver(notes: Notes, key: SecretStr | None = None, now: float = NOW) -> Receiver:
    return Receiver(notes, key, lambda: now)  # type: ignore[arg-type]


def signed(at: float = NOW, task: str = TASK) -> dict[str, str]:
    stamp = str(int(at))
    return {TIMESTAMP.title(): stamp, SIGNATURE.upper(): signature(KEY, task, stamp).decode()}


@pytest.mark.parametrize("answer", Adoption)
def test_a_sender_is_told_the_same_whatever_the_ledger_says(answer: Adoption) -> None:
    notes = Notes(answer)
    assert receiver(notes).handle("job", TOKEN, {}, BODY) == SUCCESS
    assert (notes.called, notes.counts) == ([("job", TOKEN, TASK)], {})


@pytest.mark.parametrize(
    ("job_id", "token", "body"),
    [
        ("", TOKEN, BODY),
        ("x" * 257, TOKEN, BODY),
        ("a\nb", TOKEN, BODY),
        ("job", "", BODY),
        ("job", "x" * 101, BODY),
        ("job", "with space", BODY),
        ("job", "tök", BODY),
        ("job", TOKEN + "\n", BODY),
    ],
)
def test_what_is_no_callback_never_reaches_the_ledger(job_id: str, token: str, body: bytes) -> None:
    notes = Notes()
    assert receiver(notes).handle(job_id, token, {}, body) == SUCCESS
    assert (notes.called, notes.counts) == ([], {Refusal.MALFORMED: 1})


def test_any_printable_job_id_will_do() -> None:
    notes = Notes()
    receiver(notes).handle("Auftrag 7/ü?#%", TOKEN, {}, BODY)
    assert notes.called == [("Auftrag 7/ü?#%", TOKEN, TASK)]


def test_with_a_key_only_a_signed_callback_reaches_the_ledger() -> None:
    notes = Notes()
    guarded = receiver(notes, KEY)
    for headers in (signed(), {}, signed(task="another"), signed(NOW - 601), signed(NOW + 601)):
        assert guarded.handle("job", TOKEN, headers, BODY) == SUCCESS
    assert len(notes.called) == 1
    assert notes.counts == {Refusal.BAD_SIGNATURE: 2, Refusal.STALE: 2}


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="hmac_key"):
        receiver(Notes(), SecretStr(""))


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("away"),
        RecordTooNew("newer"),
        redis.ResponseError("max daily request limit exceeded"),
        redis.exceptions.InvalidResponse("Protocol Error"),
        KeyError("an answer that lacks a part"),
    ],
    ids=repr,
)
def test_what_cannot_be_recorded_is_asked_for_again_whatever_it_is(error: Exception) -> None:
    guarded = receiver(Notes(error=error), KEY)
    assert guarded.handle("job", TOKEN, signed(), BODY) == AGAIN
    assert guarded.handle("job", TOKEN, {}, BODY) == AGAIN
    assert guarded.handle("job", TOKEN, {}, b"") == AGAIN
    assert AGAIN.status == 503
    assert AGAIN.retry_after


CUTS = [(Refusal.OVERSIZED, 413), (Refusal.SLOW, 408), (Refusal.MALFORMED, 200)]


@pytest.mark.parametrize(("cut", "status"), CUTS)
@pytest.mark.parametrize("body", [BODY, b"{"])
def test_with_a_wrong_token_a_body_that_was_not_read_is_refused(
    cut: Refusal, status: int, body: bytes
) -> None:
    notes = Notes(attempt=0)
    assert receiver(notes, KEY).handle("job", TOKEN, {}, body, cut=cut).status == status
    assert (notes.called, notes.counts) == ([], {cut: 1})


@pytest.mark.parametrize("cut", [Refusal.OVERSIZED, Refusal.SLOW, Refusal.MALFORMED, None])
@pytest.mark.parametrize("key", [None, KEY])
def test_with_a_right_token_a_body_that_names_no_task_proves_the_attempt(
    cut: Refusal | None, key: SecretStr | None
) -> None:
    notes = Notes()
    # A slow body is asked for again: it may name the task the next time. No other one is.
    expected = 408 if cut is Refusal.SLOW else 200
    assert receiver(notes, key).handle("job", TOKEN, {}, b'{"code": 200}', cut=cut).status == expected
    assert (notes.called, notes.counts) == ([("job", TOKEN, "")], {})


@pytest.mark.parametrize("cut", [Refusal.OVERSIZED, Refusal.SLOW, Refusal.MALFORMED])
def test_what_was_read_of_a_body_may_name_the_task(cut: Refusal) -> None:
    notes = Notes()
    assert receiver(notes, KEY).handle("job", TOKEN, signed(), BODY[:-1], cut=cut) == SUCCESS
    assert notes.called == [("job", TOKEN, TASK)]


@pytest.mark.parametrize("attempt", [None, 0])
def test_a_body_that_names_no_task_proves_nothing_without_a_right_token(attempt: int | None) -> None:
    notes = Notes(attempt=attempt)
    assert receiver(notes).handle("job", TOKEN, {}, b"{}") == SUCCESS
    assert (notes.called, notes.counts) == ([], {Refusal.MALFORMED: 1})


def test_of_several_ids_the_signed_one_counts() -> None:
    body = json.dumps({"data": {"taskId": "another"}, "taskId": TASK}).encode()
    notes = Notes()
    receiver(notes, KEY).handle("job", TOKEN, signed(), body)
    receiver(notes).handle("job", TOKEN, {}, body)
    assert [task_id for _, _, task_id in notes.called] == [TASK, "another"]


@pytest.mark.parametrize(("attempt", "expected"), [(1, True), (0, False), (None, False)])
def test_a_long_body_is_expected_only_with_a_right_token(attempt: int | None, expected: bool) -> None:
    assert receiver(Notes(attempt=attempt)).expects("job", TOKEN) is expected


def test_no_long_body_is_expected_while_redis_is_away_or_with_a_path_that_is_none() -> None:
    assert not receiver(Notes(error=StoreUnavailable("away"))).expects("job", TOKEN)
    assert not receiver(Notes()).expects("job", "x" * 101)


def test_an_outage_is_told_when_it_begins_and_when_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    notes = Notes(error=StoreUnavailable("Redis is away"))
    receives = receiver(notes)
    for _ in range(50):
        receives.handle("job", TOKEN, {}, BODY)
    notes.error = None
    for _ in range(2):
        assert receives.handle("job", TOKEN, {}, BODY) == SUCCESS
    begins, over = [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert begins == "an outage begins: callbacks are put off: Redis is away"
    assert over.endswith("50 callbacks were put off")


def test_a_flood_is_one_line_a_minute_and_kind(caplog: pytest.LogCaptureFixture) -> None:
    now = NOW
    flooded = Receiver(Notes(attempt=0), KEY, lambda: now)  # type: ignore[arg-type]
    for _ in range(100):
        flooded.handle("job", TOKEN, {}, BODY)
        flooded.handle("job", TOKEN, {}, b"")
    assert len(caplog.records) == 2
    now += QUIET_SECONDS
    flooded.handle("job", TOKEN, {}, BODY)
    assert "99 like it not logged" in caplog.messages[-1]
    now -= 10 * QUIET_SECONDS  # the clock was set back
    flooded.handle("job", TOKEN, {}, BODY)
    assert len(caplog.records) == 4


def test_the_log_names_the_job_and_never_the_token_or_the_signature(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    for answer in Adoption:
        receiver(Notes(answer), KEY).handle("job-7", TOKEN, signed(), BODY)
    for headers, body in (({}, BODY), (signed(0), BODY), (signed(), b"{")):
        receiver(Notes(attempt=0), KEY).handle("job-7", TOKEN, headers, body)
    receiver(Notes(error=StoreUnavailable("away"))).handle("job-7", TOKEN, {}, BODY)
    assert len(caplog.messages) == len(Adoption) + 4
    assert all("job-7" in said or said.startswith("an outage begins") for said in caplog.messages)
    assert TOKEN not in caplog.text
    assert signed()[SIGNATURE.upper()] not in caplog.text


def test_a_job_id_cannot_forge_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    receiver(Notes()).handle("job\nERROR forged" + "x" * 1000, TOKEN, {}, BODY)
    assert "\n" not in caplog.messages[0]
    assert len(caplog.messages[0]) < 400


@given(
    st.text(max_size=300),
    st.text(max_size=150),
    st.dictionaries(st.sampled_from([TIMESTAMP, SIGNATURE, "X-Webhook-Timestamp"]) | st.text(), st.text()),
    st.binary(max_size=300) | st.just(BODY),
    st.sampled_from([None, KEY]),
    st.sampled_from([None, StoreUnavailable("away"), RecordTooNew("newer")]),
)
def test_nothing_that_is_sent_makes_it_fail(
    job_id: str,
    token: str,
    headers: dict[str, str],
    body: bytes,
    key: SecretStr | None,
    error: Exception | None,
) -> None:
    reply = receiver(Notes(error=error), key).handle(job_id, token, headers, body)
    assert reply in (Reply(200, SUCCESS.body), AGAIN)
