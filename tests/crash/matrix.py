"""The crash matrix: the deaths at each point of a job's path, and the promised outcomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from limner.ledger.messages import Leases
from tasks.recover import LATE_COMMIT
from tests.crash.points import STANDSTILL, Disk, Wire, Write, after, before, unheard
from worker.services import LEASE_MARGIN

REQUEST_TIMEOUT: Final = 1.0
GRACE: Final = 6.0
BROKER_BACK: Final = 5.0
"""Seconds until Celery's consumer has reconnected to its broker: it retries after 2 s, then after 4."""

STEP: Final = Leases().step
SEND: Final = REQUEST_TIMEOUT + LEASE_MARGIN
POLL: Final = SEND
STORE: Final = Leases().store
COPY: Final = Leases().copy
SLOW_FILE: Final = 6.0
"""Seconds of a slow download, in which the lease of the step is renewed once."""
FIRST_POLL: Final = 2.5
"""Seconds within which the first poll comes, with the settings below."""
SLACK: Final = 10.0
"""Seconds that a job may take beyond its waits by design."""

SETTINGS: Final[Mapping[str, str]] = {
    "LIMNER_REQUEST_TIMEOUT_SECONDS": str(REQUEST_TIMEOUT),
    "LIMNER_REDIS_TIMEOUT_SECONDS": "2",
    "LIMNER_BACKOFF_SECONDS": "0.2",
    "LIMNER_PAUSE_SECONDS": "0.2",
    "LIMNER_USUAL_SECONDS": '{"TURBO": 2, "BALANCED": 2, "QUALITY": 2}',
    "LIMNER_PAUSE_MAX_SECONDS": "1",
    "LIMNER_IN_DOUBT_SECONDS": str(GRACE),
    "LIMNER_CALLBACK_PATIENCE_SECONDS": "10",
    "LIMNER_CONCURRENCY": "4",
}


class Victim(StrEnum):
    """The process that is killed."""

    WORKER = "worker"
    VALKEY = "Valkey"


@dataclass(frozen=True)
class Way:
    """The path of a job if nothing dies."""

    name: str
    faults: Mapping[str, Any] = field(default_factory=dict, hash=False)
    duration: float = 1.0
    """The seconds of its task."""
    settings: Mapping[str, str] = field(default_factory=dict, hash=False)
    from_celery: bool = False
    """True if it is submitted as a plain Celery message instead of by Limner's producer."""
    stopped: bool = False
    """True if the worker gets SIGTERM after the task is accepted."""
    read_again_after: float | None = None
    """The seconds from the acceptance until a person has a job without images read again."""
    copies: bool = False
    """True if the fleet copies images into a folder. Each job then has two."""
    shares_provider: bool = True
    """True if its faults affect all jobs equally, so that one stand-in serves all jobs on this path."""


