"""The initial states of the tests of callbacks, doubts and polls."""

from decimal import Decimal

from limner.errors import Cancelled, InDoubt
from limner.ledger import Claim, Grant, Quota
from limner.ledger.record import Record
from limner.status import JobState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench

NO_ANSWER = {"cause": "timeout", "message": "no answer"}
REFUSED = {"cause": "unavailable", "message": "try later"}
NOT_THERE = {"cause": "not_found", "message": "recordInfo is null"}
UNSENT, SENT = Cancelled("unsent"), Cancelled("sent", {"charged": "maybe"})
NO_READS = Quota(20, 10.0, 0, 1.0, 100)
ONE_READ = Quota(20, 10.0, 1, 1.0, 100)


def record(bench: Bench, job_id: str) -> Record:
    found = bench.ledger.jobs.read(job_id)
    assert found
    return found


def in_doubt(bench: Bench, grace: float = 5.0) -> str:
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.doubt(job_id, grant.attempt, NO_ANSWER, grace=grace)
    return job_id


def failed_in_doubt(bench: Bench) -> str:
    job_id = in_doubt(bench)
    assert bench.ledger.jobs.fail(job_id, InDoubt("unknown"), [JobState.IN_DOUBT])
    assert bench.stored(job_id)
    return job_id


def second_attempt(bench: Bench) -> str:
    """A job whose first attempt was refused and whose second, with the token "second", is on the wire."""
    job_id, grant = bench.sending()
    assert bench.ledger.jobs.retry(job_id, grant.attempt, REFUSED, delay=0.0)
    assert isinstance(bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "second", deadline=900), Grant)
    return job_id


def succeed(bench: Bench, job_id: str, task_id: str, cost: Decimal | None = None) -> str:
    return speaking.task_succeeded(bench.ledger, job_id, task_id, [f"https://{task_id}"], cost, ttl=60).what


def recover(bench: Bench, job_id: str) -> Claim:
    [step] = [step for step in bench.claim().steps if step.job_id == job_id]
    assert step.step == "recover"
    return step
