"""The command line as a process, against a real server, with jobs driven by the ledger itself."""

import contextlib
import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import redis

from limner._redis import connect
from limner.errors import GenerationFailed
from limner.ledger import Claim, Ledger, Quota
from limner.status import JobState
from sandbox.local.valkey import EmbeddedValkey
from tests.integration.limner.ledger import speaking
from tests.repository import ROOT

PATIENCE = 60.0
BUDGET = Quota(creates=1000, creates_span=1.0, polls=1000, polls_span=1.0, max_in_flight=1000)
RATE_LIMITED = {"cause": "rate_limited", "code": 429, "http_status": 200, "message": "Too \x1b[31mmany"}
URLS = ["https://files.example/1.png", "https://files.example/2.png"]


@pytest.fixture(scope="module")
def valkey() -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def url(valkey: EmbeddedValkey) -> Iterator[str]:
    """An empty database."""
    client = redis.Redis.from_url(valkey.url)
    client.flushall()
    yield valkey.url
    client.close()


@pytest.fixture
def ledger(url: str) -> Ledger:
    return Ledger(connect(url))


def start(*arguments: str, url: str | None, **options: Any) -> subprocess.Popen[bytes]:
    """The command line as a user starts it in a pipe."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("LIMNER_")}
    return subprocess.Popen(
        [sys.executable, "-m", "limner", *arguments],
        cwd=ROOT,
        env={**environment, **({"LIMNER_REDIS_URL": url} if url else {})},
        **{
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            **options,
        },
    )


class Run:
    """A command that has ended."""

    def __init__(self, *arguments: str, url: str | None, stdin: bytes = b"") -> None:
        process = start(*arguments, url=url, stdin=subprocess.PIPE)
        out, err = process.communicate(stdin, timeout=PATIENCE)
        self.code, self.out, self.err = process.returncode, out.decode(), err.decode()

    @property
    def objects(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> Any:
        (line,) = self.err.splitlines()
        return json.loads(line)


def submit(url: str) -> str:
    return Run("submit", "a red kite", url=url).out.strip()


def claim(ledger: Ledger, job_id: str) -> Claim:
    """The job's next step, once it is due. Steps of other jobs are lost, so bring one along at a time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for step in ledger.queue.claim(BUDGET).steps:
            if step.job_id == job_id:
                return step
        ledger.queue.wakeup().wait(0.02)
    raise AssertionError(f"job {job_id} was never due")


def send(ledger: Ledger, job_id: str) -> int:
    """Begin an attempt; returns its number."""
    step = claim(ledger, job_id)
    grant = ledger.jobs.begin(job_id, step.lease, f"token-{step.lease}", deadline=600)
    assert not isinstance(grant, str)
    return grant.attempt


def generate(ledger: Ledger, job_id: str) -> Claim:
    """Have the attempt accepted; returns the first poll."""
    assert ledger.jobs.accepted(job_id, send(ledger, job_id), "task-7", poll_in=0)
    return claim(ledger, job_id)


def succeed(ledger: Ledger, job_id: str) -> None:
    generate(ledger, job_id)
    assert speaking.task_succeeded(ledger, job_id, "task-7", URLS, Decimal("7.0"), ttl=60).what == "ended"


def fail(ledger: Ledger, job_id: str) -> None:
    error = GenerationFailed("It broke", {"job_id": job_id, "task_id": "task-7", "code": "500"})
    generate(ledger, job_id)
    assert speaking.task_failed(ledger, job_id, "task-7", error, ttl=60).what == "ended"


# submit


def test_submit_prints_the_id_of_a_job_with_all_that_was_asked_for(url: str, ledger: Ledger) -> None:
    run = Run(
        *["submit", "a red kite", "--negative-prompt", "rain", "--rendering-speed", "turbo"],
        *["--style-code", "0123abcd", "--style-code", "89ABCDEF", "--no-expand-prompt"],
        *["--image-size", "portrait_16_9", "--num-images", "3", "--seed", "7"],
        *["--priority", "9", "--metadata", '{"user": "Zoë"}', "--idempotency-key", "k1"],
        url=url,
    )
    assert (run.code, run.err) == (0, "")
    record = ledger.jobs.read(run.out.strip())
    assert record is not None
    assert record.request == {
        "prompt": "a red kite",
        "negative_prompt": "rain",
        "rendering_speed": "TURBO",
        "style_codes": ["0123abcd", "89ABCDEF"],
        "expand_prompt": False,
        "image_size": "portrait_16_9",
        "num_images": 3,
        "seed": 7,
    }
    assert (record.priority, record.metadata) == (9, {"user": "Zoë"})


