"""The ledger: the record of every job in Redis, and the only way to change it.

Private to Limner. This module is its face: nobody outside imports a module of this folder.
"""

from limner.configuration import Durability
from limner.ledger.copies import COMPLETE, Shortfall, Stored
from limner.ledger.durations import USUAL, Durations, Kind, kind_of
from limner.ledger.ledger import Ledger
from limner.ledger.letters import Unfit
from limner.ledger.memory import Memory
from limner.ledger.messages import (
    Adoption,
    Caps,
    Claim,
    Claimed,
    Closing,
    Grant,
    Leases,
    Loss,
    Money,
    Quota,
    Step,
    Submission,
    Submitted,
)
from limner.ledger.queue import LONGEST_NAP
from limner.ledger.record import Record, TaskEnd, doubt_of
from limner.ledger.scripts.reports import (
    BackendResult,
    Polled,
    Report,
    TaskFailed,
    TaskLost,
    TaskSucceeded,
    believed,
)
from limner.ledger.store import Reading

__all__ = [
    "COMPLETE",
    "LONGEST_NAP",
    "USUAL",
    "Adoption",
    "BackendResult",
    "Caps",
    "Claim",
    "Claimed",
    "Closing",
    "Durability",
    "Durations",
    "Grant",
    "Kind",
    "Leases",
    "Ledger",
    "Loss",
    "Memory",
    "Money",
    "Polled",
    "Quota",
    "Reading",
    "Record",
    "Report",
    "Shortfall",
    "Step",
    "Stored",
    "Submission",
    "Submitted",
    "TaskEnd",
    "TaskFailed",
    "TaskLost",
    "TaskSucceeded",
    "Unfit",
    "believed",
    "doubt_of",
    "kind_of",
]
