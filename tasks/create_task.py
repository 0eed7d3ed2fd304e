"""``limner.create_task``: send a job's request to the provider.

The dispatcher sends it with a lease. Plain Celery producers send it with the parameters of a request; it then
makes the job (``tasks.intake``), and the dispatcher continues from there.
"""

import logging
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal
from urllib.parse import quote

from config import Settings
from limner.errors import NotDurable, StoreUnavailable
from limner.ledger import Grant, kind_of
from limner.models import TextToImage
from limner.status import JobState
from tasks.commit import patiently, put_outcome
from tasks.decisions import (
    AfterCreate,
    Fail,
    Follow,
    LeaveInDoubt,
    SendAgain,
    after_create,
    too_late,
    without,
)
from tasks.ending import end
from tasks.intake import accept, refuse_call, refuse_message
from tasks.leave import Leave
from tasks.step import step
from tasks.stopwatch import Stopwatch
from worker.inspection import FAULT, STEP
from worker.rescue import Outcome
from worker.services import Services

logger = logging.getLogger(__name__)

BEGIN_PATIENCE: Final = 5.0
"""Seconds that an attempt's beginning waits for Redis, while its lease runs."""

Reason = Mapping[str, Any]
"""The reason for not sending an attempt: a ``cause`` and a ``message``, for the job's log."""


def tell_the_producer(task: Any, error: Exception, job_id: str, *_: Any) -> None:
    """Celery's ``on_failure``: a plain message may have no job that could report the error."""
    if not task.request.get(STEP):
        refuse_call(task.app.services, job_id, error)


# Acknowledged late for plain producers: until their job is on the ledger, only the message contains it.
@step(
    "limner.create_task",
    acks_late=True,
    reject_on_worker_lost=True,
    on_failure=tell_the_producer,
    # What Celery writes into the message of a job that is linked to another one.
    ignore_result=False,
)
def create_task(services: Services, message: Any, /, *arguments: Any, **parameters: Any) -> None:
    """Make an attempt of a job, whose id and lease a step's message names, or make the job."""
    if message.get(STEP):
        job_id, lease = arguments
        create(services, job_id, lease)
    elif fault := message.get(FAULT):
        refuse_message(services, message.id, fault)
    else:
        accept(services, message, arguments, parameters)


def create(services: Services, job_id: str, lease: int) -> None:
    """Send one attempt, if the lease still holds, and put its outcome on record."""
    token = secrets.token_urlsafe(24)
    stopwatch = Stopwatch()
    try:
        grant = begin(services, job_id, lease, token)
    except StoreUnavailable as risk:
        # Perhaps the attempt is on record, and only its answer was lost.
        take_back(services, job_id, token, unconfirmed(risk))
        return
    if grant == "late":
        end_late(services, job_id, lease)
    elif isinstance(grant, Grant):
        if grant.account in services.providers:
            leave = Leave(partial(services.ledger.jobs.renew, job_id, grant.attempt, token), stopwatch)
            put_on_record(services, job_id, grant, send(services, job_id, grant, token, leave))
        else:
            take_back(services, job_id, token, no_key(grant.account))


def begin(services: Services, job_id: str, lease: int, token: str) -> Grant | Literal["stale", "late"]:
    """Put an attempt on record before its request goes out. Raises StoreUnavailable."""
    transition = partial(
        services.ledger.jobs.begin,
        job_id,
        lease,
        token,
        deadline=services.settings.job_deadline_seconds,
        money=services.money,
    )
    return patiently(transition, f"attempt of job {job_id}", patience=BEGIN_PATIENCE)


def unconfirmed(risk: StoreUnavailable) -> Reason:
    """The reason for not sending an attempt that Redis may not have stored durably."""
    return {"cause": "not_durable" if isinstance(risk, NotDurable) else "not_confirmed", "message": str(risk)}


def no_key(account: str) -> Reason:
    """The reason for not sending an attempt of an account that this worker does not know."""
    said = f"this worker has no key of account {account}: LIMNER_ACCOUNTS must be that of the others"
    return {"cause": "unknown_account", "message": said}


