"""Small trials of single faults: the table of what Limner once answered wrongly, and the like."""

import random
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from bench.outages.sorts import RICH
from sandbox.kie.faults.echoes import ECHOES
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.variants import VARIANTS
from sandbox.local.fleet import LocalFleet

PAGES: Final = ("502", "503", "525", "403", "302")
UNREADABLE: Final = ("null", "object", "404", "text", "stale")
POLICIES: Final = ("policy_400", "policy_403", "policy_500", "policy_zh_400", "policy_zh_500")
ACCOUNT_WORDS: Final = tuple(
    variant
    for variant in VARIANTS[Fault.REFUSAL_WORDS]
    if variant.startswith(("credits_", "top_up_", "rate_", "running_", "maintenance_"))
)
HARMLESS: Final = ("load_500", "credit_to_500", "policy_server_500")
PATIENCE: Final = 25.0
_SHORT: Final = {"LIMNER_PAUSE_SECONDS": "0.5", "LIMNER_PAUSE_MAX_SECONDS": "4"}
"""Pauses that do not become long, for trials that meet many."""
SUSPENDED: Final = 1.2
"""Seconds for which a worker is stopped again and again."""


@dataclass(frozen=True)
class Row:
    """A trial. ``prompts`` may hold markers; ``faults`` are switched on for all. Its seconds are scaled."""

    says: str
    prompts: Sequence[str]
    faults: Mapping[str, Any] = field(default_factory=dict)
    callbacks: bool = False
    own: Mapping[str, str] = field(default_factory=dict)
    """Settings of the fleet."""
    provider: Mapping[str, Any] = field(default_factory=dict)
    """Options of the stand-in."""
    act: Callable[[LocalFleet], None] | None = None
    """Something that happens while the jobs run."""
    path: str = ""
    """The end of LIMNER_API_URL."""
    workers: int = 1
    patience: float = PATIENCE
    tells: Callable[[LocalFleet], str] | None = None
    """A further finding."""


def rows(scale: float) -> list[Row]:
    """All trials."""
    return [*_of_the_way(scale), *_of_accounts(scale), *_of_answers(scale), *_of_others(scale)]


def _of_the_way(scale: float) -> Iterator[Row]:
    for page in PAGES:
        rule = {"html_before": {"seconds": 25 / scale, "variant": page}}
        yield Row(f"a page {page} for 25 s, 60 jobs", _jobs(60), rule)
    yield Row(
        "connections refused for 4 minutes, 20 jobs",
        _jobs(20),
        {"unreachable": {"seconds": 240 / scale}},
        patience=240 / scale + PATIENCE,
    )
    made = "[fault:create_500_after]"
    yield Row("500 although the task was made, every time; 1 job, no callbacks", _jobs(1, made))
    yield Row("the same, with callbacks", _jobs(1, made), callbacks=True)
    yield Row("`LIMNER_API_URL` with a path too many, 4 jobs", _jobs(4), path="/api", patience=8.0)


def _of_accounts(scale: float) -> Iterator[Row]:
    yield Row("one false 401 among good answers, 40 jobs", _jobs(40), {"create_401": {"next": 1}})
    for balance in UNREADABLE:
        yield Row(
            f"402, topped up 20 s later, the balance is `{balance}`; 10 jobs",
            _jobs(10),
            {"balance_odd": {"variant": balance}},
            own=_SHORT,
            provider={"credits": 3.0},
            act=partial(_top_up, after=20 / scale),
        )
    twice = {"LIMNER_MAX_ATTEMPTS": "2"}
    yield Row(
        f"want of credits, limits, maintenance in other words, twice for each of {len(ACCOUNT_WORDS)} jobs; "
        "at most 2 attempts",
        _marked("refusal_words", ACCOUNT_WORDS, "*2"),
        own={**twice, **_SHORT},
        patience=2 * PATIENCE,
    )


