"""The shell that all steps share: it turns a plain function into a Celery task."""

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Any

import redis
from celery import Celery, Task, shared_task
from celery.backends.base import DisabledBackend

from limner.errors import NotDurable, RecordUnreadable, StoreUnavailable
from worker.inspection import STEP
from worker.outages import outage
from worker.services import Services

logger = logging.getLogger(__name__)


class NoResults(DisabledBackend):
    """A result backend that takes nothing, whatever Celery wants to store of a step.

    The message's own headers say that its result is to be stored, in Celery 5.3 to 5.6. A step's result would
    take the place of the job's, and so would the state of a step that has started, was revoked, or failed.
    """

    app: Celery

    def mark_as_done(self, *_: Any, **__: Any) -> None:
        """Store nothing."""

    def fail_from_current_stack(self, *failure: Any, **options: Any) -> Any:
        """Store the failure of a job that is the body of a chord: Celery reports it in the job's place."""
        backend: Any = self.app.backend
        return backend.fail_from_current_stack(*failure, **options)

    def _fail_chain(self, *failure: Any, **options: Any) -> None:
        backend: Any = self.app.backend
        backend._fail_chain(*failure, **options)  # noqa: SLF001 - Celery's own

    mark_as_started = mark_as_failure = mark_as_retry = mark_as_revoked = mark_as_done


class Step(Task):  # type: ignore[type-arg]
    """A Celery task of the fleet. Only :mod:`worker.results` stores results."""

    abstract = True
    ignore_result = True
    Request = "worker.request:Request"

    @property  # type: ignore[misc]
    def backend(self) -> Any:
        """The backend that takes nothing."""
        return _no_results(self.app)

    def AsyncResult(self, task_id: str, **options: Any) -> Any:  # noqa: N802 - Celery's name
        """The result of the job with this id."""
        return self.app.AsyncResult(task_id, task_name=self.name, **options)


@functools.cache
def _no_results(app: Celery) -> NoResults:
    return NoResults(app=app)


def step(name: str, **options: Any) -> Callable[[Callable[..., None]], Any]:
    """A Celery task for one step, in each app that loads the module of the step.

    The function gets the services of the app whose worker runs it, the message's request, and the message's
    arguments. The task stores no result of its own: the job's result is stored when the job ends. (Raising
    Ignore would say the same at the price of a formatted traceback, 6 ms.)
    """

    def decorate(run: Callable[..., None]) -> Any:
        register: Any = shared_task(name=name, bind=True, typing=False, base=Step, **options)
        return register(shell(run))

    return decorate


def leave_alone(services: Services, job_id: str, fault: RecordUnreadable) -> None:
    """Set a job apart whose record cannot be read, and log it once."""
    # Without Redis, the job's lease brings it back, and the fault with it.
    with contextlib.suppress(StoreUnavailable, redis.RedisError):
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
        except NotDurable as error:
            logger.warning("job %s waits for its lease to be over: %s", job_id, error)
        except (StoreUnavailable, redis.RedisError) as error:
            outage.failed("ledger", error)
            logger.debug("job %s waits for its lease to be over: %s", job_id, error)
        except RecordUnreadable as error:
            leave_alone(task.app.services, job_id, error)

    return body