def send(services: Services, job_id: str, grant: Grant, token: str, leave: Callable[[], bool]) -> AfterCreate:
    """Make the request if there is still ``leave`` for it, and decide what follows from the answer."""
    request = TextToImage.model_validate_json(grant.request)
    url = callback_url(services.settings, job_id, token)
    answer = services.providers[grant.account].create_task(request, url, may_send=leave)
    return after_create(
        without(answer, [token]),
        grant,
        policy=services.policies.of(kind_of(request)),
        retries=services.retries,
    )


def callback_url(settings: Settings, job_id: str, token: str) -> str | None:
    """The callback URL of this attempt; its token proves that a callback belongs to the attempt."""
    if not settings.callback_url:
        return None
    return f"{settings.callback_url}/callbacks/{quote(job_id, safe='')}/{token}"


def put_on_record(services: Services, job_id: str, grant: Grant, decision: AfterCreate) -> None:
    """Record and log the outcome of an attempt."""
    jobs, attempt = services.ledger.jobs, grant.attempt
    # Operators need to see in the log what went wrong. That an account is closed, the ledger says.
    level = logging.INFO if isinstance(decision, Follow) else logging.WARNING
    logger.log(level, "job %s attempt %d on account %s: %s", job_id, attempt, grant.account, decision)
    outcome = outcome_of(services, job_id, attempt, decision)
    match decision:
        case Follow(task_id, poll_in):
            accepted = partial(jobs.accepted, job_id, attempt, task_id, poll_in=poll_in)
            put_outcome(accepted, outcome, services.rescue)
        case SendAgain():
            retry = partial(
                jobs.retry,
                job_id,
                attempt,
                decision.error,
                delay=decision.delay,
                pause=decision.pause,
                uncounted=None if decision.doubtful else decision.delay,
                unsent=decision.unsent,
                doubtful=decision.doubtful,
            )
            put_outcome(retry, outcome, services.rescue)
        case LeaveInDoubt(error, pause, task_ids):
            doubt = partial(
                jobs.doubt, job_id, attempt, error, grace=services.grace, pause=pause, task_ids=task_ids
            )
            put_outcome(doubt, outcome, services.rescue)
        case Fail(error, pause):
            end(services, job_id, error, [JobState.SENDING], attempt=attempt, pause=pause, outcome=outcome)


def outcome_of(services: Services, job_id: str, attempt: int, decision: AfterCreate) -> Outcome:
    """The outcome of an attempt, as it is kept while Redis cannot serve: without the provider's words."""
    match decision:
        case Follow(task_id, poll_in):
            return Outcome(job_id, attempt, "accepted", (task_id,), delay=poll_in)
        case SendAgain(delay=delay, unsent=unsent, doubtful=doubtful):
            return Outcome(job_id, attempt, "refused", delay=delay, unsent=unsent, doubtful=doubtful)
        case LeaveInDoubt(task_ids=task_ids):
            return Outcome(job_id, attempt, "doubt", task_ids, grace=services.grace)
        case Fail(error):
            # The provider would refuse it again, which costs nothing.
            what: Literal["refused", "doubt"] = "refused" if error.charged == "no" else "doubt"
            return Outcome(job_id, attempt, what, grace=services.grace)


def take_back(services: Services, job_id: str, token: str, reason: Reason) -> None:
    """Take back an attempt that was not sent, if it is on record; another one replaces it."""
    jobs = services.ledger.jobs
    record = patiently(partial(jobs.read, job_id), f"job {job_id} was not sent")
    if record is None or record.state is not JobState.SENDING or record.tokens.get(record.attempt) != token:
        return
    logger.error("job %s attempt %d is not sent: %s", job_id, record.attempt, reason["message"])
    pause = services.retries.backoff.base
    patiently(
        partial(jobs.retry, job_id, record.attempt, reason, delay=pause, uncounted=pause, unsent=True),
        f"attempt {record.attempt} of job {job_id} was not sent",
    )


def end_late(services: Services, job_id: str, lease: int) -> None:
    """End a job whose deadline has passed before another attempt could be sent."""
    record = services.ledger.jobs.read(job_id)
    error = too_late(record.last_error if record else None)
    end(services, job_id, error, [JobState.QUEUED], lease=lease)
