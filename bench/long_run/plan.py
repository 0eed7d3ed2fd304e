"""The plan of a long run: its size, its faults and its settings."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from bench.fleets import ROOMY

__all__ = ["FAULT_ATTEMPTS", "HMAC_KEY", "WITHHELD", "Kill", "Plan"]

FAULT_ATTEMPTS: Final = 3
"""LIMNER_FAULT_ATTEMPTS: the most tasks that may be charged for one job."""
HMAC_KEY: Final = "long-run-webhook-key"
WITHHELD: Final = frozenset({"callback_lost", "callback_bad_signature", "callback_unsigned"})
"""The fates of a callback that is lost, or that a receiver must not believe."""


class Kill(StrEnum):
    """The processes that are killed (SIGKILL) and restarted at once, and what else befalls Redis."""

    WORKER = "worker"
    RECEIVER = "callback receiver"
    VALKEY = "Valkey"
    FAILOVER = "failover of Valkey behind its service address"
    BUSY = "Valkey is busy with a slow script"


_ROUND: Final = (Kill.WORKER, Kill.WORKER, Kill.RECEIVER, Kill.VALKEY)
_ROUND_OF_FAILOVERS: Final = (Kill.WORKER, Kill.WORKER, Kill.RECEIVER, Kill.FAILOVER, Kill.BUSY)


@dataclass(frozen=True)
class Plan:
    """The parameters of a run, in seconds. ``seed`` decides the tasks' fates and the order of kills."""

    jobs: int = 100_000
    seed: int = 3
    workers: int = 2
    outstanding: int = 2000
    """The most jobs that are submitted and have not ended."""
    wave: int = 250
    jobs_between_kills: int = 500
    jobs_between_cancels: int = 50
    duration: float = 0.15
    """The stand-in's duration of a task."""
    request_timeout: float = 2.0
    spacing: float = 2.0
    """The first pause before a failed callback is retried.

    The last retry comes after 7 times as long, which is longer than any outage.
    """
    patience: float = 16.0
    """LIMNER_CALLBACK_PATIENCE_SECONDS: longer than a callback is retried, shorter than ``late``."""
    late: float = 20.0
    """The delay of a late callback."""
    grace: float = 40.0
    """LIMNER_IN_DOUBT_SECONDS: longer than the latest callback."""
    final_wait: float = 60.0
    """The time for late results after the last job has ended."""
    stall: float = 120.0
    """The time without any job's end after which the remaining jobs count as lost."""
    failovers: bool = False
    """True if Valkey has a replica behind a service address, fails over, and is busy now and then, instead
    of being killed."""
    busy: float = 3.0
    """The time that a slow script takes."""

    def kills(self) -> Iterator[Kill]:
        """An endless sequence of kills, each kind as frequent as in a round."""
        rng = random.Random(self.seed)
        kinds = _ROUND_OF_FAILOVERS if self.failovers else _ROUND
        while True:
            yield from rng.sample(kinds, len(kinds))

    @property
    def settings(self) -> dict[str, str]:
        """The LIMNER_* variables."""
        return {
            **ROOMY,
            # Enough for the 1 in 12 jobs that wait for a time-out or the patience at full speed. More would
            # create tasks in bursts that exceed the stand-in's callback rate on a small machine.
            "LIMNER_MAX_IN_FLIGHT": "250",
            # One createTask in 25 is refused by chance and pauses the account, so the pauses are short.
            "LIMNER_BACKOFF_SECONDS": "0.05",
            "LIMNER_BACKOFF_MAX_SECONDS": "0.5",
            "LIMNER_PAUSE_SECONDS": "0.05",
            "LIMNER_PAUSE_MAX_SECONDS": "0.2",
            "LIMNER_FAULT_ATTEMPTS": str(FAULT_ATTEMPTS),
            "LIMNER_IMAGES_SECONDS": "20",
            "LIMNER_REQUEST_TIMEOUT_SECONDS": str(self.request_timeout),
            "LIMNER_CALLBACK_HMAC_KEY": HMAC_KEY,
            "LIMNER_CALLBACK_PATIENCE_SECONDS": str(self.patience),
            "LIMNER_IN_DOUBT": "fail",
            "LIMNER_IN_DOUBT_SECONDS": str(self.grace),
            "LIMNER_COPY_PLAIN_HOSTS": "127.0.0.1",
            "LIMNER_COPY_PATIENCE_SECONDS": "5",
            "LIMNER_COPY_BACKOFF_MAX_SECONDS": "2",
            "LIMNER_COPY_MAX_MB": "1",
        }

    @property
    def faults(self) -> dict[str, Any]:
        """The stand-in's faults: one createTask in eight is answered wrongly or not at all.

        The jobs of ``bench.long_run.oddities`` meet others.
        """
        return {
            # refused, and no task exists
            "create_429": 0.03,
            "create_455": 0.01,
            "create_500": 0.02,
            # no clear answer, and no task exists
            "drop_before_accept": 0.005,
            "html_before": 0.005,
            # the task exists and is billed, but its id is not returned
            "accept_then_drop": 0.01,
            "slow_answer": {"probability": 0.01, "seconds": self.request_timeout + 2},
            "html_after": 0.01,
            "no_task_id": 0.003,
            "truncated_json": 0.003,
            "reset_mid_body": 0.003,
            "create_500_after": 0.005,
            "task_fail": 0.01,
            "record_500": 0.01,
            "record_html": 0.01,
            "record_drop": 0.01,
            "record_null_seconds": {"probability": 0.02, "seconds": 1.0},
            "callback_lost": 0.02,
            "callback_bad_signature": 0.01,
            "callback_unsigned": 0.01,
            "callback_late": {"probability": 0.02, "seconds": self.late},
            "callback_duplicate": 0.03,
            "callback_early": 0.03,
            "callback_before_terminal": 0.03,
            "callback_task_id": 0.2,
            "callback_tampered": 0.03,
            "balance_odd": {"probability": 0.5, "variant": "text"},
            # one download in eight
            "file_404": 0.01,
            "file_html": 0.01,
            "file_truncated": 0.02,
            "file_403": 0.01,
            "file_expired": 0.02,
            "file_slow": {"probability": 0.01, "seconds": 1.0},
            "file_type": 0.01,
            "file_redirect": 0.01,
            "file_huge": 0.001,
            "file_gzip": 0.01,
            "file_changed": 0.02,
            "link_odd": 0.1,
        }

    @property
    def provider(self) -> dict[str, Any]:
        """The options of the stand-in."""
        return {
            "duration": self.duration,
            "creates": 0,
            "reads": 0,
            "credits": 1e9,
            "seed": self.seed,
            "callback_spacing": self.spacing,
            "file_size": "small",
        }
