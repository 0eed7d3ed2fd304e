"""The shell that all steps share: it turns a plain function into a Celery task."""

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

from celery import shared_task

from limner.errors import RecordUnreadable, StoreUnavailable
from worker.requests import StepRequest
from worker.services import Services
from worker.transport import STEP

logger = logging.getLogger(__name__)


def step(name: str, **options: Any) -> Callable[[Callable[..., None]], Any]:
    """A Celery task for one step, in each app that loads the module of the step.

    The function gets the services of the app whose worker runs it, the message's request, and the message's
    arguments. The task stores no result of its own, as ``task_ignore_result`` says: the job's result is
    stored when the job ends. (Raising Ignore would say the same at the price of a formatted traceback, 6 ms.)
    """

    def decorate(run: Callable[..., None]) -> Any:
        register: Any = shared_task(name=name, bind=True, typing=False, Request=StepRequest, **options)
        return register(shell(run))

    return decorate


def leave_alone(services: Services, job_id: str, fault: RecordUnreadable) -> None:
    """Set a job apart whose record cannot be read, and log it once."""
    # Without Redis, the job's lease brings it back, and the fault with it.
    with contextlib.suppress(StoreUnavailable):
        if services.ledger.jobs.set_apart(job_id, fault):
            logger.warning("job %s is left alone: %s", job_id, fault)


def shell(run: Callable[..., None]) -> Callable[..., None]:
    """The body of a step's task. A step that Redis cuts short is left, because its lease brings it back."""

    @functools.wraps(run)
    def body(task: Any, /, *arguments: Any, **parameters: Any) -> None:
        # A step's message names its job first. A plain message has the id of its job.
        job_id = arguments[0] if arguments and task.request.get(STEP) else task.request.id
        try:
            run(task.app.services, task.request, *arguments, **parameters)
        except StoreUnavailable as error:
            logger.warning("job %s waits for its lease to be over: %s", job_id, error)
        except RecordUnreadable as error:
            leave_alone(task.app.services, job_id, error)

    return body