def _of_answers(scale: float) -> Iterator[Row]:
    yield Row(
        "another task's finished record, once for each of 40 jobs",
        _jobs(40, "[fault:record_other_task*1]"),
    )
    shapes = VARIANTS[Fault.URL_SHAPE]
    yield Row(f"URLs of other shapes, {len(shapes)} jobs", _marked("url_shape", shapes))
    late = VARIANTS[Fault.URLS_LATE]
    yield Row(f"URLs 2 s late, {len(late)} jobs", _marked("urls_late", late, f"@{20 / scale:g}"))
    results = ("result_object", "flag_only=response", "callback_lost")
    yield Row("other forms of success, 3 jobs", [f"boat [fault:{name}]" for name in results])
    words = ("succeeded", "completed", "done", "finished", "SUCCESS")
    yield Row(f"other words for success, {len(words)} jobs", _marked("state_words", words))
    odd = VARIANTS[Fault.ODD_ENVELOPE]
    yield Row(
        f"the id in odd places, {len(odd)} jobs",
        _marked("odd_envelope", odd),
        own=_SHORT,
        patience=3 * PATIENCE,
    )
    yield Row(
        "a callback of 85 KB, and the answer is lost; 4 jobs",
        _jobs(4, "[fault:callback_big=85KB][fault:accept_then_drop]"),
        callbacks=True,
    )
    yield Row(
        "four invented ids with the right token, and the answer is lost; 4 jobs",
        _jobs(4, "[fault:callback_wrong_ids][fault:accept_then_drop]"),
        callbacks=True,
    )
    yield Row("40 good jobs, for comparison", _jobs(40), tells=_lag)
    yield Row(
        "`completeTime` 8 hours ahead for 40 jobs, then 40 good ones",
        [*_jobs(40, "[fault:complete_time=ahead]"), *_jobs(40)],
        tells=_lag,
    )
    absurd = VARIANTS[Fault.CREDITS_ODD]
    yield Row(
        f"absurd credits in {len(absurd)} tasks, and 10 good ones",
        [*_marked("credits_odd", absurd), *_jobs(10)],
    )


def _of_others(scale: float) -> Iterator[Row]:
    yield Row(f"a refusal by policy, {len(POLICIES)} jobs", _marked("refusal_words", POLICIES))
    yield Row("texts that sound like it, once for each of 3 jobs", _marked("refusal_words", HARMLESS, "*1"))
    passing = ("fault", "timeout", "timeout_words", "load")
    yield Row(
        "a task fails from a passing fault, once for each of 4 jobs", _marked("task_fail", passing, "*1")
    )
    moderated = ("moderation", "sensitive", "moderation_zh", "sensitive_zh", "policy")
    yield Row("a task is refused by moderation, 5 jobs", _marked("task_fail", moderated))
    yield Row(
        f"the answer repeats a secret in {len(ECHOES)} ways",
        _marked("echo_secret", ECHOES),
        callbacks=True,
        tells=_leaks,
    )
    yield Row(
        f"one of two workers is suspended for {SUSPENDED * scale:g} s, five times; 120 jobs",
        _jobs(120),
        provider={"creates": 0},
        workers=2,
        act=_suspend,
        tells=_peak,
    )


def _jobs(count: int, marker: str = "") -> list[str]:
    return [f"boat {number} {marker}".strip() for number in range(count)]


def _marked(fault: str, variants: Iterable[str], more: str = "") -> list[str]:
    return [f"boat [fault:{fault}={variant}{more}]" for variant in variants]


def _top_up(fleet: LocalFleet, *, after: float) -> None:
    assert fleet.provider
    time.sleep(after)
    fleet.provider.set_credits(RICH)


def _suspend(fleet: LocalFleet) -> None:
    chance = random.Random(1)
    for _ in range(5):
        time.sleep(chance.uniform(0.1, 0.6))
        fleet.workers[0].child.signal(signal.SIGSTOP)
        time.sleep(SUSPENDED)
        fleet.workers[0].child.signal(signal.SIGCONT)


def _peak(fleet: LocalFleet) -> str:
    assert fleet.provider
    return f"{fleet.provider.summary()['most_creates_in_window']} requests in a window of 20"


def _lag(fleet: LocalFleet) -> str:
    assert fleet.provider
    good = [task for task in fleet.provider.ledger() if not task["faults"]]
    lags = sorted(task["seen_ms"] - task["finish_ms"] for task in good if task["seen_ms"])
    return (
        f"good ones are seen {lags[len(lags) // 2] / 1000:.1f} s after their end" if lags else "none is seen"
    )


def _leaks(fleet: LocalFleet) -> str:
    assert fleet.provider
    key = min(fleet.provider.options.accepted_keys)
    text = "".join(path.read_text(errors="replace") for path in fleet.log_dir.glob("worker-*.log"))
    forms = {
        "plain": key,
        "escaped": "".join(f"\\u{ord(letter):04x}" for letter in key),
        "percent": "".join(f"%{ord(letter):02x}" for letter in key),
    }
    found = [name for name, form in forms.items() if form in text.lower()]
    return f"the log has the key: {', '.join(found) or 'never'}"