ACCEPTED: Final = Way("accepted")
SLOW: Final = Way("accepted, first poll too early", duration=4.0)
ANSWER_LOST: Final = Way("accepted, its answer lost", {"accept_then_drop": 1})
REFUSED_ONCE: Final = Way(
    "refused with 429, then accepted", {"create_429": {"next": 1}}, shares_provider=False
)
REJECTED: Final = Way("rejected for good", {"create_505": 1})
STANDS_STILL: Final = Way("accepted, after a standstill before the request", settings={STANDSTILL: "0.15"})
GATEWAY: Final = Way(
    "not let through by a gateway, which closes the account",
    {"html_before": {"next": 1, "variant": "525"}},
    settings={"LIMNER_TROUBLE_JOBS": "1"},
    shares_provider=False,
)
GATEWAY_IN_DOUBT: Final = Way(
    "a gateway's page leaves it in doubt and closes the account, under `resubmit`",
    {"html_before": {"next": 1, "variant": "502"}},
    settings={"LIMNER_TROUBLE_JOBS": "1", "LIMNER_IN_DOUBT": "resubmit"},
    shares_provider=False,
)
KEY_REFUSED: Final = Way(
    "refused with 401, then accepted", {"create_401": {"next": 1}}, shares_provider=False
)
FAULT: Final = Way("a 500, then accepted", {"create_500": {"next": 1}}, shares_provider=False)
FAULT_AFTER: Final = Way(
    "a 500 although the task was made", {"create_500_after": {"next": 1}}, shares_provider=False
)
ODD_ENVELOPE: Final = Way(
    "accepted, its id in an odd place", {"odd_envelope": {"probability": 1, "variant": "http_502_good_body"}}
)
TASK_FAILS: Final = Way(
    "accepted, then the task fails", {"task_fail": {"probability": 1, "variant": "empty"}}
)
FAILS_ONCE: Final = Way(
    "accepted, its task fails for a time, bought again",
    {"task_fail": {"next": 1, "variant": "timeout"}},
    shares_provider=False,
)
URLS_LATE: Final = Way(
    "failed, its images come later, read again",
    {"urls_late": 8},
    settings={"LIMNER_IMAGES_SECONDS": "0"},
    read_again_after=9.5,
)
FROM_CELERY: Final = Way("accepted, from a plain Celery producer", from_celery=True)
STOPPED: Final = Way("accepted, and the worker is told to stop", stopped=True)
HELD: Final = Way(
    "its answer lost, under `hold`", {"accept_then_drop": 1}, settings={"LIMNER_IN_DOUBT": "hold"}
)
RESUBMITTED: Final = Way(
    "its answer lost, under `resubmit`",
    {"accept_then_drop": {"next": 1}},
    settings={"LIMNER_IN_DOUBT": "resubmit"},
    shares_provider=False,
)
COPIED: Final = Way(
    "accepted, its images copied", settings={"LIMNER_COPY_PATIENCE_SECONDS": "300"}, copies=True
)
COPIED_LATE: Final = Way(
    "accepted, succeeds before its images are copied",
    {"file_slow": {"probability": 1, "seconds": SLOW_FILE}},
    settings={"LIMNER_COPY_PATIENCE_SECONDS": "1"},
    copies=True,
)
WAYS: Final = (
    ACCEPTED,
    SLOW,
    ANSWER_LOST,
    REFUSED_ONCE,
    REJECTED,
    TASK_FAILS,
    FROM_CELERY,
    STOPPED,
    HELD,
    RESUBMITTED,
    STANDS_STILL,
    KEY_REFUSED,
    URLS_LATE,
    COPIED,
    COPIED_LATE,
)
"""The ways whose jobs pass every point between them."""


@dataclass(frozen=True, order=True)
class Outcome:
    """The final state of a job: ``succeeded``, ``held``, or the class of its error; and the tasks bought."""

    end: str
    tasks_bought: int

    def __str__(self) -> str:
        return f"{self.end}, {self.tasks_bought} bought"


BOUGHT_ONCE: Final = frozenset({Outcome("succeeded", 1)})
NOT_SENT: Final = frozenset({Outcome("InDoubt", 0)})
"""An attempt that was not sent cannot be distinguished from a lost answer, so it is not resent."""
UNHEARD: Final = frozenset({Outcome("InDoubt", 1)})
PERHAPS_SENT: Final = NOT_SENT | UNHEARD
"""The worker has sent the request, but its end may have reset the connection before the provider read it."""
ADOPTED: Final = BOUGHT_ONCE
PERHAPS_ADOPTED: Final = ADOPTED | NOT_SENT
"""If the provider accepted the task, its callback reports it."""
REFUSED: Final = frozenset({Outcome("FeatureDisabled", 0)})
TASK_FAILED: Final = frozenset({Outcome("GenerationFailed", 0)})
LEFT_TO_A_PERSON: Final = frozenset({Outcome("held", 1)})
RESUBMITTED_ONCE: Final = frozenset({Outcome("succeeded", 2)})
BOUGHT_BEHIND_THE_500: Final = frozenset({Outcome("succeeded", 2)})
"""Without a callback, nothing tells of the task behind the 500. Its cost is on the books as doubtful."""


@dataclass(frozen=True)
class Edge:
    """One death, or several in a row, and the promised outcomes."""

    victim: Victim
    deaths: tuple[str, ...]
    """The points at which the first worker dies, then its successor, and so on."""
    promise: frozenset[Outcome]
    waits: float
    """Seconds that pass by design before the job continues: leases, graces, the time of the first poll."""
    callbacks: bool = False
    way: Way = ACCEPTED

    @property
    def name(self) -> str:
        callbacks = "with callbacks" if self.callbacks else "without callbacks"
        return f"{self.victim} dies {', then '.join(self.deaths)}; {callbacks}; {self.way.name}"


def _worker(
    point: str, promise: frozenset[Outcome], waits: float, *, callbacks: bool = False, way: Way = ACCEPTED
) -> Edge:
    return Edge(Victim.WORKER, (point,), promise, waits, callbacks, way)


