"""The keys that have no time to live, with what bounds each. All other keys have one."""

from dataclasses import dataclass
from typing import Final

from limner.ledger.layout import keys
from limner.ledger.layout.constants import KEEP_EVENTS, MOST_APART, MOST_DOUBTS, MOST_LANES, MOST_UNCOPIED
from limner.ledger.layout.keys import Key


@dataclass(frozen=True, slots=True)
class Lasting:
    """Keys without a time to live, and their bound."""

    keys: tuple[Key, ...]
    bound: str
    why: str


OF_JOBS: Final = Lasting(
    (keys.JOB, keys.LOG, keys.KEY),
    "the jobs that have not ended, or have something left to be done",
    "each gets a time to live when nothing is left to be done",
)
LASTING: Final = (
    OF_JOBS,
    Lasting(
        (
            keys.DUE,
            keys.READY,
            keys.READY_OF,
            keys.READY_POLLS,
            keys.OVER_BUDGET,
            keys.OVER_BUDGET_OF,
            keys.LANES,
            keys.LANES_WAITING,
            keys.EXPIRING,
            keys.COPIES,
            keys.IN_FLIGHT,
        ),
        "an entry for each of these jobs at most",
        "an entry goes with the step, or with the end of the job",
    ),
    Lasting((keys.DOUBTS,), f"{MOST_DOUBTS:,} entries", "the oldest one gives way"),
    Lasting((keys.APART, keys.APART_FAULTS), f"{MOST_APART:,} entries", "the oldest one gives way"),
    Lasting((keys.COPIES_FAILED,), f"{MOST_UNCOPIED:,} entries", "the oldest one gives way"),
    Lasting(
        (keys.EVENTS, keys.EVENTS_EXCESS),
        f"{KEEP_EVENTS:,} entries, and 45 MB",
        "the oldest entries give way, and those of more than 30 days",
    ),
    Lasting(
        (keys.MONEY_HELD,),
        f"two fields for each account, and {MOST_LANES:,} more",
        "a lane without an amount is forgotten",
    ),
    Lasting(
        (
            keys.ACCOUNTS,
            keys.QUOTA,
            keys.PAUSE,
            keys.WAY_CLOSED,
            keys.ACTIVE,
            keys.OPEN,
            keys.MAINTAINED,
        ),
        "2 KB for each account that was ever served",
        "what was learned about an account outlasts its workers",
    ),
    Lasting(
        (keys.WINDOW_CREATE, keys.WINDOW_ANSWER, keys.WINDOW_POLL),
        "the requests of the account's window and of 35 s more",
        "the housekeeping removes older ones",
    ),
    Lasting(
        (keys.REGISTRATIONS, keys.REGISTRATION),
        "the accounts of the settings that workers had in the last hour",
        "the housekeeping removes older ones",
    ),
    Lasting(
        (
            keys.TURNS_NOW,
            keys.CHECKS,
            keys.CALLBACKS,
            keys.FLEET_KEY,
            keys.WAKEUP,
            keys.MARK,
            keys.LAYOUT,
        ),
        "20 short values",
        "their number is fixed",
    ),
    Lasting(
        (keys.EPOCH, keys.EPOCH_KNOWN),
        "12 short values, and a number for each attempt of a loss of data",
        "the numbers are forgotten a day after the last one is known",
    ),
    Lasting((keys.TICKS,), "an entry for each of the schedule", "beat removes the others when it starts"),
)
