"""The results of every edge of the crash matrix."""

from collections.abc import Iterator

from bench.report import table
from tests.crash.matrix import EDGES
from tests.crash.trial import Finding, try_all


def run() -> Iterator[str]:
    """The table, and the log of each job with a broken promise."""
    findings = try_all(EDGES)
    yield from table(
        ["killed", "at", "callbacks", "the job is", "promised", "ended", "seconds", "kept"],
        map(_row, findings),
    )
    broken = [finding for finding in findings if not finding.kept]
    yield f"\n{len(findings)} edges, {len(broken)} promises broken"
    yield from map(str, broken)


def _row(finding: Finding) -> list[object]:
    edge = finding.edge
    return [
        edge.victim,
        ", then ".join(edge.deaths),
        "on" if edge.callbacks else "off",
        edge.way.name,
        " or ".join(sorted(map(str, edge.promise))),
        finding.outcome,
        f"{finding.seconds:.1f}",
        "yes" if finding.kept else "NO",
    ]
