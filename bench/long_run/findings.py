"""The findings of a long run, and the promises that it breaks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from bench.long_run.plan import FAULT_ATTEMPTS, Kill
from bench.report import quantile, table
from tests.copies import Comparison

__all__ = ["Findings"]

ADOPTED_GOAL: Final = 0.995
RESCUE_GOAL: Final = 30.0


@dataclass(frozen=True)
class Findings:
    """Counts of jobs or of the provider's tasks, with times in seconds. The sets contain job ids."""

    jobs: int
    pace: float
    """Jobs a second until nine in ten had ended."""
    outcomes: Counter[str]
    """Jobs by ``succeeded`` or the class of their error."""
    lost: frozenset[str]
    """Jobs that have not ended, or are missing from our ledger."""
    double_billed: frozenset[str]
    """Jobs with more than one billed task, where the fleet could have known."""
    deceived: frozenset[str]
    """Jobs billed twice because the provider refused a task that it made nevertheless.

    The refusal was a well-formed 500, and the callback was later than LIMNER_CALLBACK_PATIENCE_SECONDS.
    """
    beyond: frozenset[str]
    """Jobs with more billed tasks than LIMNER_FAULT_ATTEMPTS."""
    off_the_books: frozenset[str]
    """Jobs with a billed task that our ledger neither knows nor has as a possible cost."""
    faulted: frozenset[str]
    """Jobs that were sent again after a 500."""
    remade: frozenset[str]
    """Jobs whose task was bought again after one failed."""
    charged: Decimal
    """The credits that the provider charged."""
    booked: Decimal
    """The credits that our ledger has as spent or possible."""
    pauses: Mapping[str, int]
    """The number of times that the account was closed, by cause."""
    lost_answers: int
    """Tasks whose id reached our ledger in no answer: lost on the wire, or with a killed worker."""
    adopted: int
    """Lost answers whose task is in our ledger."""
    lost_answers_called_back: int
    """Lost answers whose task had an authentic callback that was not lost."""
    adopted_called_back: int
    missed: frozenset[str]
    """Jobs whose record lacks such a task, in spite of its callback."""
    unknown_billed: int
    """Billed tasks that are missing from our ledger."""
    undelivered: frozenset[str]
    """Jobs that failed although a task in our ledger has succeeded."""
    unfinished: frozenset[str]
    """Jobs with a task that our ledger still has as open."""
    wrong: frozenset[str]
    """Jobs whose result differs, in URLs or credits, from every task of the provider for them."""
    deluded: frozenset[str]
    """Jobs with a task that the provider has not made for them: a forged callback was believed."""
    images: Counter[str]
    """The images of paid tasks that our ledger knows, by what became of their jobs."""
    copies: Comparison
    """The comparison of the folder with these images."""
    forged: int
    outages: Mapping[Kill, Sequence[float]]
    """For each SIGKILL, the seconds until the process was ready again."""
    held: int
    """Steps that killed workers had taken and not ended."""
    rescues: Sequence[float] = field(repr=False)
    """For each unfinished step of these, the seconds for which its job stood still."""
    callbacks: Mapping[str, int]
    """The receiver's counts of callbacks by outcome."""

    def violations(self) -> list[str]:
        """The broken promises, each with examples; empty for a good run."""
        broken = [
            f"{name}: {len(jobs)} ({', '.join(sorted(jobs)[:3])})"
            for name, jobs in (
                ("lost", self.lost),
                ("double-billed", self.double_billed),
                ("billed more often than LIMNER_FAULT_ATTEMPTS", self.beyond),
                ("off the books", self.off_the_books),
                ("paid for and not delivered", self.undelivered),
                ("still open", self.unfinished),
                ("wrong results", self.wrong),
                ("forgeries believed", self.deluded),
                ("paid images that are not stored", self.copies.missing),
                ("paid images that are stored twice", self.copies.doubled),
                ("objects with wrong bytes", self.copies.wrong),
                ("objects of nothing", self.copies.foreign),
            )
            if jobs
        ]
        if self.charged > self.booked:
            broken.append(f"charged: {self.charged} credits, on the books {self.booked}")
        if self.adopted_share < ADOPTED_GOAL:
            broken.append(f"adopted: {self.adopted_share:.2%} ({', '.join(sorted(self.missed)[:3])})")
        if self.rescues and quantile(self.rescues, 0.99) > RESCUE_GOAL:
            broken.append(f"rescue: {quantile(self.rescues, 0.99):.1f} s at p99")
        return broken

    @property
    def adopted_share(self) -> float:
        """The share of adopted tasks among lost answers with a delivered callback."""
        return self.adopted_called_back / (self.lost_answers_called_back or 1)

    def tables(self) -> Iterator[str]:
        """The findings as Markdown tables."""
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
                [f"billed more than {FAULT_ATTEMPTS} times", len(self.beyond), "0"],
                ["sent again after a 500", len(self.faulted), ""],
                ["a failed task bought again", len(self.remade), ""],
                ["jobs with a billed task that is not on the books", len(self.off_the_books), "0"],
                ["credits charged by the provider", self.charged, ""],
                ["credits on our books, spent or possible", self.booked, "no less"],
                ["lost answers to createTask", self.lost_answers, ""],
                ["of these adopted", f"{self.adopted} ({share:.2%})", ""],
                ["lost answers whose callback was not lost too", self.lost_answers_called_back, ""],
                ["of these adopted", f"{self.adopted_called_back} ({self.adopted_share:.2%})", "99.5 %"],
                ["tasks billed that our ledger does not know", self.unknown_billed, ""],
                ["jobs failed in spite of a known task that succeeded", len(self.undelivered), "0"],
                ["jobs with a task still on record as open", len(self.unfinished), "0"],
                ["results that differ from the provider's", len(self.wrong), "0"],
                ["paid images", self.images.total(), ""],
                *[[f"of {kind}", count, ""] for kind, count in sorted(self.images.items())],
                ["not stored", len(self.copies.missing), "0"],
                ["stored more than once", len(self.copies.doubled), "0"],
                ["objects that are cut off, or have other bytes", len(self.copies.wrong), "0"],
                ["objects that belong to no image", len(self.copies.foreign), "0"],
                ["forged callbacks sent", self.forged, ""],
                ["jobs changed by them", len(self.deluded), "0"],
            ],
        )
        yield "\nThe account was closed:\n"
        yield from table(["cause", "times"], sorted(self.pauses.items()))
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
