"""The file behind a name, as long as it can be had (contract 4)."""

import re
from dataclasses import dataclass
from typing import Final

from sandbox.kie.state import ProviderState
from sandbox.kie.tasks.ledger import KieTask, State
from sandbox.kie.tasks.result_files import file_path

__all__ = ["Available", "available"]

_NAME: Final = re.compile(r"(?P<task_id>\w+)_(?P<index>\d)\.png")


@dataclass(frozen=True)
class Available:
    """A file that can be fetched: an image of a task, by its index."""

    task: KieTask
    index: int

    @property
    def path(self) -> str:
        return file_path(self.task.id, self.index)


def available(state: ProviderState, name: str) -> Available | None:
    """The file of that name; None if there is none, not yet, or no longer."""
    match = _NAME.fullmatch(name)
    task = state.ledger.tasks.get(match["task_id"]) if match else None
    if match is None or task is None or int(match["index"]) >= task.images:
        return None
    now_ms = state.now() * 1000
    lifetime_ms = state.options.file_seconds / state.options.speed * 1000
    if task.state(now_ms) is not State.SUCCESS or now_ms >= task.finish_ms + lifetime_ms:
        return None
    return Available(task, int(match["index"]))
