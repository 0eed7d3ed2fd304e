"""The odd answers that single jobs of a long run meet: markers in their prompts, which the stand-in obeys.

A fault that is switched on for all has one variant. With markers, every variant comes up in one run.
"""

import random
from collections.abc import Iterable, Iterator
from typing import Final

from sandbox.kie.faults.failures import FAILURES
from sandbox.kie.faults.files import AGENTS, EXPIRED, GZIP, HUGE, IMAGE_FORMATS, LINKS, SLOW, TRUNCATED, TYPES
from sandbox.kie.faults.odd_envelopes import ODD_ENVELOPES
from sandbox.kie.faults.pages import PAGES
from sandbox.kie.faults.record_values import COMPLETE_TIMES, CREDITS
from sandbox.kie.faults.redirects import REDIRECTS
from sandbox.kie.faults.state_words import STATE_WORDS
from sandbox.kie.faults.url_shapes import LATE, URL_SHAPES

__all__ = ["ODDITIES", "SHARE", "prompt"]

SHARE: Final = 0.25
"""The share of jobs with such a marker. They meet none of the faults of all the others."""
_URLS_LATE: Final = 2
"""Seconds."""
_CALLBACK_LATE: Final = 20
"""Seconds, more than LIMNER_CALLBACK_PATIENCE_SECONDS of a plan."""
_WITHOUT_SCHEME: Final = "protocol_relative"
"""A shape that is read as https. The stand-in speaks http, so nobody could fetch such an image from it."""


def _each(fault: str, variants: Iterable[str], rest: str = "", *, beside: str = "") -> Iterator[str]:
    for variant in variants:
        yield f"[fault:{fault}={variant}{rest}]{beside}"


_BEHIND: Final = ("502", "503", "504", "520", "522", "524", "500", "502_json", "503_text", "504_empty", "200")
"""The pages behind which a task can exist. The others come from somebody who has passed nothing on."""
_LOST: Final = "[fault:callback_lost]"

ODDITIES: Final = (
    # accepted, and the id is in an odd place: with the callback, and without it
    *_each("odd_envelope", ODD_ENVELOPES, "*1"),
    *_each("odd_envelope", ODD_ENVELOPES, "*1", beside=_LOST),
    # a page of an intermediary, before a task exists and after
    *_each("html_before", PAGES, "*1"),
    *_each("html_after", _BEHIND, "*1"),
    # server faults, behind which there may be a task
    "[fault:create_500*1]",
    "[fault:create_500*2]",
    "[fault:create_500_after*1]",
    f"[fault:create_500_after*1]{_LOST}",
    f"[fault:create_500_after*1]{_LOST}",
    f"[fault:create_500_after*2]{_LOST}",
    # a task behind a 500 is bought again, and its callback comes later than the fleet waits for it
    *(2 * (f"[fault:create_500_after*1][fault:callback_late@{_CALLBACK_LATE}]",)),
    # what closes the account, and is not so
    "[fault:create_401*1]",
    "[fault:create_402*1]",
    "[fault:create_433*1]",
    "[fault:create_455*1]",
    "[fault:refusal_words=credits_400*1]",
    "[fault:refusal_words=rate_500*1]",
    "[fault:refusal_words=maintenance_500*1]",
    # records
    *_each("record_other_task", ("success", "fail"), "*1"),
    *_each("state_words", STATE_WORDS, "*1"),
    *_each("task_fail", FAILURES, "*1"),
    *_each("urls_late", LATE, f"@{_URLS_LATE}"),
    *_each("url_shape", sorted(URL_SHAPES.keys() - {_WITHOUT_SCHEME})),
    *_each("complete_time", COMPLETE_TIMES),
    *_each("credits_odd", CREDITS),
    *_each("flag_only", ("response", "no_state")),
    # callbacks
    *_each("callback_big", ("natural", "85KB", "600KB")),
    "[fault:accept_then_drop*1][fault:callback_big=85KB]",
    # files
    *_each("image_format", IMAGE_FORMATS),
    *_each("file_truncated", TRUNCATED, "*1"),
    *_each("file_403", AGENTS, "*1"),
    *_each("file_expired", EXPIRED),
    *_each("file_slow", SLOW, "@1*1"),
    *_each("file_type", TYPES, "*1"),
    *_each("file_redirect", REDIRECTS, "*1"),
    *_each("file_huge", HUGE, "*1"),
    *_each("file_gzip", GZIP, "*1"),
    *_each("link_odd", LINKS, "*1", beside="[fault:file_404*1]"),
    "[fault:file_changed]",
    "[fault:callback_wrong_ids]",
    "[fault:accept_then_drop*1][fault:callback_wrong_ids]",
)
"""The markers, each list of them for one job."""


def prompt(number: int, seed: int) -> str:
    """The prompt of a job, unique so that it identifies the job in both ledgers."""
    rng = random.Random(f"{seed}:{number}")
    return f"boat {number}" + (f" {rng.choice(ODDITIES)}" if rng.random() < SHARE else "")
