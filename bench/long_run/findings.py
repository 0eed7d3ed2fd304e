"""What a long run has come to, and which promises it breaks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.long_run.plan import Kill
from bench.report import quantile, table

__all__ = ["Findings"]

ADOPTED_GOAL: Final = 0.995
RESCUE_GOAL: Final = 30.0


@dataclass(frozen=True)
class Findings:
    """Counts of jobs or of the provider's tasks; times in seconds. The names of the sets are job ids."""

    jobs: int
    pace: float
    """Jobs a second, until nine in ten had ended."""
    outcomes: Counter[str]
    """Jobs by ``succeeded`` or the class of their error."""
    lost: frozenset[str]
    """Jobs without an end, or unknown to our ledger."""
    double_billed: frozenset[str]
    """Jobs for which more than one task was billed, though that could be known."""
    deceived: frozenset[str]
    """Jobs billed twice because the provider refused, with a well-formed 500, a task that it had made all the
    same, and kept its callback back for longer than LIMNER_CALLBACK_PATIENCE_SECONDS."""
    lost_answers: int
    """Tasks whose id no answer to createTask has brought home: lost on the way, or with a killed worker."""
    adopted: int
    """Of these, the tasks that our ledger knows."""
    lost_answers_called_back: int
    """Lost answers whose task had a callback that was not lost as well, or wrongly signed."""
    adopted_called_back: int
    missed: frozenset[str]
    """Jobs that do not know such a task, in spite of its callback."""
    unknown_billed: int
    """Tasks that were billed and that our ledger does not know."""
    undelivered: frozenset[str]
    """Jobs that failed although a task that our ledger knows has succeeded."""
    unfinished: frozenset[str]
    """Jobs that still have a task on record as open."""
    wrong: frozenset[str]
    """Jobs whose result is not that of a task which the provider made for them, in URLs or credits."""
    deluded: frozenset[str]
    """Jobs that know a task which the provider has not made for them: a forged callback was believed."""
    forged: int
    outages: Mapping[Kill, Sequence[float]]
    """For each SIGKILL, the seconds until what was killed was ready again."""
    held: int
    """Steps that killed workers had in hand."""
    rescues: Sequence[float] = field(repr=False)
    """For each of them that was not over: how long its job stood still."""
    callbacks: Mapping[str, int]
    """What the receiver made of what it got."""

    def violations(self) -> list[str]:
        """The promises that were broken, each with examples; none is what a run is for."""
        broken = [
            f"{what}: {len(jobs)} ({', '.join(sorted(jobs)[:3])})"
            for what, jobs in (
                ("lost", self.lost),
                ("double-billed", self.double_billed),
                ("paid for and not delivered", self.undelivered),
                ("still open", self.unfinished),
                ("wrong results", self.wrong),
                ("forgeries believed", self.deluded),
            )
            if jobs
        ]
        if self.adopted_share < ADOPTED_GOAL:
            broken.append(f"adopted: {self.adopted_share:.2%} ({', '.join(sorted(self.missed)[:3])})")
        if self.rescues and quantile(self.rescues, 0.99) > RESCUE_GOAL:
            broken.append(f"rescue: {quantile(self.rescues, 0.99):.1f} s at p99")
        return broken

    @property
    def adopted_share(self) -> float:
        """Adopted tasks in lost answers whose callback was not lost too."""
        return self.adopted_called_back / (self.lost_answers_called_back or 1)

    def tables(self) -> Iterator[str]:
        """All of it, in Markdown."""
        share = self.adopted / (self.lost_answers or 1)
        yield from table(
            ["measured", "", "promised"],
            [
                ["jobs", self.jobs, ""],
                ["jobs a second, until nine in ten had ended", self.pace, ""],
                *[[f"ended: {outcome}", count, ""] for outcome, count in self.outcomes.most_common()],
                ["lost: no end, or unknown to our ledger", len(self.lost), "0"],
                ["billed more than once", len(self.double_billed), "0"],
                [
                    "the same, after a refusal of a task that existed, its callback withheld",
                    len(self.deceived),
                    "",
                ],
                ["lost answers to createTask", self.lost_answers, ""],
                ["of these adopted", f"{self.adopted} ({share:.2%})", ""],
                ["lost answers whose callback was not lost too", self.lost_answers_called_back, ""],
                ["of these adopted", f"{self.adopted_called_back} ({self.adopted_share:.2%})", "99.5 %"],
                ["tasks billed that our ledger does not know", self.unknown_billed, ""],
                ["jobs failed in spite of a known task that succeeded", len(self.undelivered), "0"],
                ["jobs with a task still on record as open", len(self.unfinished), "0"],
                ["results that differ from the provider's", len(self.wrong), "0"],
                ["forged callbacks sent", self.forged, ""],
                ["jobs changed by them", len(self.deluded), "0"],
            ],
        )
        yield "\nSIGKILLs, and how long what was killed took to be ready again:\n"
        yield from table(
            ["killed", "times", "p50, s", "max"],
            [
                [kind, len(times), quantile(times, 0.5), max(times)]
                for kind, times in sorted(self.outages.items())
            ],
        )
        if self.rescues:
            yield "\nFrom a worker's SIGKILL to the next entry on the log of each job that it had in hand:\n"
            p50, p99, longest = (quantile(self.rescues, q) for q in (0.5, 0.99, 1.0))
            yield from table(
                ["steps in hand", "not over", "p50, s", "p99", "max", "promised at p99"],
                [[self.held, len(self.rescues), p50, p99, longest, "30 s"]],
            )
        yield "\nWhat the receiver made of the callbacks:\n"
        yield from table(["outcome", "callbacks"], sorted(self.callbacks.items()))
