"""An outage is told once a minute, and nothing else is left out."""

import errno
import logging

import pytest
import redis
from kombu.exceptions import OperationalError

from limner.errors import NotDurable, StoreUnavailable
from worker.outages import FORGOTTEN, SETTLED, Fold, Outage, is_outage


class Watched:
    """An outage, its clock, and the lines that it has told."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.now = 100.0
        self.outage = Outage(monotonic=lambda: self.now, watched=False)
        self._caplog = caplog

    def passes(self, seconds: float) -> bool:
        self.now += seconds
        return self.outage.look()

    @property
    def lines(self) -> list[str]:
        assert {each.levelname for each in self._caplog.records} <= {"ERROR"}
        return [each.getMessage() for each in self._caplog.records]


@pytest.fixture
def watched(caplog: pytest.LogCaptureFixture) -> Watched:
    return Watched(caplog)


def test_its_beginning_is_told_once_whoever_notices_it(watched: Watched) -> None:
    for component in ("ledger", "broker", "ledger", "results"):
        watched.outage.failed(component, StoreUnavailable("Redis is away"))
    [line] = watched.lines
    assert line == "an outage begins (ledger): Redis is away; steps wait"


def test_it_is_told_once_a_minute_and_at_its_end(watched: Watched) -> None:
    for _ in range(130):
        watched.outage.failed("ledger", "away")
        watched.passes(1.0)
    watched.outage.serves("ledger")
    assert not watched.passes(SETTLED)
    _, first, second, end = watched.lines
    assert "lasts for 60 s (ledger)" in first
    assert "lasts for 120 s (ledger)" in second
    assert "over after 132 s" in end
    assert not watched.passes(100.0)
    assert len(watched.lines) == 4


def test_answers_that_are_not_on_record_are_counted(watched: Watched) -> None:
    with watched.outage.unrecorded(), watched.outage.unrecorded():
        watched.outage.failed("ledger", "away")
    assert watched.lines[0].endswith("steps wait, 2 answers not on record")


def test_a_redis_that_flaps_is_one_outage(watched: Watched) -> None:
    for _ in range(10):
        watched.outage.failed("ledger", "away")
        watched.passes(1.0)
        watched.outage.serves("ledger")
        assert watched.passes(1.0)
    assert len(watched.lines) == 1


def test_it_lasts_until_every_component_serves(watched: Watched) -> None:
    watched.outage.failed("ledger", "away")
    watched.outage.failed("broker", "away")
    watched.outage.serves("ledger")
    assert watched.passes(SETTLED)
    watched.outage.serves("broker")
    assert not watched.passes(SETTLED)


def test_a_component_that_says_nothing_any_more_is_forgotten(watched: Watched) -> None:
    watched.outage.failed("sending", "away")
    assert watched.passes(FORGOTTEN - 1)
    assert not watched.passes(1.0)


@pytest.mark.parametrize(
    "error",
    [
        StoreUnavailable("away"),
        redis.ConnectionError("refused"),
        redis.exceptions.ReadOnlyError("a replica"),
        redis.ResponseError("max daily request limit exceeded"),
        OperationalError("no broker"),
        ConnectionRefusedError(111, "refused"),
        TimeoutError("timed out"),
        OSError(errno.EHOSTUNREACH, "no route"),
    ],
    ids=repr,
)
def test_errors_of_an_outage(error: Exception) -> None:
    assert is_outage(error)
    outer = RuntimeError("restarts too often")
    outer.__context__ = error
    assert is_outage(outer)


@pytest.mark.parametrize(
    "error",
    [NotDurable("no disk"), KeyError("x"), OSError(errno.ENOSPC, "full"), redis.DataError("None"), None],
    ids=repr,
)
def test_other_errors(error: Exception | None) -> None:
    assert not is_outage(error)


def record(
    name: str, level: int, message: str, *arguments: object, error: Exception | None = None
) -> logging.LogRecord:
    raised = (type(error), error, None) if error else None
    return logging.LogRecord(name, level, __file__, 1, message, arguments, raised)


LOST = redis.ConnectionError("Connection closed by server.")


@pytest.mark.parametrize(
    "line",
    [
        record("celery.worker.consumer.consumer", 30, "consumer: Connection to broker lost. Trying …"),
        record(
            "celery.worker.consumer.consumer",
            40,
            "consumer: Cannot connect to %s: %s.\n%s",
            "redis://",
            "x",
            "in",
        ),
        record("celery.worker.consumer.consumer", 50, "Frequent restarts detected: %r", LOST, error=LOST),
        record("celery.backends.redis", 40, "Retry limit exceeded", error=LOST),
        record("kombu.asynchronous.timer", 40, "Error in timer: %r", LOST),
        record("celery.app.trace", 40, "Task raised", error=LOST),
        record("py.warnings", 30, "%s", "… on connection loss cancels all currently executed tasks with …"),
    ],
    ids=lambda line: line.msg,
)
def test_lines_of_the_libraries_about_an_outage_are_left_out(
    watched: Watched, line: logging.LogRecord
) -> None:
    fold = Fold(watched.outage)
    assert not fold.filter(line)
    assert not fold.filter(line), "a second handler"
    watched.outage.serves("broker")
    watched.passes(SETTLED)
    assert watched.lines[-1].endswith("1 lines left out")


@pytest.mark.parametrize(
    "line",
    [
        record("celery.worker.consumer.consumer", 20, "Connected to %s", "redis://"),
        record("celery.worker.consumer.consumer", 40, "Received unregistered task of type %s", "x"),
        record("celery.app.trace", 40, "Task raised", error=ConnectionRefusedError("of the task's own")),
        record("celery.app.trace", 40, "Task raised", error=KeyError("x")),
        record("celery.worker", 50, "Unrecoverable error: %r", LOST, error=LOST),
        record("py.warnings", 30, "%s", "DeprecationWarning: of something else"),
        record("worker.letters", 30, "a line of ours", error=LOST),
        record("shop", 40, "a line of somebody else", error=LOST),
    ],
    ids=lambda line: line.msg,
)
def test_other_lines_stay(watched: Watched, line: logging.LogRecord) -> None:
    assert Fold(watched.outage).filter(line)
    assert watched.lines == []
