"""The list of all result files, by which a test compares a store with what the provider made."""

from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from sandbox.kie.tasks.ledger import KieTask, State
from sandbox.kie.tasks.result_files import ResultFile, file_path

__all__ = ["ServedFiles"]

PAGE_TASKS: Final = 5_000


@dataclass(slots=True)
class _Served:
    """A file that was asked for."""

    fetches: int = 0
    served: int = 0
    sha256: str | None = None
    size: int | None = None
    content_type: str | None = None
    others: list[str] = field(default_factory=list)


_NEVER: Final = _Served()


class ServedFiles:
    """The hashes of the files that were drawn, and how often each was asked for."""

    def __init__(self) -> None:
        self._files: dict[str, _Served] = {}

    def fetched(self, path: str) -> int:
        """Count a request for the file, and return the count."""
        file = self._files.setdefault(path, _Served())
        file.fetches += 1
        return file.fetches

    def drawn(self, path: str, file: ResultFile) -> None:
        """Note the hash of the file as it is without any fault."""
        known = self._files[path]
        known.sha256, known.size, known.content_type = file.sha256, len(file.data), file.media_type

    def served(self, path: str) -> None:
        """Count an answer with the whole file as it is."""
        self._files[path].served += 1

    def changed(self, path: str, file: ResultFile) -> None:
        """Note the hash of what was served in place of the file."""
        self._files[path].others.append(file.sha256)

    def page(self, tasks: Collection[KieTask], after: int, now_ms: float) -> dict[str, Any]:
        """The ``files`` of one page of tasks, after the first ``after``.

        The answer has the ``after`` of the next page, and says with ``more`` that there is one. Tasks that
        did not succeed have no files.
        """
        taken = list(islice(tasks, after, after + PAGE_TASKS))
        rows = [
            self._row(task, index)
            for task in taken
            if task.state(now_ms) is State.SUCCESS
            for index in range(task.images)
        ]
        reached = after + len(taken)
        return {"files": rows, "after": reached, "more": reached < len(tasks)}

    def _row(self, task: KieTask, index: int) -> dict[str, Any]:
        path = file_path(task.id, index)
        file = self._files.get(path, _NEVER)
        return {
            "path": path,
            "task_id": task.id,
            "number": index + 1,
            "sha256": file.sha256,
            "size": file.size,
            "content_type": file.content_type,
            "fetches": file.fetches,
            "served": file.served,
            "others": file.others,
        }
