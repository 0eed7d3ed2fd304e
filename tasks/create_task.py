"""``limner.create_task``: send a job's request to the provider.

The dispatcher sends it with a lease. Plain Celery producers send it with the parameters of a TextToImage, and
perhaps some of OPTIONS; it then makes the job, under the Celery task's id, and the dispatcher takes over from
there. The task id serves as idempotency key.
"""

import logging
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

from celery.exceptions import Reject
from pydantic import ValidationError

from config import Settings
from limner.errors import InvalidRequest, JobFailed, NotDurable, StoreUnavailable
from limner.ledger import Grant, Record, Submission, kind_of
from limner.models import TextToImage, faults
from limner.status import JobState
from limner.submission import check_account, prepare
from tasks.commit import SHORT_PATIENCE, patiently
from tasks.decisions import Fail, Follow, LeaveInDoubt, SendAgain, after_create, too_late, without
from tasks.step import step
from tasks.stopwatch import Stopwatch
from worker.application import app
from worker.services import LEASE_MARGIN, Services
from worker.transport import STEP

logger = logging.getLogger(__name__)

BEGIN_PATIENCE = 5.0
MAX_ID_LENGTH = 200
OPTIONS = ("priority", "metadata", "lane", "account", "expires_in")
"""What a plain message may say beside the parameters of its request."""


def tell_the_producer(self: Any, error: Exception, job_id: str, *_: Any) -> None:
    """Store what went wrong with a plain message before it could become a job: somebody waits for it."""
    if not self.request.get(STEP):
        app.services.results.refuse(
            job_id, InvalidRequest(f"limner.create_task cannot be called so: {error}")
        )


# Acknowledged late for plain producers: until their job is on the ledger, the message is all there is.
@step("limner.create_task", acks_late=True, reject_on_worker_lost=True, on_failure=tell_the_producer)
def create_task(self: Any, /, *lease: Any, **parameters: Any) -> None:
    """One attempt of the job with this task's id, or the making of the job."""
    if self.request.get(STEP):
        create(app.services, self.request.id, lease[0])
    else:
        accept(app.services, self.request.id, lease, parameters)


def create(services: Services, job_id: str, lease: int) -> None:
    """Send one attempt, if the lease still holds, and put its outcome on record."""
    ledger = services.ledger
    token = secrets.token_urlsafe(24)
    stopwatch = Stopwatch()
    deadline = services.settings.job_deadline_seconds
    begin = partial(ledger.jobs.begin, job_id, lease, token, deadline=deadline, money=services.money)
    try:
        grant = patiently(begin, f"attempt of job {job_id}", patience=BEGIN_PATIENCE)
    except StoreUnavailable as risk:
        # Perhaps the attempt is on record, and only its answer was lost: then it is taken back.
        cause = "not_durable" if isinstance(risk, NotDurable) else "not_confirmed"
        not_sent(services, job_id, token, {"cause": cause, "message": str(risk)})
        return
    if grant == "stale":
        return
    if grant == "late":
        record = ledger.jobs.read(job_id)
        late = too_late(record.last_error if record else None)
        end(services, job_id, late, [JobState.QUEUED], lease=lease)
        return
    assert isinstance(grant, Grant)  # noqa: S101 - what is left
    if stopwatch.elapsed() > LEASE_MARGIN:
        # The process was stopped, or the machine: its lease may be over, and somebody may have decided.
        not_sent(
            services, job_id, token, {"cause": "overslept", "message": "the worker was stopped meanwhile"}
        )
        return
    if grant.account not in services.providers:
        reason = (
            f"this worker has no key of account {grant.account}: LIMNER_ACCOUNTS must be that of the others"
        )
        not_sent(services, job_id, token, {"cause": "unknown_account", "message": reason})
        return
    request = TextToImage.model_validate_json(grant.request)
    url = callback_url(services.settings, job_id, token)
    answer = services.providers[grant.account].create_task(request, url)
    decision = after_create(
        without(answer, [token]),
        tries=grant.tries,
        max_attempts=services.settings.max_attempts,
        account=grant.account,
        policy=services.policies.of(kind_of(request)),
        backoff=services.backoff,
        pauses=services.pauses,
        random=services.random,
        callback_patience=services.settings.callback_patience_seconds
        if services.settings.callback_url
        else 0.0,
    )
    # What closes an account is news for whoever watches the logs.
    level = logging.WARNING if isinstance(decision, SendAgain) and decision.pause else logging.INFO
    logger.log(level, "job %s attempt %d on account %s: %s", job_id, grant.attempt, grant.account, decision)
    match decision:
        case Follow(task_id, poll_in):
            patiently(
                partial(ledger.jobs.accepted, job_id, grant.attempt, task_id, poll_in=poll_in),
                f"job {job_id} is the provider's task {task_id}",
            )
        case SendAgain(error, delay, pause, unsent):
            patiently(
                partial(
                    ledger.jobs.retry, job_id, grant.attempt, error, delay=delay, pause=pause, unsent=unsent
                ),
                f"attempt {grant.attempt} of job {job_id} was refused",
            )
        case LeaveInDoubt(error):
            patiently(
                partial(ledger.jobs.doubt, job_id, grant.attempt, error, grace=services.grace),
                f"attempt {grant.attempt} of job {job_id} is in doubt",
            )
        case Fail(error, unsent):
            end(services, job_id, error, [JobState.SENDING], attempt=grant.attempt, unsent=unsent)


