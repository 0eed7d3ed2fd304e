"""The remote control commands of Celery that concern jobs: a revoked job is cancelled.

Celery's own ``revoke`` would have the messages of the job dropped: a task that was paid for would not be
polled any more. These commands replace it in a worker whose remote control is on.
"""

import logging
from typing import Any

from celery.utils.functional import maybe_list
from celery.worker.control import control_command

from limner.errors import RecordUnreadable, StoreUnavailable
from limner.job import cancel

logger = logging.getLogger(__name__)


def install() -> None:
    """Register the commands in this process, in the place of Celery's own."""
    # The registry is one for the process, so that only a process of the fleet may change it.
    ids = {"variadic": "task_id", "signature": "[id1 [id2 [... [idN]]]]"}
    control_command(name="revoke", **ids)(revoke)
    control_command(name="terminate", signature="<signal> [id1 [id2 [... [idN]]]]", variadic="task_id")(
        terminate
    )
    control_command(name="revoke_by_stamped_headers", variadic="headers")(revoke_by_stamped_headers)


def revoke(state: Any, task_id: str | list[str], **_: Any) -> dict[str, str]:
    """Cancel the jobs with these ids. Other ids are ignored."""
    cancelled: list[str] = []
    ignored: list[str] = []
    for job_id in map(str, maybe_list(task_id) or ()):
        try:
            found = cancel(state.app.services.ledger, job_id)
        except (StoreUnavailable, RecordUnreadable) as error:
            logger.warning("job %s is not cancelled: %s", job_id, error)
            return {"error": str(error)}
        (ignored if found is None else cancelled).append(job_id)
    if cancelled:
        logger.info("cancelled by remote control: %s", ", ".join(cancelled))
    return {
        "ok": f"jobs cancelled: {', '.join(cancelled) or 'none'}; no jobs: {', '.join(ignored) or 'none'}"
    }


def terminate(state: Any, task_id: str | list[str], **options: Any) -> dict[str, str]:
    """Cancel the jobs with these ids. No process is ended."""
    return revoke(state, task_id, **options)


def revoke_by_stamped_headers(_state: Any, **_: Any) -> dict[str, str]:
    """Do nothing, because jobs are not found by their stamps."""
    return {"ok": "no jobs: they are revoked by their ids"}
