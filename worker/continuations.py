"""Celery's part of a job's end: callbacks, error callbacks, the rest of a chain, and a chord.

The message that makes a job is done long before the job ends. So what it asks of Celery lies on the record,
and takes effect at the job's end, through Celery's own functions. It can take effect twice, if a worker dies
in between. The linked tasks have the same ids then, because these are chosen with the record.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import redis
from celery import Celery, _state, states
from celery.app.task import Context
from celery.canvas import group, maybe_signature
from celery.exceptions import BackendError
from celery.utils.functional import maybe_list
from kombu.exceptions import OperationalError

from limner._redis import cannot_serve
from limner.errors import InvalidRequest, LimnerError

logger = logging.getLogger(__name__)

TASK: Final = "limner.create_task"
MAX_BYTES: Final = 65_536
"""The most that a record takes of it, as JSON. A chain of 100 tasks with small arguments has 30 kB."""

BROKER_ERRORS: Final = (redis.RedisError, BackendError, OperationalError, OSError)
"""The errors of a result backend or a broker that is away."""

_NAMES: Final = {"callbacks": "link", "errbacks": "link_error", "chain": "chain", "chord": "chord"}
"""The parts of a message that ask for something, with the names that producers have for them."""
_CONTEXT: Final = (
    "group",
    "group_index",
    "root_id",
    "parent_id",
    "reply_to",
    "correlation_id",
    "stamped_headers",
    "stamps",
)
"""The parts that Celery needs as well, when there is something to do."""

Asked = dict[str, Any]


def asked_of(message: Any) -> Asked | None:
    """The part of a task's request that takes effect at the job's end; None if there is no such part."""
    asked = {name: found for name in _NAMES if (found := getattr(message, name, None))}
    # Producers before Celery 5.7 always send False.
    if getattr(message, "ignore_result", None):
        asked["ignore_result"] = True
    if not asked:
        return None
    known = {name: getattr(message, name, None) for name in _CONTEXT}
    return {**asked, **{name: value for name, value in known.items() if value is not None}}


def take_from(message: Any) -> Asked | None:
    """Take this part out of a task's request, so that the end of the task itself has no effect at all."""
    asked = asked_of(message)
    message.ignore_result = True
    for name in _NAMES:
        setattr(message, name, None)
    return asked


def on_record(asked: Asked | None) -> str | None:
    """The text for the record, in which all linked tasks have ids. Raises InvalidRequest."""
    if asked is None:
        return None
    for name, called in _NAMES.items():
        for signature in maybe_list(asked.get(name)) or ():
            _check(called, signature)
    text = _json(asked)
    if len(text.encode()) > MAX_BYTES:
        raise InvalidRequest(
            f"link, link_error, chain and chord: at most {MAX_BYTES} bytes as JSON, these are "
            f"{len(text.encode())}"
        )
    copy = json.loads(text)
    for name in _NAMES:
        for signature in maybe_list(copy.get(name)) or ():
            _give_ids(signature)
    return _json(copy)


def _check(called: str, signature: Any) -> None:
    fine = isinstance(signature, Mapping) and isinstance(signature.get("task"), str)
    if not (fine and isinstance(signature.get("options") or {}, Mapping)):
        raise InvalidRequest(f"{called}: must be signatures of tasks")


def _json(asked: Asked) -> str:
    try:
        return json.dumps(asked, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"link, link_error, chain and chord: cannot be written as JSON ({error})"
        ) from None


def _give_ids(signature: Any) -> None:
    if not isinstance(signature, dict) or not isinstance(signature.get("task"), str):
        return
    options = signature["options"] = signature.get("options") or {}
    options.setdefault("task_id", str(uuid4()))
    inner = [options.get("link"), options.get("link_error"), options.get("chain")]
    if signature.get("subtask_type") in ("chain", "group", "chord"):
        members = signature.get("kwargs") or {}
        inner += [members.get("tasks"), members.get("header"), members.get("body")]
    for each in inner:
        for one in maybe_list(each) or ():
            _give_ids(one)


def conclude(app: Celery, job_id: str, asked: Asked, result: Mapping[str, Any] | LimnerError) -> None:
    """Do Celery's part of a job's end and store its result, as Celery does after a task.

    Raises one of :data:`BROKER_ERRORS` if the broker or the result backend is away. Anything else that goes
    wrong is logged, because a faulty link must not cost the result.
    """
    backend: Any = app.backend
    request = Context(asked, id=job_id, task=TASK, called_directly=False, delivery_info={})
    store = not asked.get("ignore_result")
    with _current(app.tasks[TASK], request):
        try:
            if isinstance(result, LimnerError):
                backend.mark_as_failure(job_id, result, request=request, store_result=store)
            else:
                _send_callbacks(app, request, result)
                backend.mark_as_done(job_id, result, request, store)
        except Exception as error:
            if _is_away(error):
                raise
            logger.exception("job %s has ended, and not all that is linked to it could be told", job_id)
            if store:
                state = states.FAILURE if isinstance(result, LimnerError) else states.SUCCESS
                backend.store_result(job_id, result, state)


def _is_away(error: Exception) -> bool:
    """True if it is worth while to try again later.

    A server that serves may refuse one command for good, as when a queue's key has another type.
    """
    cause = error.__cause__ if isinstance(error, OperationalError) else error
    refused = isinstance(cause, redis.ResponseError) and not cannot_serve(cause)
    return isinstance(error, BROKER_ERRORS) and not refused


@contextmanager
def _current(task: Any, request: Context) -> Iterator[None]:
    """Make a job's request the current one, from which Celery takes children, root and stamps."""
    # Celery has no public name for it.
    tasks: Any = _state._task_stack  # type: ignore[attr-defined]  # noqa: SLF001
    tasks.push(task)
    task.request_stack.push(request)
    try:
        yield
    finally:
        task.request_stack.pop()
        tasks.pop()


def _send_callbacks(app: Celery, request: Any, result: Mapping[str, Any]) -> None:
    """Send the callbacks, and the next task of the chain."""
    family = {"parent_id": request.id, "root_id": request.root_id or request.id}
    callbacks: list[Any] = [maybe_signature(each, app=app) for each in maybe_list(request.callbacks) or ()]
    # Celery sends several callbacks as one group, and a group by itself.
    single = [each for each in callbacks if not isinstance(each, group)]
    if len(single) > 1:
        single = [group(single, app=app)]
    for callback in [*(each for each in callbacks if isinstance(each, group)), *single]:
        callback.apply_async((result,), **family)
    if request.chain:
        following: Any = maybe_signature(request.chain[-1], app=app)
        following.apply_async((result,), chain=request.chain[:-1], **family)