_OVER: Final = SEND + max(GRACE, LATE_COMMIT)
_OVER_ALONE: Final = SEND + LATE_COMMIT
_RESULT: Final = FIRST_POLL + 1.0
_AGAIN: Final = float(SETTINGS["LIMNER_PAUSE_MAX_SECONDS"]) + _RESULT

# From the step's message to the recorded answer, with callbacks and without.
_CREATE: Final = (
    # point, promise without callbacks, with callbacks, seconds
    (before(Write.BEGIN), BOUGHT_ONCE, BOUGHT_ONCE, STEP + _RESULT),
    (after(Write.BEGIN), NOT_SENT, NOT_SENT, _OVER),
    (Wire.CONNECTING, NOT_SENT, NOT_SENT, _OVER),
    (Wire.CONNECTED, NOT_SENT, NOT_SENT, _OVER),
    (Wire.HEAD_SENT, NOT_SENT, NOT_SENT, _OVER),
    (Wire.REQUEST_SENT, PERHAPS_SENT, PERHAPS_ADOPTED, _OVER),
    (Wire.ANSWER_BEGUN, UNHEARD, ADOPTED, _OVER),
    (Wire.ANSWER_READ, UNHEARD, ADOPTED, _OVER),
    (before(Write.ACCEPTED), UNHEARD, ADOPTED, _OVER),
    (after(Write.ACCEPTED), BOUGHT_ONCE, BOUGHT_ONCE, _RESULT),
)

# From the poll that finds the task ended to the recorded end, which also stores the result in the backend.
_POLL: Final = (
    (after(Write.CLAIM_POLL), POLL),
    (before(Write.PUBLISH_POLL), POLL),
    (after(Write.PUBLISH_POLL), POLL),
    (before(Write.BEGIN_POLL), POLL),
    (after(Write.BEGIN_POLL), POLL),
    (Wire.POLL_SENDING, POLL),
    (Wire.POLL_SENT, POLL),
    (Wire.POLL_ANSWER_BEGUN, POLL),
    (Wire.POLL_ANSWER_READ, POLL),
    (before(Write.TASK_ENDED), POLL),
    (after(Write.TASK_ENDED), 0.0),
)

# From the end of a pause for a refused key to the recorded balance, after which a probe is sent.
_CHECK: Final = (
    (before(Write.CLAIM_CREDITS), _AGAIN),
    (after(Write.CLAIM_CREDITS), STEP + _AGAIN),
    (before(Write.PUBLISH_CREDITS), STEP + _AGAIN),
    (after(Write.PUBLISH_CREDITS), STEP + _AGAIN),
    (before(Write.BALANCE_READ), STEP + _AGAIN),
    (after(Write.BALANCE_READ), _AGAIN),
)

# From the recorded end to the result: a separate step stores errors.
_STORE: Final = (
    (after(Write.TASK_ENDED), STORE),
    (before(Write.STORE_RESULT), STORE),
    (after(Write.STORE_RESULT), STORE),
    (before(Write.STORED), STORE),
    (after(Write.STORED), 0.0),
)

# From the end of the task to the report that ends the job, and its result is stored with it.
_COPY: Final = (
    (before(Write.CLAIM_COPY), 0.0),
    (after(Write.CLAIM_COPY), COPY),
    (before(Write.PUBLISH_COPY), COPY),
    (after(Write.PUBLISH_COPY), COPY),
    (before(Write.BEGIN_COPIES), COPY),
    (after(Write.BEGIN_COPIES), COPY),
    (before(Write.PLAN_COPY), COPY),
    (after(Write.PLAN_COPY), COPY),
    (before(Write.PUT_THUMBNAIL), COPY),
    (Disk.THUMBNAIL_HALF, COPY),
    (Disk.THUMBNAIL_STAGED, COPY),
    (after(Write.PUT_THUMBNAIL), COPY),
    (before(Write.PUT_IMAGE), COPY),
    (Disk.IMAGE_HALF, COPY),
    (Disk.IMAGE_STAGED, COPY),
    (after(Write.PUT_IMAGE), COPY),
    (before(Write.REPORT_COPIES), COPY),
    (after(Write.REPORT_COPIES), 0.0),
)

