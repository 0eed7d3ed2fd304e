"""What all steps have in common."""

import functools
import logging
from collections.abc import Callable
from typing import Any

from limner.errors import RecordUnreadable, StoreUnavailable
from worker.application import app

logger = logging.getLogger(__name__)


def step(name: str, **options: Any) -> Callable[[Callable[..., None]], Any]:
    """A Celery task for one step of the job whose id is the task's.

    It stores no result of its own, as ``task_ignore_result`` says: the job's result is stored when the job
    ends. (Raising Ignore would say the same at the price of a formatted traceback, 6 ms.) A step that Redis
    cuts short is logged and left, because its lease brings it back.
    """

    def decorate(run: Callable[..., None]) -> Any:
        @functools.wraps(run)
        def body(self: Any, /, *arguments: Any, **parameters: Any) -> None:
            try:
                run(self, *arguments, **parameters)
            except (StoreUnavailable, RecordUnreadable) as error:
                logger.warning("job %s waits for its lease to be over: %s", self.request.id, error)

        register: Any = app.task(name=name, bind=True, typing=False, **options)
        return register(body)

    return decorate