def test_the_same_idempotency_key_gives_the_same_job_and_refuses_another_request(url: str) -> None:
    first, again, other = (
        Run("submit", prompt, "--idempotency-key", "k1", "--json", url=url) for prompt in ("a", "a", "b")
    )
    assert first.objects == again.objects
    assert (other.code, other.error["error"]) == (2, "IdempotencyConflict")


def test_a_prompt_comes_from_standard_input_as_it_is(url: str, ledger: Ledger) -> None:
    text = "a\x00b\nline two \N{CAT}"
    run = Run("submit", "-", url=url, stdin=text.encode() + b"\n")
    record = ledger.jobs.read(run.out.strip())
    assert record is not None
    assert record.request["prompt"] == text


def test_submit_that_waits_prints_the_id_at_once_and_then_the_urls(url: str, ledger: Ledger) -> None:
    process = start("submit", "a red kite", "--wait", url=url)
    assert process.stdout
    job_id = process.stdout.readline().decode().strip()
    succeed(ledger, job_id)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.decode().splitlines(), err) == (0, URLS, b"")


def test_submit_that_waits_in_vain_ends_with_3_and_leaves_the_job(url: str, ledger: Ledger) -> None:
    run = Run("submit", "a red kite", "--timeout", "0.2", "--json", url=url)
    assert (run.code, run.error["error"]) == (3, "WaitTimeout")
    record = ledger.jobs.read(run.objects[0]["job_id"])
    assert record is not None
    assert record.state is JobState.QUEUED


# status, wait, cancel


def test_status_tells_each_job_and_ends_with_0_though_one_has_failed(url: str, ledger: Ledger) -> None:
    failed = submit(url)
    fail(ledger, failed)
    queued = submit(url)
    assert Run("status", queued, failed, "--json", url=url).code == 0
    run = Run("status", queued, failed, url=url)
    first, second = run.out.splitlines()
    assert first.startswith(f"{queued}  queued")
    assert second.startswith(f"{failed}  failed")


def test_an_unknown_job_ends_with_4_and_does_not_hide_the_others(url: str) -> None:
    known = submit(url)
    run = Run("status", "nobody", known, "--json", url=url)
    assert (run.code, [each["job_id"] for each in run.objects]) == (4, [known])
    assert run.error == {
        "error": "UnknownJob",
        "message": "no job nobody: it never was, or its result has expired",
        "exit_code": 4,
        "job_id": "nobody",
    }


@pytest.mark.parametrize("command", ["wait", "cancel", "explain"])
def test_every_command_ends_with_4_for_an_unknown_job(url: str, command: str) -> None:
    assert Run(command, "nobody", url=url).code == 4


def test_wait_prints_a_line_for_each_image_and_ends_with_0(url: str, ledger: Ledger) -> None:
    job_id = submit(url)
    succeed(ledger, job_id)
    run = Run("wait", job_id, url=url)
    assert (run.code, run.out.splitlines(), run.err) == (0, [f"{job_id} {image}" for image in URLS], "")
    (facts,) = Run("wait", job_id, "--json", url=url).objects
    assert (facts["state"], facts["urls"], facts["credits"], facts["task_id"]) == (
        "succeeded",
        URLS,
        "7.0",
        "task-7",
    )


def test_wait_ends_with_1_for_a_failed_job_and_tells_the_advice(url: str, ledger: Ledger) -> None:
    succeeded = submit(url)
    succeed(ledger, succeeded)
    failed = submit(url)
    fail(ledger, failed)
    run = Run("wait", failed, succeeded, url=url)
    assert (run.code, len(run.out.splitlines())) == (1, len(URLS))
    assert run.err == (f"limner: It broke [job {failed}] [provider task task-7] {GenerationFailed.advice}\n")
    (facts,) = Run("--json", "wait", failed, url=url).objects
    assert (facts["state"], facts["error"]["type"], facts["error"]["code"]) == (
        "failed",
        "GenerationFailed",
        "500",
    )