# A job that does not wait for its copies. Its result is stored twice.
_COPY_LATE: Final = (
    (before(Write.DELIVER), STEP + COPY),
    (after(Write.DELIVER), STORE + COPY),
    (before(Write.STORE_RESULT), STORE + COPY),
    (after(Write.STORED), COPY),
    (before(Write.RENEW_COPY), COPY),
    (after(Write.RENEW_COPY), COPY),
    (before(Write.REPORT_COPIES), COPY),
    (after(Write.REPORT_COPIES), STORE),
    (before(Write.STORE_COPIED), STORE),
    (after(Write.STORE_COPIED), STORE),
    (before(Write.STORED_COPIED), STORE),
    (after(Write.STORED_COPIED), 0.0),
)

CREATE_WITH_CALLBACKS: Final = tuple(
    _worker(point, promise, waits, callbacks=True) for point, _, promise, waits in _CREATE
)

WORKER_EDGES: Final = (
    _worker(after(Write.SUBMIT), BOUGHT_ONCE, _RESULT, way=FROM_CELERY),
    _worker(before(Write.CLAIM_CREATE), BOUGHT_ONCE, _RESULT),
    _worker(after(Write.CLAIM_CREATE), BOUGHT_ONCE, STEP + _RESULT),
    _worker(before(Write.PUBLISH_CREATE), BOUGHT_ONCE, STEP + _RESULT),
    _worker(after(Write.PUBLISH_CREATE), BOUGHT_ONCE, STEP + _RESULT),
    *(_worker(point, promise, waits) for point, promise, _, waits in _CREATE),
    *CREATE_WITH_CALLBACKS,
    _worker(before(Write.RETRY), NOT_SENT, _OVER_ALONE, way=REFUSED_ONCE),
    _worker(after(Write.RETRY), BOUGHT_ONCE, _RESULT, way=REFUSED_ONCE),
    _worker(before(Write.FAIL), NOT_SENT, _OVER_ALONE, way=REJECTED),
    _worker(after(Write.FAIL), REFUSED, STORE, way=REJECTED),
    _worker(before(Write.CLAIM_POLL), BOUGHT_ONCE, _RESULT),
    *(_worker(point, BOUGHT_ONCE, waits) for point, waits in _POLL),
    *(_worker(point, BOUGHT_ONCE, waits, callbacks=True) for point, waits in _POLL if waits == POLL),
    _worker(before(Write.POLLED), BOUGHT_ONCE, POLL, way=SLOW),
    _worker(after(Write.POLLED), BOUGHT_ONCE, _RESULT, way=SLOW),
    _worker(before(Write.TASK_ENDED), TASK_FAILED, POLL, way=TASK_FAILS),
    *(_worker(point, TASK_FAILED, waits, way=TASK_FAILS) for point, waits in _STORE),
    _worker(before(Write.DOUBT), UNHEARD, _OVER_ALONE, way=ANSWER_LOST),
    _worker(before(Write.DOUBT), ADOPTED, _OVER, way=ANSWER_LOST, callbacks=True),
    _worker(after(Write.DOUBT), UNHEARD, 0.0, way=ANSWER_LOST),
    _worker(after(Write.DOUBT), ADOPTED, GRACE, way=ANSWER_LOST, callbacks=True),
    _worker(before(Write.CLAIM_RECOVER), UNHEARD, 0.0, way=ANSWER_LOST),
    _worker(after(Write.CLAIM_RECOVER), UNHEARD, STEP, way=ANSWER_LOST),
    _worker(before(Write.PUBLISH_RECOVER), UNHEARD, STEP, way=ANSWER_LOST),
    _worker(after(Write.PUBLISH_RECOVER), UNHEARD, STEP, way=ANSWER_LOST),
    _worker(before(Write.FAIL), UNHEARD, STEP, way=ANSWER_LOST),
    _worker(after(Write.FAIL), UNHEARD, STORE, way=ANSWER_LOST),
    _worker(before(Write.HOLD), LEFT_TO_A_PERSON, STEP, way=HELD),
    _worker(after(Write.HOLD), LEFT_TO_A_PERSON, 0.0, way=HELD),
    _worker(before(Write.RESUBMIT), RESUBMITTED_ONCE, STEP + _RESULT, way=RESUBMITTED),
    _worker(after(Write.RESUBMIT), RESUBMITTED_ONCE, _RESULT, way=RESUBMITTED),
    _worker(before(Write.GIVE_BACK), BOUGHT_ONCE, POLL + _RESULT, way=STOPPED),
    _worker(after(Write.GIVE_BACK), BOUGHT_ONCE, _RESULT, way=STOPPED),
    _worker(before(Write.RENEW), NOT_SENT, _OVER_ALONE, way=STANDS_STILL),
    _worker(after(Write.RENEW), NOT_SENT, _OVER_ALONE, way=STANDS_STILL),
    _worker(before(Write.RETRY), NOT_SENT, _OVER_ALONE, way=GATEWAY),
    _worker(after(Write.RETRY), BOUGHT_ONCE, _AGAIN, way=GATEWAY),
    _worker(before(Write.DOUBT), BOUGHT_ONCE, _OVER_ALONE + _RESULT, way=GATEWAY_IN_DOUBT),
    _worker(after(Write.DOUBT), BOUGHT_ONCE, _AGAIN, way=GATEWAY_IN_DOUBT),
    *(_worker(point, BOUGHT_ONCE, waits, way=KEY_REFUSED) for point, waits in _CHECK),
    _worker(before(Write.RETRY), NOT_SENT, _OVER_ALONE, way=FAULT),
    _worker(after(Write.RETRY), BOUGHT_ONCE, _AGAIN, way=FAULT),
    _worker(before(Write.RETRY), UNHEARD, _OVER_ALONE, way=FAULT_AFTER),
    _worker(after(Write.RETRY), BOUGHT_BEHIND_THE_500, _AGAIN, way=FAULT_AFTER),
    _worker(before(Write.RETRY), ADOPTED, _OVER, way=FAULT_AFTER, callbacks=True),
    _worker(after(Write.RETRY), ADOPTED, _RESULT, way=FAULT_AFTER, callbacks=True),
    _worker(before(Write.DOUBT), UNHEARD, _OVER_ALONE, way=ODD_ENVELOPE),
    _worker(after(Write.DOUBT), BOUGHT_ONCE, _RESULT, way=ODD_ENVELOPE),
    _worker(before(Write.TASK_ENDED), BOUGHT_ONCE, POLL + _RESULT, way=FAILS_ONCE),
    _worker(after(Write.TASK_ENDED), BOUGHT_ONCE, _RESULT, way=FAILS_ONCE),
    _worker(before(Write.READ_AGAIN), BOUGHT_ONCE, POLL, way=URLS_LATE),
    _worker(after(Write.READ_AGAIN), BOUGHT_ONCE, 0.0, way=URLS_LATE),
    *(_worker(point, BOUGHT_ONCE, waits, way=COPIED) for point, waits in _COPY),
    *(_worker(point, BOUGHT_ONCE, waits + SLOW_FILE, way=COPIED_LATE) for point, waits in _COPY_LATE),
    # The worker that makes the copies anew dies as well.
    Edge(Victim.WORKER, (Disk.THUMBNAIL_HALF, Disk.IMAGE_STAGED), BOUGHT_ONCE, COPY, way=COPIED),
    Edge(
        Victim.WORKER,
        (before(Write.REPORT_COPIES), before(Write.REPORT_COPIES)),
        BOUGHT_ONCE,
        COPY,
        way=COPIED,
    ),
    # The worker that should recover the first one's attempt dies as well.
    Edge(Victim.WORKER, (after(Write.BEGIN), before(Write.DOUBT)), NOT_SENT, STEP + LATE_COMMIT),
    Edge(Victim.WORKER, (after(Write.BEGIN), after(Write.DOUBT)), NOT_SENT, LATE_COMMIT),
    Edge(
        Victim.WORKER,
        (before(Write.STORE_RESULT), before(Write.STORE_RESULT)),
        TASK_FAILED,
        STEP,
        way=TASK_FAILS,
    ),
    Edge(Victim.WORKER, (before(Write.BEGIN), before(Write.BEGIN)), BOUGHT_ONCE, STEP + _RESULT),
)
"""The edges of a worker's death.

A death between taking a plain Celery producer's message and creating its job is missing. The broker
redelivers that message after its visibility timeout of five minutes."""


