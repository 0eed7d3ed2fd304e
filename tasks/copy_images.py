"""``limner.copy_images``: copy the paid images of a job to the fleet's own storage."""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Any, Final

from config import Settings
from limner.errors import StoreUnavailable
from limner.ledger import COMPLETE, Claim, Record, Shortfall, Stored
from limner.status import Copy, JobState
from tasks.commit import SHORT_PATIENCE, patiently
from tasks.ending import store
from tasks.step import step
from worker.copies.faults import CopyFailed, CopyFault, StepLost
from worker.copies.lifeline import Lifeline
from worker.copies.services import CopyServices
from worker.limits.backoff import Backoff
from worker.services import Services

logger = logging.getLogger(__name__)

RENEW_EVERY: Final = 5.0
"""Seconds between two renewals of the lease, a quarter of it."""
LONGEST_STEP: Final = 900.0
"""Seconds after which a step that hangs is another worker's."""
AT_ONCE: Final = 4
"""Images of a job that are copied side by side, as many as a request can ask for."""
OVERDUE: Final = 21_600.0
"""Seconds after which a person is told of an image that is not copied. The links may be gone after a day
(contract 4)."""


@step("limner.copy_images")
def copy_images(services: Services, _message: Any, /, job_id: str, lease: int) -> None:
    """Copy the images of a job, if this worker has room for it."""
    copies = services.copies
    if copies is None:
        logger.error(
            "the images of job %s are not copied by this worker: its LIMNER_COPY_TO is empty", job_id
        )
    elif not copies.room.enter():
        copies.room.decline()
        services.ledger.queue.give_back([Claim(job_id, "copy", lease)])
    else:
        try:
            copy(services, copies, job_id, lease)
        finally:
            copies.room.leave()


def copy(services: Services, copies: CopyServices, job_id: str, lease: int) -> None:
    """Copy the images that are not stored yet, if the lease still holds, and record what came of it."""
    ledger = services.ledger.copies
    record = ledger.begin(job_id, lease)
    if record is None:
        return
    lease = record.copy_lease

    def make(image: Copy) -> Stored:
        return copies.copier.copy(record, image, partial(ledger.plan, job_id, lease, image.number))

    wanted = [image for image in record.copies if not image.stored]
    with Lifeline(partial(ledger.renew, job_id, lease), every=RENEW_EVERY, longest=LONGEST_STEP):
        stored, failures = side_by_side(make, wanted)
        if any(isinstance(failure, StepLost) for failure in failures):
            return
        put_on_record(services, record, stored, failures)


def side_by_side(
    make: Callable[[Copy], Stored], wanted: Sequence[Copy]
) -> tuple[dict[int, Stored], list[Exception]]:
    """Copy these images; returns those that are stored, by number, and the failures of the others."""
    stored: dict[int, Stored] = {}
    failures: list[Exception] = []
    if len(wanted) == 1:
        _collect(partial(make, wanted[0]), wanted[0], stored, failures)
        return stored, failures
    with ThreadPoolExecutor(AT_ONCE, "limner-copy") as pool:
        begun = [(image, pool.submit(make, image)) for image in wanted]
        for image, copied in begun:
            _collect(copied.result, image, stored, failures)
    return stored, failures


def _collect(
    result: Callable[[], Stored], image: Copy, stored: dict[int, Stored], failures: list[Exception]
) -> None:
    try:
        stored[image.number] = result()
    except (CopyFailed, StepLost, StoreUnavailable) as error:
        failures.append(error)
    except Exception as error:
        # A bug that one image meets must not keep the other ones from being stored.
        logger.exception("image %d of task %s was not copied", image.number, image.task_id)
        failures.append(error)


def put_on_record(
    services: Services,
    record: Record,
    stored: dict[int, Stored],
    failures: Sequence[Exception],
) -> None:
    """Record what came of a try, and store the result of a job that has ended or changed by it."""
    job_id = record.job_id
    left = COMPLETE
    if failures:
        assert record.read_at  # noqa: S101 - read from Redis
        assert record.copy_since  # noqa: S101 - there are copies
        age = (record.read_at - record.copy_since).total_seconds()
        left = shortfall(failures, age, record.copy_tries + 1, services.settings, services.retries.random)
        tell(record, left)
    result = services.results.ahead_copied(record, stored)
    _, changed = patiently(
        partial(
            services.ledger.copies.report,
            job_id,
            record.copy_lease,
            stored,
            left,
            ttl=services.results.record_ttl,
            result=result,
        ),
        f"copies of the images of job {job_id}",
        patience=SHORT_PATIENCE,
    )
    if changed:
        store(services, changed)


def shortfall(
    failures: Sequence[Exception], age: float, tries: int, settings: Settings, random: Random
) -> Shortfall:
    """Decide what follows from a try that has left images uncopied.

    ``age`` is the time in seconds for which the images have been waiting, ``tries`` the number of tries with
    this one. A store that refuses what can be fetched is tried for ever: only a link that is gone for good
    ends the tries.
    """
    first = failures[0]
    gone = all(
        isinstance(failure, CopyFailed) and failure.fault is not CopyFault.STORAGE for failure in failures
    )
    cause = first.fault.value if isinstance(first, CopyFailed) else "internal"
    return Shortfall(
        error={"cause": cause, "message": (str(first) or repr(first))[:500]},
        delay=Backoff(settings.backoff_seconds, settings.copy_backoff_max_seconds).delay(tries, random),
        give_up=age >= settings.copy_give_up_seconds and gone,
        overdue=age >= OVERDUE,
    )


def tell(record: Record, left: Shortfall) -> None:
    """Log what keeps images from being copied, in proportion to the time that is left for it."""
    said = left.error["message"]
    if left.give_up:
        logger.error(
            "the images of job %s could not be copied, and are not tried again: %s; "
            "python -m limner copies --retry %s tries once more",
            record.job_id,
            said,
            record.job_id,
        )
    elif left.overdue and not record.copy_overdue:
        logger.error(
            "the images of job %s are not copied after %.0f h, and their links expire: %s",
            record.job_id,
            OVERDUE / 3600,
            said,
        )
    else:
        level = logging.WARNING if record.state is JobState.COPYING else logging.INFO
        logger.log(
            level, "an image of job %s is copied later, in %.0f s: %s", record.job_id, left.delay, said
        )