def test_wait_ends_with_3_when_its_time_for_all_is_over(url: str) -> None:
    started = time.monotonic()
    run = Run("wait", submit(url), submit(url), "--timeout", "0.5", url=url)
    assert (run.code, run.out, run.err.count("within 0.5 s; it goes on")) == (3, "", 2)
    assert time.monotonic() - started < PATIENCE / 2


def test_the_largest_code_of_several_jobs_counts(url: str, ledger: Ledger) -> None:
    failed = submit(url)
    fail(ledger, failed)
    assert Run("wait", "nobody", failed, url=url).code == 4


def test_cancel_says_whether_the_request_was_sent(url: str, ledger: Ledger) -> None:
    ended = submit(url)
    succeed(ledger, ended)
    sent = submit(url)
    send(ledger, sent)
    unsent = submit(url)
    run = Run("cancel", unsent, sent, ended, "--json", url=url)
    assert run.code == 0
    assert [each["cancellation"] for each in run.objects] == [
        "before_sending",
        "after_sending",
        "already_ended",
    ]
    assert Run("cancel", submit(url), url=url).out.endswith("cancelled before sending: it cost nothing\n")
    assert Run("wait", unsent, url=url).code == 1


# explain


def test_explain_tells_a_whole_life_in_order(url: str, ledger: Ledger) -> None:
    job_id = submit(url)
    assert ledger.jobs.retry(job_id, send(ledger, job_id), RATE_LIMITED, delay=0.1)
    poll = generate(ledger, job_id)
    assert speaking.polled(ledger, job_id, poll.lease, "generating", poll_in=0.1)
    claim(ledger, job_id)
    assert speaking.task_succeeded(ledger, job_id, "task-7", URLS, Decimal("7.0"), ttl=60).what == "ended"

    run = Run("explain", job_id, url=url)
    assert run.code == 0
    story, end = run.out.split("\n\n")
    lines = [re.fullmatch(r"(\S+Z) +(\d+\.\d{3}) s  (.*)", line) for line in story.splitlines()]
    assert [line and line[3] for line in lines] == [
        "submitted",
        "attempt 1: sending the request",
        r"refused: rate_limited (code 429): Too \x1b[31mmany; sent again in 0.1 s",
        "attempt 2: sending the request",
        "accepted as provider task task-7",
        "polled: generating; next poll in 0.1 s",
        "succeeded: 2 images, 7.0 credits",
    ]
    assert end.startswith(f"{job_id}  succeeded, 2 attempts, 2 polls, provider task task-7, after ")
    assert end.splitlines()[1:] == [
        *(f"image: {image}" for image in URLS),
        "credits: 7.0",
        "provider task: task-7",
    ]

    (facts,) = Run("explain", job_id, "--json", url=url).objects
    seconds = [entry["seconds"] for entry in facts["log"]]
    assert (seconds[0], seconds) == (0, sorted(seconds))
    assert facts["outcome"]["urls"] == URLS


def test_explain_ends_with_the_advice_of_a_failed_job(url: str, ledger: Ledger) -> None:
    job_id = submit(url)
    fail(ledger, job_id)
    run = Run("explain", job_id, url=url)
    assert (run.code, run.out.splitlines()[-4:]) == (
        0,
        [
            "GenerationFailed: It broke",
            f"advice: {GenerationFailed.advice}",
            "credits: none were charged",
            "provider task: task-7",
        ],
    )


def test_explain_says_when_the_beginning_is_no_longer_kept(url: str, ledger: Ledger) -> None:
    job_id = submit(url)
    poll = generate(ledger, job_id)
    for _ in range(200):
        assert speaking.polled(ledger, job_id, poll.lease, "generating", poll_in=0)
        poll = claim(ledger, job_id)
    first, *rest = Run("explain", job_id, url=url).out.splitlines()
    assert first.endswith("what happened first is no longer kept")
    assert len(rest) == 200 + len(["", "how it stands"])


def test_a_job_of_a_newer_version_ends_with_6(url: str, ledger: Ledger) -> None:
    job_id = submit(url)
    redis.Redis.from_url(url).hset(ledger.jobs.key(job_id), "v", 99)
    for command in ("status", "wait", "explain", "cancel"):
        assert Run(command, job_id, url=url).code == 6


