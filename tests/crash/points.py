"""The points at which a worker, or its Valkey, can be made to die.

A worker that is started with ``-I tests.crash.points`` and CRASH_TRAIL=FILE writes each point that it passes
to that file. At the point that CRASH_AT names, it kills itself with SIGKILL. If CRASH_PID is set, it kills
that server instead and continues. With CRASH_STANDSTILL=SECONDS, it stands still for that long before each
createTask, as a suspended machine does. Processes without these variables are not affected, and no production
module imports this one, so that points cost nothing in production.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

import httpcore
import psutil

from limner.ledger.layout.constants import MAIN
from limner.ledger.layout.keys import COPIES, JOB, PAUSE
from limner.ledger.queue import ClaimSteps, Leased
from limner.ledger.scripts.calls import ReportPollsCall, StoredCall
from limner.ledger.scripts.copying import PlanCopyCall
from limner.ledger.scripts.script import Script
from limner.ledger.store import Store
from limner.status import JobState
from provider.client import CREATE_PATH, RECORD_PATH
from provider.transport import Transport
from worker.copies.folder import Folder
from worker.copies.names import THUMBNAIL
from worker.dispatcher import TASKS, Dispatcher, Message
from worker.results import ResultStore

TRAIL: Final = "CRASH_TRAIL"
AT: Final = "CRASH_AT"
PID: Final = "CRASH_PID"
STANDSTILL: Final = "CRASH_STANDSTILL"
STRUCK: Final = "struck: "
"""The prefix of the point in the trail's last line."""


class Write(StrEnum):
    """A worker's write: a transition of the ledger, a message, a result, or an object of the storage."""

    SUBMIT = "submit"
    CLAIM_CREATE = "claim create"
    PUBLISH_CREATE = "publish create"
    BEGIN = "begin"
    RENEW = "renew"
    ACCEPTED = "accepted"
    RETRY = "retry"
    DOUBT = "doubt"
    CLAIM_CREDITS = "claim credits"
    PUBLISH_CREDITS = "publish credits"
    BALANCE_READ = "balance_read"
    CLAIM_POLL = "claim poll"
    PUBLISH_POLL = "publish poll"
    BEGIN_POLL = "begin_poll"
    POLLED = "polled"
    TASK_ENDED = "task_ended"
    READ_AGAIN = "task_ended, read again"
    CLAIM_RECOVER = "claim recover"
    PUBLISH_RECOVER = "publish recover"
    FAIL = "fail"
    RESUBMIT = "resubmit"
    HOLD = "hold"
    STORE_RESULT = "store result"
    STORED = "stored"
    GIVE_BACK = "give_back"
    CLAIM_COPY = "claim copy"
    PUBLISH_COPY = "publish copy"
    BEGIN_COPIES = "begin_copies"
    RENEW_COPY = "plan_copy, renewal"
    PLAN_COPY = "plan_copy"
    PUT_THUMBNAIL = "put thumbnail"
    PUT_IMAGE = "put image"
    REPORT_COPIES = "report_copies"
    DELIVER = "deliver"
    STORE_COPIED = "store result, copied"
    STORED_COPIED = "stored, copied"


class Disk(StrEnum):
    """The stages of the write of an object into a folder."""

    THUMBNAIL_HALF = "thumbnail: half of it written"
    THUMBNAIL_STAGED = "thumbnail: written, not at its name"
    IMAGE_HALF = "image: half of it written"
    IMAGE_STAGED = "image: written, not at its name"


class Wire(StrEnum):
    """The stages of a request and its answer. A poll reuses the connection of the attempt."""

    CONNECTING = "createTask: connecting"
    CONNECTED = "createTask: connected"
    HEAD_SENT = "createTask: head sent"
    REQUEST_SENT = "createTask: request sent"
    ANSWER_BEGUN = "createTask: answer begun"
    ANSWER_READ = "createTask: answer read"
    POLL_SENDING = "recordInfo: sending"
    POLL_SENT = "recordInfo: request sent"
    POLL_ANSWER_BEGUN = "recordInfo: answer begun"
    POLL_ANSWER_READ = "recordInfo: answer read"


def before(write: Write) -> str:
    """The point before a write: nothing of it has happened."""
    return f"before {write}"


def unheard(write: Write) -> str:
    """The point after a write whose answer does not arrive. Only a server's death has such a point."""
    return f"unheard {write}"


def after(write: Write) -> str:
    """The point after a write: its answer has arrived."""
    return f"after {write}"


POINTS: Final = frozenset(
    [*Wire, *Disk, *(moment(write) for write in Write for moment in (before, unheard, after))]
)

