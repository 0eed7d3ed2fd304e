"""Markdown tables, and a description of the machine."""

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Iterator, Sequence


def machine() -> str:
    """The system and the versions that affect the figures, in one line."""
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("celery", "kombu", "redis")
    )
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python "
        f"{platform.python_version()}, {versions}; everything on one machine, over loopback"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """A Markdown table, line by line."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(_cell(value) for value in row) + " |"


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def quantile(values: Sequence[float], q: float) -> float:
    """The q-quantile of the values, by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]
