"""Words for the end of a task that are not the documented ones (contract 10)."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["STATE_WORDS"]

STATE_WORDS: Mapping[str, bool] = MappingProxyType(
    {
        "succeeded": True,
        "completed": True,
        "done": True,
        "finished": True,
        "SUCCESS": True,
        "archived": True,
        "failed": False,
        "error": False,
        "cancelled": False,
        "timeout": False,
        "FAIL": False,
        "withdrawn": False,
    }
)
"""By variant of the fault ``state_words``, which is the word: True if the task succeeds, False if it fails.

``archived`` and ``withdrawn`` are synonyms of nothing. The record says by its URLs, its failure and its time
how the task ended.
"""