def callback_url(settings: Settings, job_id: str, token: str) -> str | None:
    """Where the provider tells the end of this attempt's task: the token proves that it speaks of it."""
    if not settings.callback_url:
        return None
    return f"{settings.callback_url}/callbacks/{quote(job_id, safe='')}/{token}"


def not_sent(services: Services, job_id: str, token: str, reason: Mapping[str, Any]) -> None:
    """Take back an attempt that has not been sent; another one is made instead of it."""
    record = patiently(partial(services.ledger.jobs.read, job_id), f"job {job_id} was not sent")
    if record is None or record.state is not JobState.SENDING or record.tokens.get(record.attempt) != token:
        return
    logger.error("job %s attempt %d is not sent: %s", job_id, record.attempt, reason["message"])
    pause = services.backoff.base
    patiently(
        partial(
            services.ledger.jobs.retry,
            job_id,
            record.attempt,
            reason,
            delay=pause,
            uncounted=pause,
            unsent=True,
        ),
        f"attempt {record.attempt} of job {job_id} was not sent",
    )


def end(
    services: Services,
    job_id: str,
    error: JobFailed,
    come_from: list[JobState],
    *,
    lease: int | None = None,
    attempt: int | None = None,
    unsent: bool = False,
) -> None:
    """End a job in an error, and store it as its result."""
    fail = partial(
        services.ledger.jobs.fail,
        job_id,
        error,
        come_from,
        lease=lease,
        attempt=attempt,
        certain=error.charged == "no",
        unsent=unsent,
    )
    if ended := patiently(fail, f"job {job_id} failed: {error}"):
        store(services, ended)


def store(services: Services, ended: Record) -> None:
    """Store a job's result as its record has it; should that not succeed, its lease brings it back."""
    patiently(
        partial(services.results.store, ended, services.ledger),
        f"the result of job {ended.job_id}",
        patience=SHORT_PATIENCE,
    )


def accept(services: Services, job_id: str, positional: tuple[Any, ...], parameters: dict[str, Any]) -> None:
    """Make a job of a plain Celery message; a bad one ends as a FAILURE that names the field."""
    try:
        try:
            new = submission(job_id, positional, parameters)
            known = patiently(partial(services.ledger.jobs.submit, new), f"job {job_id} of a Celery producer")
            check_account(known, new)
        except InvalidRequest as error:
            patiently(
                partial(services.results.refuse, job_id, error), f"message {job_id} is refused: {error}"
            )
    except StoreUnavailable as error:
        raise Reject(error, requeue=True) from error


def submission(job_id: str, positional: tuple[Any, ...], parameters: dict[str, Any]) -> Submission:
    """The submission that a message asks for; raises InvalidRequest."""
    if positional:
        raise InvalidRequest("limner.create_task takes its parameters by name (kwargs), not by position")
    if len(job_id) > MAX_ID_LENGTH or not job_id.isprintable():
        raise InvalidRequest(f"task_id: at most {MAX_ID_LENGTH} printable characters")
    if job_id in (".", ".."):
        raise InvalidRequest("task_id: must not be . or .., which no callback URL can hold")
    fields = dict(parameters)
    options = {name: fields.pop(name) for name in OPTIONS if name in fields}
    try:
        request = TextToImage.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest("; ".join(faults(error))) from None
    return prepare(request, job_id=job_id, **options)