# tail


def test_tail_from_the_start_stops_after_its_count(url: str) -> None:
    first, second = submit(url), submit(url)
    run = Run("tail", "--from-start", "--count", "2", url=url)
    assert run.code == 0
    assert [line.split("  ")[1:] for line in run.out.splitlines()] == [
        [first, "submitted"],
        [second, "submitted"],
    ]


def test_tail_shows_one_job_alone(url: str) -> None:
    first, second = submit(url), submit(url)
    Run("cancel", first, second, url=url)
    run = Run("tail", "--from-start", "--job", second, "--count", "2", "--json", url=url)
    assert [(each["job_id"], each["event"]) for each in run.objects] == [
        (second, "submitted"),
        (second, "cancelled"),
    ]


def test_tail_follows_what_happens_after_its_start_until_ctrl_c(url: str) -> None:
    before = submit(url)
    process = start("tail", url=url)
    assert process.stdout
    seen: list[str] = []
    deadline = time.monotonic() + PATIENCE
    with selecting(process.stdout) as readable:
        # Submitted until one is seen: when tail has begun to follow, nobody else can know.
        while not seen and time.monotonic() < deadline:
            submit(url)
            if readable(0.2):
                seen.append(process.stdout.readline().decode())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, b"")
    assert seen[0].endswith("submitted\n")
    assert before not in seen[0]


@contextlib.contextmanager
def selecting(stream: Any) -> Iterator[Any]:
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        yield lambda seconds: bool(selector.select(seconds))