def _valkey(
    write: Write, waits: float, *, promise: frozenset[Outcome] = BOUGHT_ONCE, way: Way = ACCEPTED
) -> tuple[Edge, ...]:
    return tuple(
        Edge(Victim.VALKEY, (moment(write),), promise, BROKER_BACK + waits, way=way)
        for moment in (before, unheard, after)
    )


VALKEY_EDGES: Final = (
    *_valkey(Write.SUBMIT, _RESULT, way=FROM_CELERY),
    *_valkey(Write.CLAIM_CREATE, STEP + _RESULT),
    *_valkey(Write.PUBLISH_CREATE, STEP + _RESULT),
    *_valkey(Write.BEGIN, _RESULT),
    *(Edge(Victim.VALKEY, (point,), BOUGHT_ONCE, BROKER_BACK + _RESULT) for point in list(Wire)[:6]),
    *_valkey(Write.ACCEPTED, _RESULT),
    *(
        Edge(Victim.VALKEY, (point,), BOUGHT_ONCE, BROKER_BACK + _RESULT, callbacks=True)
        for point in (Wire.REQUEST_SENT, before(Write.ACCEPTED), unheard(Write.ACCEPTED))
    ),
    *_valkey(Write.RETRY, _RESULT, way=REFUSED_ONCE),
    *_valkey(Write.DOUBT, 0.0, promise=UNHEARD, way=ANSWER_LOST),
    *_valkey(Write.FAIL, STEP, promise=UNHEARD, way=ANSWER_LOST),
    *_valkey(Write.CLAIM_POLL, POLL),
    *_valkey(Write.PUBLISH_POLL, POLL),
    *_valkey(Write.BEGIN_POLL, POLL),
    *(Edge(Victim.VALKEY, (point,), BOUGHT_ONCE, BROKER_BACK + POLL) for point in list(Wire)[6:]),
    *_valkey(Write.POLLED, POLL, way=SLOW),
    *_valkey(Write.TASK_ENDED, POLL),
    *_valkey(Write.TASK_ENDED, POLL, promise=TASK_FAILED, way=TASK_FAILS),
    *_valkey(Write.STORE_RESULT, STORE, promise=TASK_FAILED, way=TASK_FAILS),
    *_valkey(Write.STORED, STORE, promise=TASK_FAILED, way=TASK_FAILS),
    *_valkey(Write.CLAIM_RECOVER, STEP, promise=UNHEARD, way=ANSWER_LOST),
    *_valkey(Write.PUBLISH_RECOVER, STEP, promise=UNHEARD, way=ANSWER_LOST),
    *_valkey(Write.HOLD, STEP, promise=LEFT_TO_A_PERSON, way=HELD),
    *_valkey(Write.RESUBMIT, STEP + _RESULT, promise=RESUBMITTED_ONCE, way=RESUBMITTED),
    *_valkey(Write.GIVE_BACK, POLL + _RESULT, way=STOPPED),
    *_valkey(Write.RENEW, _RESULT, way=STANDS_STILL),
    *_valkey(Write.RETRY, _AGAIN, way=GATEWAY),
    *_valkey(Write.DOUBT, _AGAIN, way=GATEWAY_IN_DOUBT),
    *_valkey(Write.CLAIM_CREDITS, STEP + _AGAIN, way=KEY_REFUSED),
    *_valkey(Write.PUBLISH_CREDITS, STEP + _AGAIN, way=KEY_REFUSED),
    *_valkey(Write.BALANCE_READ, STEP + _AGAIN, way=KEY_REFUSED),
    *_valkey(Write.RETRY, _AGAIN, way=FAULT),
    *_valkey(Write.RETRY, _AGAIN, promise=BOUGHT_BEHIND_THE_500, way=FAULT_AFTER),
    *_valkey(Write.DOUBT, _RESULT, way=ODD_ENVELOPE),
    *_valkey(Write.TASK_ENDED, POLL + _RESULT, way=FAILS_ONCE),
    *_valkey(Write.READ_AGAIN, POLL, way=URLS_LATE),
    *(
        edge
        for write in (
            Write.CLAIM_COPY,
            Write.PUBLISH_COPY,
            Write.BEGIN_COPIES,
            Write.PLAN_COPY,
            Write.PUT_THUMBNAIL,
            Write.PUT_IMAGE,
            Write.REPORT_COPIES,
        )
        for edge in _valkey(write, COPY, way=COPIED)
    ),
    *(Edge(Victim.VALKEY, (point,), BOUGHT_ONCE, BROKER_BACK + COPY, way=COPIED) for point in Disk),
    *(
        edge
        for write in (Write.RENEW_COPY, Write.DELIVER, Write.STORE_COPIED, Write.STORED_COPIED)
        for edge in _valkey(write, STEP + COPY + SLOW_FILE, way=COPIED_LATE)
    ),
)

EDGES: Final = (*WORKER_EDGES, *VALKEY_EDGES)
