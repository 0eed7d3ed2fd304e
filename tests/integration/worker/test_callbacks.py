"""The callback receiver, in a real uvicorn with its access log on, and with a ledger on a real Valkey."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import psutil
import pytest
from pydantic import SecretStr

from limner._redis import connect
from limner.callbacks.asgi import BODY_BYTES, BODY_SECONDS, route
from limner.callbacks.receiver import Receiver
from limner.callbacks.signature import SIGNATURE, TIMESTAMP, signature
from limner.errors import JobFailed
from limner.ledger import Claim, Grant, Ledger, Quota, Submission
from limner.ledger.record import Record
from limner.models import TextToImage
from limner.status import JobState
from limner.submission import prepare
from sandbox.local.fleet import CHECKOUT
from sandbox.local.valkey import EmbeddedValkey
from sandbox.processes.children import Child
from tests.conftest import eventually

KEY = SecretStr("example-webhook-key")
TOKEN = "s3cr3t-t0k3n_of-the-attempt"
TASK = "3f0c9a5be1d24772a86b1d0e5c94f1aa"
SUCCESS = {"code": 200, "msg": "success"}
REDIS_SECONDS = 0.5
PLAIN_APP = """
import sys
from starlette.applications import Starlette
from starlette.routing import Mount
from limner.callbacks import Receiver
from limner.callbacks.asgi import route
app = Starlette(routes=[Mount("/hooks", routes=[route(Receiver.from_env())])])
"""


def environment(redis_url: str, **settings: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LIMNER_")}
    return {
        **inherited,
        "PYTHONPATH": str(CHECKOUT),
        "LIMNER_REDIS_URL": redis_url,
        "LIMNER_REDIS_TIMEOUT_SECONDS": str(REDIS_SECONDS),
        "LIMNER_CALLBACK_URL": "https://hooks.example.test/limner",
        **settings,
    }


@contextlib.contextmanager
def uvicorn(app: str, folder: Path, env: Mapping[str, str], *options: str) -> Iterator[tuple[str, Path]]:
    """Run the app in its own process; yields its URL and its log."""
    log = folder / "uvicorn.log"
    with socket.create_server(("127.0.0.1", 0)) as listener, log.open("wb") as output:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        number = listener.fileno()
        child = Child(
            [sys.executable, "-m", "uvicorn", app, "--fd", str(number), *options],
            env=env,
            cwd=folder,
            output=output,
            pass_fds=[number],
        )
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            # The listener accepts a connection at once, and the app answers it after its start.
            assert httpx.get(url + "/", timeout=30, trust_env=False).status_code == 404, log.read_text()
            yield url, log
        finally:
            child.stop(10)


@dataclass
class Bench:
    """A receiver, and its ledger."""

    url: str
    log: Path
    redis_url: str
    ledger: Ledger = field(init=False)
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.client = connect(self.redis_url)
        self.ledger = Ledger(self.client)
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)

    def close(self) -> None:
        self.http.close()
        self.client.close()

    def sending(self, job_id: str = "") -> str:
        """Make a job whose request is on the wire, with TOKEN in its callback URL."""
        new = prepare(TextToImage(prompt="a red kite"))
        job_id = self.ledger.jobs.submit(
            Submission(job_id or new.job_id, new.request, new.digest, key=new.key)
        ).job_id
        steps: list[Claim] = []

        def claim() -> bool:
            claimed = self.ledger.queue.claim(Quota(1000, 1, 0, 1, 1000)).steps
            steps.extend(step for step in claimed if step.job_id == job_id)
            return bool(steps)

        # A claim takes some steps at a time, and jobs of other tests wait as well.
        eventually(claim)
        [step] = steps
        assert isinstance(self.ledger.jobs.begin(job_id, step.lease, TOKEN, deadline=900), Grant)
        return job_id

    def generating(self) -> str:
        job_id = self.sending()
        self.ledger.jobs.accepted(job_id, 1, TASK, poll_in=600)
        return job_id

    def record(self, job_id: str) -> Record:
        record = self.ledger.jobs.read(job_id)
        assert record
        return record

    def everything(self) -> dict[str, Any]:
        """All stored data of jobs, in which every change of a job is visible."""
        stored: dict[str, Any] = {}
        for key in sorted(self.client.scan_iter(self.ledger.prefix + "*")):
            kind = self.client.type(key)
            if not key.endswith((":callbacks", ":unmatched_callbacks")):
                stored[key] = (
                    self.client.zrange(key, 0, -1, withscores=True)
                    if kind == "zset"
                    else self.client.hgetall(key)
                    if kind == "hash"
                    else self.client.dump(key)
                    if kind != "stream"
                    else self.client.xlen(key)
                )
        return stored

    def post(
        self,
        job_id: str,
        token: str = TOKEN,
        *,
        task: str = TASK,
        at: float | None = None,
        key: SecretStr = KEY,
        prefix: str = "",
        **given: Any,
    ) -> httpx.Response:
        """Post a callback, by default with a valid signature of this moment."""
        stamp = str(int(time.time() if at is None else at))
        headers = {TIMESTAMP: stamp, SIGNATURE: signature(key, task, stamp).decode()}
        body = json.dumps({"code": 200, "data": {"taskId": task, "state": "success"}}).encode()
        path = f"{prefix}/callbacks/{quote(job_id, safe='')}/{token}"
        return self.http.post(path, **{"content": body, "headers": headers, **given})


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture(scope="module")
def receiver(valkey: EmbeddedValkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("receiver")
    env = environment(valkey.url, LIMNER_CALLBACK_HMAC_KEY=KEY.get_secret_value())
    with uvicorn("worker.callbacks:app", folder, env) as running:
        yield running


@pytest.fixture
def bench(valkey: EmbeddedValkey, receiver: tuple[str, Path]) -> Iterator[Bench]:
    made = Bench(*receiver, valkey.url)
    made.client.flushall()
    yield made
    made.close()


def test_a_callback_adopts_the_task_of_an_unanswered_request(bench: Bench) -> None:
    job_id = bench.sending()
    assert bench.post(job_id).json() == SUCCESS
    record = bench.record(job_id)
    assert (record.state, record.task_id) == (JobState.GENERATING, TASK)
    assert [(task.task_id, task.confirmed) for task in record.tasks] == [(TASK, False)]
    assert bench.ledger.journal.callback_counts() == {"adopted": 1}


def test_a_callback_brings_the_poll_forward(bench: Bench) -> None:
    job_id = bench.generating()
    budget = Quota(0, 1, 10, 1, 10)
    assert bench.ledger.queue.claim(budget).steps == []
    assert bench.post(job_id).status_code == 200
    [step] = bench.ledger.queue.claim(budget).steps
    assert (step.job_id, step.step) == (job_id, "poll")
    assert bench.ledger.journal.callback_counts() == {"expected": 1}


@pytest.mark.parametrize("spelling", ["taskId", "task_id"])
def test_both_spellings_of_the_task_id_are_accepted(bench: Bench, spelling: str) -> None:
    body = json.dumps({"code": 501, "data": {spelling: TASK}}).encode()
    assert bench.post(bench.generating(), content=body).json() == SUCCESS
    assert bench.ledger.journal.callback_counts() == {"expected": 1}


def test_a_replayed_callback_changes_only_the_time_of_the_next_poll(bench: Bench) -> None:
    job_id = bench.generating()
    bench.post(job_id)
    before = bench.record(job_id)
    for _ in range(20):
        assert bench.post(job_id).json() == SUCCESS
    after = bench.record(job_id)
    assert (after.state, after.tasks, after.polls) == (before.state, before.tasks, before.polls)
    assert len(bench.ledger.queue.claim(Quota(0, 1, 100, 1, 10)).steps) == 1
    assert bench.ledger.journal.callback_counts() == {"expected": 21}


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "a forged token": ("bad_token", {"token": "another-token"}),
    "a forged signature": ("bad_signature", {"key": SecretStr("another-key")}),
    "no signature": ("bad_signature", {"headers": {}}),
    "a signature of another task": ("bad_signature", {"content": b'{"taskId": "another"}'}),
    "a signature that is no base64": ("bad_signature", {"headers": {TIMESTAMP: "1", SIGNATURE: b"\xfe=="}}),
    "a signature of long ago": ("stale", {"at": 1767225600}),
    "a signature of the future": ("stale", {"at": 9_999_999_999}),
    "signed for none of two tasks": ("bad_signature", {"content": b'{"taskId": "a", "task_id": "b"}'}),
    "no body, and a forged token": ("malformed", {"content": b"", "token": "another-token"}),
    "a token that is none": ("malformed", {"token": "x" * 101}),
}


@pytest.mark.parametrize(("outcome", "request_"), REFUSED.values(), ids=REFUSED)
def test_an_unproven_callback_changes_no_job_and_gets_the_usual_answer(
    bench: Bench, outcome: str, request_: dict[str, Any]
) -> None:
    job_id = bench.generating()
    before = bench.everything()
    answer = bench.post(job_id, **request_)
    assert (answer.status_code, answer.json()) == (200, SUCCESS)
    assert bench.everything() == before
    assert bench.ledger.journal.callback_counts() == {outcome: 1}


UNREADABLE: dict[str, bytes] = {
    "no body": b"",
    "a body that is no JSON": b"taskId=" + TASK.encode(),
    "a body that is nested without end": b"[" * BODY_BYTES,
    "a body that is not UTF-8": b'{"taskId": "\xff"}',
    "a body that is cut in the id": b'{"data": {"taskId": "' + TASK[:20].encode(),
    "a body that is too long": b"x" * (BODY_BYTES + 1),
}
unreadable = pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)


@unreadable
def test_a_body_that_cannot_be_read_proves_by_its_token_that_the_attempt_was_accepted(
    bench: Bench, body: bytes
) -> None:
    job_id = bench.sending()
    bench.ledger.jobs.doubt(job_id, 1, {"cause": "timeout"}, grace=900)
    answer = bench.post(job_id, content=body, headers={})
    assert (answer.status_code, answer.json()) == (200, SUCCESS)
    assert (bench.record(job_id).state, bench.record(job_id).unnamed) == (JobState.IN_DOUBT, True)
    assert bench.ledger.journal.callback_counts() == {"accepted_unnamed": 1}
    assert [entry.event for entry in bench.ledger.journal.log(job_id)][-1] == "accepted_unnamed"


@unreadable
def test_for_a_known_task_such_a_body_brings_the_poll_forward(bench: Bench, body: bytes) -> None:
    job_id = bench.generating()
    assert bench.post(job_id, content=body).json() == SUCCESS
    assert [step.step for step in bench.ledger.queue.claim(Quota(0, 1, 10, 1, 10)).steps] == ["poll"]
    assert bench.ledger.journal.callback_counts() == {"expected": 1}


def test_another_task_than_the_attempt_s_is_counted_and_changes_nothing_else(bench: Bench) -> None:
    job_id = bench.generating()
    before = bench.record(job_id)
    assert bench.post(job_id, task="0" * 32).json() == SUCCESS
    assert bench.record(job_id).wrong_ids == 1
    assert replace(bench.record(job_id), wrong_ids=0, read_at=before.read_at) == before
    assert bench.ledger.journal.callback_counts() == {"mismatched": 1}


def a_big_callback() -> bytes:
    """A callback of 400 KB: two texts of Chinese characters, in three layers of JSON."""
    texts = {"prompt": "風" * 25_000, "negative_prompt": "箏" * 20_000}
    param = json.dumps({"input": json.dumps(texts), "model": "ideogram/v3-text-to-image"})
    return json.dumps({"code": 200, "data": {"param": param, "state": "success", "taskId": TASK}}).encode()


def test_a_big_callback_adopts_its_task(bench: Bench) -> None:
    body = a_big_callback()
    assert 350_000 < len(body) < BODY_BYTES
    job_id = bench.sending()
    assert bench.post(job_id, content=body).json() == SUCCESS
    assert bench.record(job_id).task_id == TASK


def test_many_big_callbacks_at_once_take_bounded_memory(bench: Bench) -> None:
    job_id = bench.sending()
    process = psutil.Process(receiver_pid(bench.url))
    bench.post(job_id, content=a_big_callback())
    before = process.memory_info().rss
    body = b'{"a":[' + b"[]," * 300_000 + b'0],"taskId":"' + TASK.encode() + b'"}'
    peak, done = before, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            peak = max(peak, process.memory_info().rss)

    with ThreadPoolExecutor(25) as pool:
        watching = pool.submit(watch)
        try:
            answers = list(pool.map(lambda _: bench.post(job_id, content=body).status_code, range(24)))
        finally:
            done.set()
        watching.result()
    # Those that had to wait too long are asked for again.
    assert set(answers) <= {200, 408, 503}
    assert answers.count(200) >= 12
    # 16 bodies of 1 MB, and one document of 20 MB and more at a time.
    assert peak - before < 150_000_000


def receiver_pid(url: str) -> int:
    """The process that answers at that address."""
    port = httpx.URL(url).port
    # This process has the socket as well.
    return next(
        child.pid
        for child in psutil.Process().children(recursive=True)
        for link in child.net_connections("tcp")
        if link.status == psutil.CONN_LISTEN and link.laddr[1:] == (port,)
    )


def test_a_callback_for_an_unknown_job_is_kept_for_a_person(bench: Bench) -> None:
    answer = bench.post("no-such-job")
    assert (answer.status_code, answer.json()) == (200, SUCCESS)
    assert [
        (unmatched.job_id, unmatched.task_id) for unmatched in bench.ledger.journal.unmatched_callbacks()
    ] == [("no-such-job", TASK)]
    assert bench.everything() == {}
    assert bench.ledger.journal.callback_counts() == {"unknown_job": 1}


def test_a_callback_does_not_change_the_end_of_a_job(bench: Bench) -> None:
    job_id = bench.sending()
    assert bench.ledger.jobs.cancel(job_id, JobFailed("x"), JobFailed("y"))
    bench.post(job_id)
    assert bench.record(job_id).state is JobState.CANCELLED
    assert bench.record(job_id).tasks[0].task_id == TASK


def test_only_posts_are_accepted(bench: Bench) -> None:
    assert bench.http.get(f"/callbacks/job/{TOKEN}").status_code == 405


@pytest.mark.parametrize("job_id", ["Auftrag 7", "a/b/c", "größe?#%25", "..a", "a//"])
def test_a_job_with_any_celery_task_id_is_found(bench: Bench, job_id: str) -> None:
    bench.sending(job_id)
    assert bench.post(job_id).json() == SUCCESS
    assert bench.record(job_id).state is JobState.GENERATING


def test_the_public_url_s_path_may_reach_the_receiver(bench: Bench) -> None:
    bench.post(bench.generating(), prefix="/limner")
    assert bench.ledger.journal.callback_counts() == {"expected": 1}


def raw(bench: Bench, job_id: str, head: str, *parts: bytes, token: str = TOKEN, pause: float = 0.0) -> bytes:
    """Send a request over a bare socket and read until the receiver closes the connection."""
    url = httpx.URL(bench.url)
    with socket.create_connection((url.host, url.port or 0), timeout=20) as link:
        request = f"POST /callbacks/{job_id}/{token} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n"
        stopped = threading.Event()

        def send() -> None:
            with contextlib.suppress(OSError):
                link.sendall(request.encode())
                for part in parts:
                    if stopped.wait(pause):
                        return
                    link.sendall(part)

        sender = threading.Thread(target=send)
        sender.start()
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while data := link.recv(65536):
                received += data
        stopped.set()
        sender.join()
        return received


CHUNK = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"


@pytest.mark.parametrize(
    ("head", "parts"),
    [
        (f"Content-Length: {BODY_BYTES + 1}", [b"x" * 100_000]),
        (f"Content-Length: {10**18}", [b"x" * 100_000]),
        ("Transfer-Encoding: chunked", [CHUNK] * 6),
    ],
    ids=["declared", "absurd", "chunked"],
)
def test_with_a_wrong_token_an_oversized_body_is_not_read(
    bench: Bench, head: str, parts: Sequence[bytes]
) -> None:
    job_id = bench.generating()
    before = bench.everything()
    began = time.monotonic()
    assert raw(bench, job_id, head, *parts, token="wrong").startswith(b"HTTP/1.1 413")
    assert time.monotonic() - began < BODY_SECONDS / 2
    assert bench.everything() == before
    assert bench.ledger.journal.callback_counts() == {"oversized": 1}


def test_a_body_that_is_longer_than_declared_is_read_as_declared(bench: Bench) -> None:
    job_id = bench.generating()
    received = raw(bench, job_id, "Content-Length: 10\r\nConnection: close", b"{" * 100)
    assert received.startswith(b"HTTP/1.1 200")
    assert bench.ledger.journal.callback_counts() == {"expected": 1}


def test_slow_bodies_time_out_without_delaying_other_callbacks(bench: Bench) -> None:
    job_id = bench.generating()
    before = bench.everything()
    with ThreadPoolExecutor(40) as pool:
        began = time.monotonic()
        dribble = [b"x"] * 200
        slow = [
            pool.submit(raw, bench, job_id, "Content-Length: 400", *dribble, token="wrong", pause=0.2)
            for _ in range(40)
        ]
        while time.monotonic() - began < 1.0:
            posted = time.monotonic()
            bench.post(job_id, "another-token")
            assert time.monotonic() - posted < BODY_SECONDS / 2
        assert all(answer.result().startswith(b"HTTP/1.1 408") for answer in slow)
        assert time.monotonic() - began < 2 * BODY_SECONDS
    assert bench.everything() == before
    assert bench.ledger.journal.callback_counts()["slow"] == 40


def test_a_slow_body_with_a_right_token_proves_the_attempt_and_is_asked_for_again(bench: Bench) -> None:
    job_id = bench.sending()
    received = raw(bench, job_id, "Content-Length: 400", *[b"x"] * 200, pause=0.2)
    assert received.startswith(b"HTTP/1.1 408")
    assert bench.record(job_id).unnamed


@pytest.mark.parametrize(
    ("begun", "outcome"),
    [(b'{"taskId"', "accepted_unnamed"), (b'{"taskId": "%s", ' % TASK.encode(), "adopted")],
)
def test_of_a_body_that_breaks_off_counts_what_was_read(bench: Bench, begun: bytes, outcome: str) -> None:
    job_id = bench.sending()
    stamp = str(int(time.time()))
    head = [
        f"POST /callbacks/{job_id}/{TOKEN} HTTP/1.1",
        "Host: x",
        f"{TIMESTAMP}: {stamp}",
        f"{SIGNATURE}: {signature(KEY, TASK, stamp).decode()}",
        "Content-Length: 100",
    ]
    url = httpx.URL(bench.url)
    with socket.create_connection((url.host, url.port or 0)) as link:
        link.sendall("\r\n".join([*head, "", ""]).encode() + begun)
    eventually(lambda: bench.ledger.journal.callback_counts() == {outcome: 1})


def test_a_frozen_redis_is_a_503_in_bounded_time_until_it_resumes(
    bench: Bench, valkey: EmbeddedValkey
) -> None:
    job_id = bench.generating()
    valkey.pause()
    try:
        with ThreadPoolExecutor(60) as pool:
            began = time.monotonic()
            answers = list(pool.map(lambda _: bench.post(job_id), range(60)))
            assert {answer.status_code for answer in answers} == {503}
            # With 16 threads, 60 posts take four rounds. The provider waits for 15 s (contract 3.3).
            assert time.monotonic() - began < 10
        assert bench.post(job_id, "another-token").status_code == 503
        assert bench.http.get("/health").status_code == 503
    finally:
        valkey.resume()
    assert bench.post(job_id).json() == SUCCESS
    assert bench.http.get("/health").status_code == 200


def test_the_log_contains_callbacks_but_no_token(bench: Bench) -> None:
    job_id = bench.sending()
    bench.post(job_id)
    bench.post(job_id, prefix="/limner")
    bench.post(job_id, prefix="/elsewhere")
    bench.http.get(f"/callbacks/{job_id}/{TOKEN}?again=1")
    eventually(lambda: "405" in bench.log.read_text().splitlines()[-1])
    text = bench.log.read_text()
    assert '"POST /callbacks/… HTTP/1.1" 200' in text
    assert f"callback for job '{job_id}': its task is adopted" in text
    assert TOKEN not in text
    assert "Traceback" not in text


def test_not_even_uvicorn_s_finest_log_contains_a_token(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    env = environment(valkey.url)
    with uvicorn("worker.callbacks:app", tmp_path, env, "--log-level", "trace") as (url, log):
        bench = Bench(url, log, valkey.url)
        with contextlib.closing(bench):
            bench.client.flushall()
            bench.post(bench.sending(), headers={"X-Key": KEY.get_secret_value()})
            eventually(lambda: "/callbacks/…" in log.read_text())
    text = log.read_text()
    assert "ASGI" in text
    assert TOKEN not in text


def test_the_receiver_loads_without_celery_and_without_an_api_key(valkey_url: str, tmp_path: Path) -> None:
    program = (
        "import sys; from worker.callbacks import app; "
        "sys.exit('celery' in sys.modules or 'provider' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment(valkey_url), cwd=tmp_path, check=False
    )
    assert run.returncode == 0


def test_without_a_callback_url_the_receiver_names_the_setting(valkey_url: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "uvicorn", "worker.callbacks:app"],
        env=environment(valkey_url, LIMNER_CALLBACK_URL=""),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode != 0
    assert "LIMNER_CALLBACK_URL" in run.stderr
    assert "Traceback" not in run.stderr


def test_limner_loads_without_starlette() -> None:
    program = "import sys, limner, limner.callbacks; sys.exit('starlette' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=False).returncode == 0


def test_the_route_can_be_mounted_in_another_app(valkey: EmbeddedValkey, tmp_path: Path) -> None:
    (tmp_path / "backend.py").write_text(PLAIN_APP)
    with uvicorn("backend:app", tmp_path, environment(valkey.url)) as (url, log):
        bench = Bench(url, log, valkey.url)
        with contextlib.closing(bench):
            bench.client.flushall()
            bench.sending("a/b")
            assert bench.post("a/b", prefix="/hooks", headers={}).json() == SUCCESS
            assert bench.record("a/b").state is JobState.GENERATING


def test_a_route_without_its_parameters_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match="token"):
        route(Receiver(bench.ledger), "/hooks/{job_id}")