def test_a_reader_that_goes_away_ends_the_output_without_a_word(url: str) -> None:
    for _ in range(3):
        submit(url)
    reading, writing = os.pipe()
    os.close(reading)
    process = start("tail", "--from-start", url=url, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (141, b"")


# Redis, and the outside


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize(
    "arguments",
    [["submit", "a"], ["status", "x"], ["wait", "x"], ["cancel", "x"], ["explain", "x"], ["tail"]],
)
def test_a_redis_that_is_not_there_ends_with_5_and_tells_no_password(arguments: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    run = Run(*arguments, url=f"redis://:hush-hush@127.0.0.1:{port}/0")
    assert (run.code, run.out) == (5, "")
    assert f"127.0.0.1:{port}" in run.err
    assert "hush" not in run.err


def test_a_redis_that_never_answers_ends_with_5_in_bounded_time(silent: int) -> None:
    bounds = "socket_timeout=0.2&socket_connect_timeout=0.2"
    assert Run("status", "x", url=f"redis://127.0.0.1:{silent}/0?{bounds}").code == 5


def test_a_wrong_password_ends_with_5_and_is_not_told(url: str) -> None:
    run = Run("status", "x", "--json", url="redis://:hush-hush@" + url.split("@")[1])
    assert (run.code, run.error["error"]) == (5, "StoreUnavailable")
    assert "hush" not in run.err


def test_the_url_of_a_command_has_precedence_over_the_environment(url: str) -> None:
    nowhere = "redis://127.0.0.1:1/0"
    assert Run("status", "x", "--redis-url", url, url=nowhere).code == 4
    assert Run("--redis-url", url, "status", "x", url=nowhere).code == 4
    assert Run("--redis-url", nowhere, "status", "x", "--redis-url", url, url=None).code == 4


def test_ctrl_c_ends_a_wait_with_130_and_the_job_goes_on(url: str, ledger: Ledger) -> None:
    process = start("submit", "a red kite", "--wait", url=url)
    assert process.stdout
    job_id = process.stdout.readline().decode().strip()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (130, b"")
    record = ledger.jobs.read(job_id)
    assert record is not None
    assert record.state is JobState.QUEUED


def test_help_tells_the_exit_codes_and_needs_no_redis() -> None:
    for arguments in (["--help"], ["wait", "--help"]):
        run = Run(*arguments, url=None)
        assert (run.code, run.err) == (0, "")
        assert "4  no such job" in run.out
    assert Run("--version", url=None).out.startswith("limner ")


def test_a_backend_that_imports_limner_imports_nothing_of_the_command_line() -> None:
    code = "import sys, limner; print({'typer', 'rich', 'limner.cli'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "set()\n"


def test_without_its_extra_the_command_line_names_it(tmp_path: Path) -> None:
    # A site of its own with all that is installed here, save the extra.
    for installed in Path(redis.__file__).parents[1].iterdir():
        if not installed.name.startswith(("typer", "rich")) and installed.suffix != ".pth":
            (tmp_path / installed.name).symlink_to(installed)
    run = subprocess.run(
        [sys.executable, "-S", "-m", "limner", "status", "x"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "limner: the command line needs its extra. Install limner again, from where it came from: "
        'pip install "/path/to/the/checkout[cli]"\n'
    )


# doubts, resolve and callbacks


def doubtful(url: str, ledger: Ledger) -> str:
    job_id = submit(url)
    error = {"cause": "timed_out", "message": "No answer."}
    assert ledger.jobs.doubt(job_id, send(ledger, job_id), error, grace=600)
    return job_id


def test_doubts_name_the_prompt_and_the_reason_until_a_person_has_decided(url: str, ledger: Ledger) -> None:
    first, second = doubtful(url, ledger), doubtful(url, ledger)
    run = Run("doubts", url=url)
    assert run.code == 0
    lines = run.out.splitlines()
    assert [line.split()[0] for line in lines] == [first, second]
    assert all("No answer." in line and "prompt: a red kite" in line for line in lines)
    assert Run("resolve", first, "--fail", url=url).out == f"{first}  has failed with InDoubt\n"
    assert Run("resolve", second, "--resubmit", "--attempt", "1", url=url).code == 0
    assert Run("doubts", url=url).out == ""
    [ended] = Run("--json", "doubts", "--all", url=url).objects
    assert (ended["job_id"], ended["state"], ended["attempt"]) == (first, "failed", 1)


def test_a_decision_about_what_is_not_in_doubt_is_refused_and_changes_nothing(
    url: str, ledger: Ledger
) -> None:
    job_id = submit(url)
    for decision in (["--resubmit"], ["--fail"]):
        run = Run("resolve", job_id, *decision, url=url)
        assert (run.code, run.out) == (2, "")
        assert "is queued, and it is not in doubt" in run.err
    assert Run("resolve", job_id, "--adopt", "task-7", url=url).code == 2
    other = doubtful(url, ledger)
    assert "attempt 2 is not in doubt" in Run("resolve", other, "--fail", "--attempt", "2", url=url).err
    assert Run("resolve", "nobody", "--fail", url=url).code == 4
    assert Run("resolve", "nobody", "--adopt", "task-7", url=url).code == 4
    assert ledger.journal.log(job_id)[-1].event == "submitted"


@pytest.mark.parametrize("options", [[], ["--fail", "--resubmit"], ["--adopt", "t", "--fail"]])
def test_exactly_one_decision_is_taken(url: str, ledger: Ledger, options: list[str]) -> None:
    run = Run("resolve", doubtful(url, ledger), *options, url=url)
    assert run.code == 2
    assert "exactly one of --adopt" in run.err


@pytest.mark.parametrize("task_id", ["", "two words", "x" * 257, "line\nbreak"])
def test_a_task_id_that_can_be_none_is_refused(url: str, ledger: Ledger, task_id: str) -> None:
    job_id = doubtful(url, ledger)
    run = Run("resolve", job_id, "--adopt", task_id, url=url)
    assert run.code == 2
    assert "task_id" in run.err
    record = ledger.jobs.read(job_id)
    assert record
    assert record.state is JobState.IN_DOUBT


def test_callbacks_are_counted_and_unmatched_callbacks_are_listed(url: str, ledger: Ledger) -> None:
    job_id = doubtful(url, ledger)
    record = ledger.jobs.read(job_id)
    assert record
    ledger.jobs.called_back(job_id, record.tokens[1], "task-7")
    ledger.jobs.called_back(job_id, "guess", "task-7")
    ledger.jobs.called_back("nobody", "guess", "task-8")
    run = Run("callbacks", url=url)
    assert re.sub(r"\S+Z", "then", run.out).splitlines() == [
        "       1  adopted",
        "       1  bad_token",
        "       1  unknown_job",
        "then  unknown job nobody  provider task task-8",
    ]
    told = Run("--json", "callbacks", url=url).objects
    assert told[0] == {"outcome": "adopted", "count": 1}
    assert told[-1]["task_id"] == "task-8"
