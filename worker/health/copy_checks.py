"""The storage of copies, and the images that are not copied yet."""

from collections.abc import Iterator
from typing import Final

from config import Settings
from limner.ledger import Ledger
from worker.copies.services import make_fetcher
from worker.copies.storage import StorageError, make_storage
from worker.health.findings import Finding, fail, ok, warn

CHECK: Final = "copies"
LATE: Final = 3600.0
"""Seconds after which images that are not copied are told. Their links may be gone after a day."""


def check_storage(settings: Settings) -> Iterator[Finding]:
    """The storage of LIMNER_COPY_TO: it takes, returns and deletes an object."""
    try:
        storage = make_storage(settings)
        if storage is None:
            yield ok(CHECK, "LIMNER_COPY_TO is not set; the provider's links are gone after about a day")
            return
        make_fetcher(settings)
        storage.check()
    except StorageError as error:
        yield fail(
            CHECK, str(error), "images are copied as soon as it works; until then, links are delivered"
        )
    else:
        yield ok(CHECK, "the storage takes, returns and deletes an object")


def check_copies(ledger: Ledger) -> Iterator[Finding]:
    """The images that are not copied yet, or could not be. Raises StoreUnavailable."""
    with ledger.store.client() as client:
        now = ledger.store.now(client.time())
    if failed := ledger.copies.failed():
        yield warn(
            CHECK,
            f"the images of {_jobs(len(failed))} could not be copied",
            "`python -m limner copies --failed` names them, and --retry tries once more",
        )
    late = [copy for copy in ledger.copies.waiting() if now - copy.since.timestamp() > LATE]
    if late:
        hours = (now - min(copy.since for copy in late).timestamp()) / 3600
        yield warn(
            CHECK,
            f"the images of {_jobs(len(late))} waited to be copied for more than an hour, the oldest for "
            f"{hours:.0f} h",
            "`python -m limner copies` tells why; a worker must read the queue of copies",
        )


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