_TRANSITIONS: Final = {
    "submit": Write.SUBMIT,
    "begin": Write.BEGIN,
    "renew": Write.RENEW,
    "accepted": Write.ACCEPTED,
    "retry": Write.RETRY,
    "doubt": Write.DOUBT,
    "balance_read": Write.BALANCE_READ,
    "begin_polls": Write.BEGIN_POLL,
    "fail": Write.FAIL,
    "resubmit": Write.RESUBMIT,
    "hold": Write.HOLD,
    "stored": Write.STORED,
    "give_back": Write.GIVE_BACK,
    "begin_copies": Write.BEGIN_COPIES,
    "report_copies": Write.REPORT_COPIES,
    "deliver": Write.DELIVER,
}
"""The write of each script. Claims are distinguished by the step that they take."""
_CLAIMS: Final = {
    "create": Write.CLAIM_CREATE,
    "poll": Write.CLAIM_POLL,
    "recover": Write.CLAIM_RECOVER,
    "credits": Write.CLAIM_CREDITS,
    "copy": Write.CLAIM_COPY,
}
_PUBLISHES: Final = {
    TASKS["create"]: Write.PUBLISH_CREATE,
    TASKS["poll"]: Write.PUBLISH_POLL,
    TASKS["recover"]: Write.PUBLISH_RECOVER,
    TASKS["credits"]: Write.PUBLISH_CREDITS,
    TASKS["copy"]: Write.PUBLISH_COPY,
}
_NEXT_STEP: Final = {"queued": "create", "generating": "poll", "in_doubt": "recover"}
"""The step that a claim takes for a job in each state."""
_STAGES: Final = {
    CREATE_PATH: {
        "connection.connect_tcp.started": Wire.CONNECTING,
        "connection.connect_tcp.complete": Wire.CONNECTED,
        "http11.send_request_headers.complete": Wire.HEAD_SENT,
        "http11.send_request_body.complete": Wire.REQUEST_SENT,
        "http11.receive_response_headers.complete": Wire.ANSWER_BEGUN,
        "http11.receive_response_body.complete": Wire.ANSWER_READ,
    },
    RECORD_PATH: {
        "http11.send_request_headers.started": Wire.POLL_SENDING,
        "http11.send_request_body.complete": Wire.POLL_SENT,
        "http11.receive_response_headers.complete": Wire.POLL_ANSWER_BEGUN,
        "http11.receive_response_body.complete": Wire.POLL_ANSWER_READ,
    },
}
"""The stages by httpcore's event names, for each path of a request."""


