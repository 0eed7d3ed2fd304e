"""A job whose images are to be copied, and the steps of a worker."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from limner.errors import Cancelled
from limner.ledger import COMPLETE, BackendResult, Claim, Record, Shortfall, Stored, TaskEnd
from limner.ledger.scripts.reports import TaskSucceeded
from limner.models import ImageFile
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.stories import record

PATIENCE: Final = 30.0
TTL: Final = 60.0
DAY: Final = 86_400.0
AWAY: Final = Shortfall({"cause": "storage", "message": "the bucket is away"}, 5.0)
GONE: Final = Shortfall({"cause": "link", "message": "404"}, 5.0, give_up=True)
UNSENT, SENT = Cancelled("unsent"), Cancelled("sent", {"charged": "maybe"})
TWO: Final = ("https://a/1.png", "https://a/2.png")


def image(number: int = 1, size: int = 1000) -> ImageFile:
    return ImageFile(
        url=f"https://cdn/{number}.png",
        name=f"{number}.png",
        sha256="ab" * 32,
        size=size,
        content_type="image/png",
        width=64,
        height=48,
    )


def put(*numbers: int) -> dict[int, Stored]:
    """These images are in the storage, each with a thumbnail of 24 bytes."""
    return {number: Stored(image(number), objects=2, bytes=1024) for number in numbers}


def made(
    bench: Bench, job_id: str, urls: Sequence[str] = TWO, *, copy: float | None = PATIENCE, task: str = ""
) -> TaskEnd:
    """A task of the job has made images, which are copied."""
    return speaking.report(
        bench.ledger,
        TaskSucceeded(
            job_id=job_id,
            task_id=task or bench.task_id(job_id),
            urls=urls,
            cost=Decimal(7),
            ttl=TTL,
            copy=copy,
        ),
    )


def copying(bench: Bench, urls: Sequence[str] = TWO) -> str:
    job_id = bench.generating()
    assert made(bench, job_id, urls).what == "copying"
    return job_id


def delivered(bench: Bench) -> str:
    """A job that has succeeded before its images are copied, and whose result is stored."""
    job_id = bench.generating()
    assert made(bench, job_id, copy=0.0).what == "ended"
    assert bench.stored(job_id, ttl=TTL)
    return job_id


def claim(bench: Bench, copies: int = 8) -> list[Claim]:
    return bench.ledger.queue.claim(bench.quota, copies=copies).steps


def begin(bench: Bench) -> Record:
    """Claim the one job whose images are due, and begin its copies."""
    [step] = [step for step in claim(bench) if step.step == "copy"]
    found = bench.ledger.copies.begin(step.job_id, step.lease)
    assert found
    return found


def report(
    bench: Bench,
    begun: Record,
    stored: dict[int, Stored],
    left: Shortfall = COMPLETE,
    result: BackendResult | None = None,
) -> str:
    what, _ = bench.ledger.copies.report(begun.job_id, begun.copy_lease, stored, left, ttl=TTL, result=result)
    return what


def due(bench: Bench, job_id: str, index: str = "copies") -> float | None:
    """Seconds until the job is due in that index."""
    score = bench.client.zscore(bench.ledger.prefix + index, job_id)
    return None if score is None else round(float(score) / 1000 - bench.now, 3)


def lasts(bench: Bench, job_id: str) -> float | None:
    """Seconds for which the record is kept, or None for ever."""
    left = bench.client.pttl(bench.ledger.jobs.key(job_id))
    log = bench.client.pttl(f"{bench.ledger.prefix}log:{job_id}")
    assert (left < 0) == (log < 0)
    return None if left < 0 else float(left) / 1000


def files(bench: Bench, job_id: str) -> tuple[list[str], bool]:
    images = record(bench, job_id).images()
    return [file.name for file in images.files], images.copied
