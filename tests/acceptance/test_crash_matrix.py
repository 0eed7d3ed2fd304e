"""A selection of the crash matrix: createTask with callbacks, faults of the way, copies, and some more edges.

``python -m bench crash-matrix`` tries all edges.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

from tests.crash.matrix import (
    COPIED,
    COPIED_LATE,
    CREATE_WITH_CALLBACKS,
    EDGES,
    FAULT_AFTER,
    KEY_REFUSED,
    ODD_ENVELOPE,
    RESUBMITTED,
    SLACK,
    STANDS_STILL,
    WAYS,
    Edge,
    Outcome,
    Victim,
)
from tests.crash.points import POINTS, Crash, Disk, Wire, Write, after, before, unheard
from tests.crash.trial import Finding, try_all, walk_all

WITHOUT_CALLBACKS = {
    Victim.WORKER: {(Wire.ANSWER_READ,), (after(Write.TASK_ENDED),)},
    Victim.VALKEY: {(unheard(Write.BEGIN),), (Wire.REQUEST_SENT,), (unheard(Write.ACCEPTED),)},
}
FAULTS_OF_THE_WAY = {
    (STANDS_STILL, before(Write.RENEW)),
    (KEY_REFUSED, before(Write.BALANCE_READ)),
    (FAULT_AFTER, after(Write.RETRY)),
    (ODD_ENVELOPE, after(Write.DOUBT)),
}
COPIES = {
    (COPIED, (after(Write.BEGIN_COPIES),)),
    (COPIED, (Disk.IMAGE_HALF,)),
    (COPIED, (Disk.THUMBNAIL_HALF, Disk.IMAGE_STAGED)),
    (COPIED, (before(Write.REPORT_COPIES),)),
    (COPIED_LATE, (after(Write.DELIVER),)),
    (COPIED_LATE, (before(Write.STORE_COPIED),)),
}
CHOSEN = [
    *CREATE_WITH_CALLBACKS,
    *(
        edge
        for edge in EDGES
        if edge.victim is Victim.WORKER and (edge.way, edge.deaths[0]) in FAULTS_OF_THE_WAY
    ),
    *(
        edge
        for edge in EDGES
        if edge.deaths in WITHOUT_CALLBACKS[edge.victim] and not edge.callbacks and not edge.way.faults
    ),
    *(edge for edge in EDGES if edge.victim is Victim.WORKER and (edge.way, edge.deaths) in COPIES),
]


@dataclass(frozen=True)
class Seen:
    findings: dict[Edge, Finding]
    points: set[str]


@pytest.fixture(scope="module")
def seen() -> Seen:
    # Both run at the same time, because a trial mostly waits for a lease.
    with ThreadPoolExecutor() as pool:
        findings, points = pool.submit(try_all, CHOSEN), pool.submit(walk_all, WAYS)
        return Seen(dict(zip(CHOSEN, findings.result(), strict=True)), points.result())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("edge", CHOSEN, ids=lambda edge: edge.name)
def test_a_crash_loses_no_job_and_buys_no_second_image(edge: Edge, seen: Seen) -> None:
    assert seen.findings[edge].kept, str(seen.findings[edge])


@pytest.mark.timeout(240)
def test_jobs_pass_every_point(seen: Seen) -> None:
    assert seen.points == POINTS


def test_a_broken_promise_is_detected(seen: Seen) -> None:
    kept = seen.findings[CHOSEN[0]]
    assert not replace(kept, outcome=Outcome("succeeded", 2)).kept
    assert not replace(kept, outcome=Outcome("InDoubt", 1)).kept
    assert not replace(kept, struck=False).kept
    assert not replace(kept, late=SLACK + 0.1).kept
    assert not replace(kept, books=(Decimal(7), Decimal(0))).kept
    assert not replace(kept, copies=("missing: /files/t1_0.png",)).kept


def test_only_the_resubmit_policy_and_an_untrue_500_may_pay_twice() -> None:
    paid_twice = {edge.way for edge in EDGES for outcome in edge.promise if outcome.tasks_bought > 1}
    assert paid_twice == {RESUBMITTED, FAULT_AFTER}
    assert all(outcome.tasks_bought <= 2 for edge in EDGES for outcome in edge.promise)


def test_every_point_is_an_edge_of_the_matrix() -> None:
    assert {point for edge in EDGES for point in edge.deaths} == POINTS


def test_an_unknown_crash_point_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="before lunch"):
        Crash(tmp_path / "trail", "before lunch", None)