class Crash:
    """Strikes once, at one point; without a point, it only records the points that the worker passes."""

    def __init__(self, trail: Path, at: str | None, server: int | None) -> None:
        if at is not None and at not in POINTS:
            raise ValueError(f"{AT}: there is no point {at!r}")
        self._trail = os.open(trail, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._at = at
        self._server = server
        self.struck = False

    def passes(self, point: str) -> bool:
        """Return True if the server was killed at this point. A killed worker never returns."""
        if self.struck:
            return False
        if point != self._at:
            self._note(point)
            return False
        self.struck = True
        if self._server is None:
            self._die(point)
        os.kill(self._server, signal.SIGKILL)
        while _alive(self._server):
            time.sleep(0.001)
        self._note(STRUCK + point)
        return True

    def around(
        self, write: Write | None, call: Callable[[], Any], done: Callable[[Any], Write | None]
    ) -> Any:
        """Make a call that writes; ``done`` derives the write from the answer."""
        if write:
            self.passes(before(write))
        answer = call()
        if written := done(answer):
            if self.passes(unheard(written)):
                # The server has done the write and is dead. A second call fails as the wait for the answer
                # would.
                answer = call()
            self.passes(after(written))
        return answer

    def _note(self, line: str) -> None:
        os.write(self._trail, f"{line}\n".encode())

    def _die(self, point: str) -> NoReturn:
        self._note(STRUCK + point)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("SIGKILL cannot be survived")


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def install(crash: Crash) -> None:
    """Add the points to the calls of this process."""
    _wrap_ledger(crash)
    _wrap_messages_and_results(crash)
    _wrap_transport(crash)
    _wrap_folder(crash)


def _wrap_ledger(crash: Crash) -> None:
    run = Store.run

    def wrapped(store: Store, script: Script[Any]) -> Any:
        def call() -> Any:
            return run(store, script)

        if isinstance(script, ClaimSteps):
            upcoming = None if crash.struck else next(_steps_to_claim(store), None)
            return crash.around(upcoming, call, _claimed)
        if isinstance(script, ReportPollsCall):
            write = _reported(store, script)
        elif isinstance(script, PlanCopyCall):
            write = Write.RENEW_COPY if script.number is None else Write.PLAN_COPY
        elif isinstance(script, StoredCall) and script.copied:
            write = Write.STORED_COPIED
        elif script.NAME in _TRANSITIONS:
            write = _TRANSITIONS[script.NAME]
        else:
            return call()
        return crash.around(write, call, lambda _answer: write)

    Store.run = wrapped  # type: ignore[method-assign,assignment]


def _claimed(reply: object) -> Write | None:
    steps = reply.claimed.steps if isinstance(reply, Leased) else []
    return _CLAIMS[steps[0].step] if steps else None


def _steps_to_claim(store: Store) -> Iterator[Write]:
    for key in store.redis.scan_iter(JOB(store.prefix, "*")):
        if step := _NEXT_STEP.get(store.redis.hget(key, "state")):
            yield _CLAIMS["credits" if step == "create" and _waits_for_a_balance(store) else step]
    if store.redis.zcard(COPIES(store.prefix)):
        yield Write.CLAIM_COPY


def _waits_for_a_balance(store: Store) -> bool:
    pause = store.redis.hgetall(PAUSE(store.prefix, MAIN))
    return not pause.keys().isdisjoint({"key", "needs"}) and "cleared" not in pause


def _reported(store: Store, script: ReportPollsCall) -> Write:
    report = script.reports[0]
    if report["what"] == "polled":
        return Write.POLLED
    state = store.redis.hget(JOB(store.prefix, report["job"]), "state")
    return Write.READ_AGAIN if state and JobState(state).ended else Write.TASK_ENDED


def _wrap_messages_and_results(crash: Crash) -> None:
    publish, store = Dispatcher._publish, ResultStore._write

    def wrapped_publish(dispatcher: Dispatcher, message: Message) -> None:
        write = _PUBLISHES[message.task]
        crash.around(write, lambda: publish(dispatcher, message), lambda _answer: write)

    def wrapped_store(results: ResultStore, *result: Any, again: bool = False) -> None:
        write = Write.STORE_COPIED if again else Write.STORE_RESULT
        crash.around(write, lambda: store(results, *result, again=again), lambda _answer: write)

    Dispatcher._publish = wrapped_publish  # type: ignore[method-assign,assignment]
    ResultStore._write = wrapped_store  # type: ignore[method-assign,assignment]


def _wrap_transport(crash: Crash) -> None:
    send, standstill = Transport.send, float(os.environ.get(STANDSTILL, "0"))

    def wrapped(
        transport: Transport,
        request: httpcore.Request,
        ends_at: float,
        may_send: Callable[[], bool] | None = None,
    ) -> AbstractContextManager[httpcore.Response]:
        stages = _STAGES.get(request.url.target.partition(b"?")[0].decode(), {})

        def trace(event: str, _info: object) -> None:
            if stage := stages.get(event):
                crash.passes(stage)

        if Wire.REQUEST_SENT in stages.values():
            time.sleep(standstill)
        request.extensions = {**request.extensions, "trace": trace}
        return send(transport, request, ends_at, may_send)

    Transport.send = wrapped  # type: ignore[method-assign,assignment]


def _wrap_folder(crash: Crash) -> None:
    put, replace = Folder.put, Path.replace

    def wrapped_put(folder: Folder, name: str, file: BinaryIO, *, size: int, **about: Any) -> None:
        small = name.endswith(THUMBNAIL)
        write, half = (
            (Write.PUT_THUMBNAIL, Disk.THUMBNAIL_HALF) if small else (Write.PUT_IMAGE, Disk.IMAGE_HALF)
        )
        halves: Any = _Halves(file, size, lambda: crash.passes(half))
        crash.around(write, lambda: put(folder, name, halves, size=size, **about), lambda _answer: write)

    def wrapped_replace(path: Path, target: Path) -> Path:
        if path.parent.name == "staged" and not target.name.startswith("check-"):
            small = target.name.endswith(THUMBNAIL)
            crash.passes(Disk.THUMBNAIL_STAGED if small else Disk.IMAGE_STAGED)
        return replace(path, target)

    Folder.put = wrapped_put  # type: ignore[method-assign,assignment]
    Path.replace = wrapped_replace  # type: ignore[method-assign,assignment]


class _Halves:
    """A file that is read in two halves, with a call between them."""

    def __init__(self, file: BinaryIO, size: int, between: Callable[[], object]) -> None:
        self._file, self._half, self._between = file, max(1, size // 2), between

    def seek(self, position: int) -> int:
        return self._file.seek(position)

    def read(self, _most: int) -> bytes:
        read = self._file.tell()
        if read == self._half:
            self._between()
        return self._file.read(-1 if read else self._half)


if TRAIL in os.environ:
    _pid = os.environ.get(PID)
    install(Crash(Path(os.environ[TRAIL]), os.environ.get(AT), int(_pid) if _pid else None))
