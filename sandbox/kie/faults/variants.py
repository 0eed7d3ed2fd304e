"""The variants of each fault that has any: the answers, shapes or words among which a rule chooses."""

from collections.abc import Mapping
from types import MappingProxyType

from sandbox.kie.faults.balances import BALANCES
from sandbox.kie.faults.bodies import BODY_BYTES
from sandbox.kie.faults.callback_ids import CALLBACK_IDS
from sandbox.kie.faults.echoes import ECHOES
from sandbox.kie.faults.failures import FAILURES
from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.files import AGENTS, EXPIRED, GZIP, HUGE, IMAGE_FORMATS, LINKS, SLOW, TRUNCATED, TYPES
from sandbox.kie.faults.hints import HINTS
from sandbox.kie.faults.odd_envelopes import ODD_ENVELOPES
from sandbox.kie.faults.pages import PAGES
from sandbox.kie.faults.record_values import COMPLETE_TIMES, CREDITS, FLAG_ONLY, OTHER_TASK
from sandbox.kie.faults.redirects import REDIRECTS
from sandbox.kie.faults.state_words import STATE_WORDS
from sandbox.kie.faults.url_shapes import LATE, URL_SHAPES
from sandbox.kie.faults.words import REFUSAL_WORDS

__all__ = ["UNREACHABLE", "VARIANTS", "variant_of"]

UNREACHABLE = ("refused", "reset", "hang")
"""Nobody listens; every connection is reset at once; every connection is accepted and never answered."""


def _pages(first: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((first, *PAGES)))


VARIANTS: Mapping[Fault, tuple[str, ...]] = MappingProxyType(
    {
        Fault.REFUSAL_WORDS: tuple(REFUSAL_WORDS),
        Fault.ECHO_SECRET: tuple(ECHOES),
        Fault.HTML_BEFORE: _pages("502"),
        Fault.HTML_AFTER: _pages("524"),
        Fault.ODD_ENVELOPE: tuple(ODD_ENVELOPES),
        Fault.RETRY_AFTER: tuple(HINTS),
        Fault.TASK_FAIL: tuple(FAILURES),
        Fault.STATE_WORDS: tuple(STATE_WORDS),
        Fault.URL_SHAPE: tuple(URL_SHAPES),
        Fault.URLS_LATE: tuple(LATE),
        Fault.COMPLETE_TIME: tuple(COMPLETE_TIMES),
        Fault.CREDITS_ODD: tuple(CREDITS),
        Fault.IMAGE_FORMAT: IMAGE_FORMATS,
        Fault.FLAG_ONLY: FLAG_ONLY,
        Fault.RECORD_HTML: _pages("502"),
        Fault.RECORD_OTHER_TASK: OTHER_TASK,
        Fault.CALLBACK_TASK_ID: tuple(CALLBACK_IDS),
        Fault.CALLBACK_BIG: tuple(BODY_BYTES),
        Fault.FILE_HTML: _pages("200"),
        Fault.FILE_TRUNCATED: TRUNCATED,
        Fault.FILE_403: AGENTS,
        Fault.FILE_EXPIRED: tuple(EXPIRED),
        Fault.FILE_SLOW: SLOW,
        Fault.FILE_TYPE: tuple(TYPES),
        Fault.FILE_REDIRECT: tuple(REDIRECTS),
        Fault.FILE_HUGE: HUGE,
        Fault.FILE_GZIP: GZIP,
        Fault.LINK_ODD: tuple(LINKS),
        Fault.BALANCE_ODD: tuple(BALANCES),
        Fault.UNREACHABLE: UNREACHABLE,
    }
)
"""By fault, its variants. The first one applies if a rule chooses none."""


def variant_of(fault: Fault, chosen: str) -> str:
    """The chosen variant, or else the first one of the fault; empty if it has none."""
    return chosen or next(iter(VARIANTS.get(fault, ())), "")
