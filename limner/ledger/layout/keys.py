"""The keys of the ledger. All begin with ``PREFIX:{GROUP}:``, which contains one hash tag. The prefix of a
fleet is ``limner`` unless LIMNER_PREFIX names another one."""

from dataclasses import dataclass
from typing import Final

from limner.ledger.layout.constants import KEEP_EVENTS, KEEP_LOG


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or with ``of`` a family of them: what follows the name is a job's id, an account, and so on."""

    name: str
    kind: str
    holds: str
    of: str = ""

    def __call__(self, prefix: str, *of: object) -> str:
        """The key itself."""
        return "".join((prefix, self.name, *map(str, of)))


JOB: Final = Key("job:", "hash", "the record", "ID")
LOG: Final = Key("log:", "list", f"the history of the job, the last {KEEP_LOG} entries", "ID")
DUE: Final = Key("due", "sorted set", "jobs by the time at which something must happen to them")
READY: Final = Key("ready", "sorted set", "jobs that wait for a permit to be sent, by priority and turn")
READY_OF: Final = Key("ready:", "sorted set", "the same, for jobs that name their account", "ACCOUNT")
READY_POLLS: Final = Key("ready:polls:", "sorted set", "jobs that wait for a permit to be polled", "ACCOUNT")
OVER_BUDGET: Final = Key(
    "over-budget", "sorted set", "caps that have no money left, by the time of the next check"
)
OVER_BUDGET_OF: Final = Key(
    "over-budget:", "sorted set", "jobs that wait for the money of a cap, by priority and turn", "CAP"
)
TURNS_NOW: Final = Key("turns:now", "hash", "the current turn of each priority")
LANES: Final = Key("lanes:", "sorted set", "the last turn of each lane", "PRIORITY")
LANES_WAITING: Final = Key("lanes:waiting:", "hash", "the number of unsent jobs of each lane", "PRIORITY")
EXPIRING: Final = Key("expiring", "sorted set", "jobs by the time after which they are not sent")
COPIES: Final = Key("copies", "sorted set", "jobs with images to be copied, by the time of the next try")
COPIES_FAILED: Final = Key(
    "copies:failed", "sorted set", "jobs whose images could not be copied, by the time of giving up"
)
ACTIVE: Final = Key(
    "active", "sorted set", "accounts that have something of their own to do, by the time of it"
)
OPEN: Final = Key("open", "sorted set", "accounts by the time at which they may send again")
MAINTAINED: Final = Key("maintained", "sorted set", "accounts by the time of their last housekeeping")
REGISTRATIONS: Final = Key(
    "registrations", "sorted set", "groups of workers with the same settings, by the time of their last claim"
)
REGISTRATION: Final = Key(
    "registration:", "hash", "the accounts that such a group serves, with the names of their keys", "DIGEST"
)
WINDOW_CREATE: Final = Key(
    "window:create:", "sorted set", "permits to send, by the time at which they count", "ACCOUNT"
)
WINDOW_ANSWER: Final = Key(
    "window:answer:", "sorted set", "answers, by the time at which they came", "ACCOUNT"
)
WINDOW_POLL: Final = Key(
    "window:poll:", "sorted set", "permits to poll, by the time at which they count", "ACCOUNT"
)
IN_FLIGHT: Final = Key(
    "in-flight:", "sorted set", "jobs that hold a slot, by the time of its next audit", "ACCOUNT"
)
ACCOUNTS: Final = Key("accounts", "set", "the accounts that workers have served")
QUOTA: Final = Key("quota:", "hash", "an account's limits, as set and as learned", "ACCOUNT")
PAUSE: Final = Key("pause:", "hash", "the cause and the state of an account's pause", "ACCOUNT")
TROUBLES: Final = Key(
    "troubles:",
    "hash",
    "the jobs that met trouble on the way since the last acceptance, with the answers",
    "ACCOUNT",
)
WAY_CLOSED: Final = Key("closed-for-the-way", "set", "the accounts that are closed for trouble on the way")
CHECKS: Final = Key("checks", "string", "the number of the last request for a balance")
DURATIONS: Final = Key("durations:", "hash", "the durations of tasks of a kind", "KIND")
MONEY_HELD: Final = Key("money:held", "hash", "the amounts held and doubtful now, in millionths of a credit")
MONEY: Final = Key(
    "money:", "hash", "the amounts spent and the copies made on a day; days are counted from 1970", "DAY"
)
MONEY_LANES: Final = Key("money:lanes:", "hash", "the amount that each lane spent on such a day", "DAY")
KEY: Final = Key("key:", "string", "the id of the job of an idempotency key", "DIGEST")
TAKEN: Final = Key("taken:", "string", "the time and the digest of the job that a message has become", "ID")
TASK_OF: Final = Key("task:", "string", "the id of the job that the provider's task is certainly of", "TASK")
DOUBTS: Final = Key("doubts", "sorted set", "jobs with an attempt in doubt, by the start of the doubt")
APART: Final = Key("apart", "sorted set", "jobs whose records cannot be read, by the time since")
APART_FAULTS: Final = Key("apart:faults", "hash", "the fault of each of these records")
CALLBACKS: Final = Key("callbacks", "hash", "the number of callbacks, by outcome")
UNMATCHED_CALLBACKS: Final = Key("unmatched_callbacks", "stream", "callbacks for unknown jobs")
LETTERS: Final = Key("letters", "stream", "messages that were set aside, with the reason of each")
FLEET_KEY: Final = Key("fleet-key", "string", "the key of the marks on the fleet's own messages")
WAKEUP: Final = Key("wakeup", "list", "an entry wakes one sleeping dispatcher")
EVENTS: Final = Key(
    "events", "stream", f"every transition, with the job's metadata; the last {KEEP_EVENTS:,} or so"
)
EVENTS_EXCESS: Final = Key(
    "events:excess", "hash", "the bytes of large events, by which the stream is bounded as well"
)
ENDED: Final = Key("ended:", "channel", "a message when the job has ended", "ID")
MARK: Final = Key("mark", "string", "written before WAITAOF, which then waits for all earlier writes")
DAMAGED: Final = Key("damaged:", "any", "a key that had another type than the ledger's", "KEY")
TICKS: Final = Key("ticks", "hash", "the last tick that beat has submitted, for each entry of the schedule")
EPOCH: Final = Key("epoch", "hash", "what shows that the data was emptied, or has gone back")
EPOCH_KNOWN: Final = Key("epoch:known", "set", "the lost attempts that workers have named, by number")

LAYOUT: Final = Key("layout", "string", "the version of the layout; another one is refused")

KEYS: Final = {name: key for name, key in globals().items() if isinstance(key, Key)}
"""By the name that scripts and Python have for each."""


def prefix_of(prefix: str, group: str) -> str:
    """The beginning of a group's keys, in a fleet with this prefix."""
    return f"{prefix}:{{{group}}}:"
