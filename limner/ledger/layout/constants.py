"""The numbers that scripts know. Those that Python needs as well are imported from here. Times are in
milliseconds."""

from typing import Final

from limner.accounts import MAIN as MAIN
from limner.spending import KEEP_DAYS as KEEP_DAYS
from limner.status import JobState

VERSION: Final = 9
"""The layout of the ledger and of its records. Another one is left to those who can read it."""
LARGEST: Final = 2**53
"""No time, count or amount reaches it: beyond, Lua's numbers are not exact."""
STATES: Final = " ".join(["", *JobState, ""])
"""The states of a job."""
DEEPEST: Final = 50
"""The depth to which JSON may be nested."""
LIMITS: Final = " creates creates_span polls polls_span max_in_flight first_margin "
"""The fields of a quota that are set, and not learned."""
COUNTS: Final = " creates polls max_in_flight limit stride "
"""The fields of a quota that are whole numbers."""
MOST_IMAGES: Final = 1000
"""No request asks for as many images."""
MOST_ATTEMPTS: Final = 1_000_000
"""Attempts of a job. Scripts go through all of them, so an absurd number would stop the server."""
FOR_EVER: Final = 10**15
"""A time that never comes."""
DAY: Final = 86_400_000

KEEP_LOG: Final = 200
"""Entries of a job's log."""
KEEP_EVENTS: Final = 100_000
KEEP_EVENT_SECONDS: Final = 30 * 86_400
"""Entries of the event stream, or some more, and their age."""
USUAL_EVENT: Final = 192
"""Bytes of detail, metadata and namespace that an event may have without counting for the next bound."""
EVENT_PIECE: Final = 2**20
KEEP_PIECES: Final = 16
"""The bytes beyond that in all events: so many pieces of that size, and one more."""

LONGEST_NAP: Final = 1000
"""No dispatcher sleeps longer without asking what is due."""

TURNS: Final = 10**14
"""A priority has so many turns: the place in the queue is (9 - priority) x TURNS + turn."""
TURN_ROOM: Final = 10
ROOM_A_LANE: Final = 4
"""A turn has room for so many jobs, and for so many for each lane that has more than one job waiting. New
lanes then get later turns, although jobs of this one still wait."""
MOST_PASSED: Final = 200
"""Lanes that a claim forgets at most, since no later turn of theirs is known."""

SHORTEST_MARGIN: Final = 10
LONGEST_MARGIN: Final = 5000
"""The bounds of the margin of an account's window, as it is learned."""
SHORTEST_POLL_MARGIN: Final = 30
LONGEST_POLL_MARGIN: Final = 1000
MOST_LATE: Final = 1000
"""The most by which an exchange that dawdled moves its own permit."""
PATIENCE: Final = 60_000
LONGEST_PATIENCE: Final = 1_800_000
"""Until it is tried whether there is more of a quota again that somebody else spends of: at first, and at
most."""
REMEMBERED: Final = 30_000
"""Permits are kept for so long after they have left their window."""
TRY_APART_EVERY: Final = 3_600_000
TRY_NEWER_EVERY: Final = 20_000
"""After so long, a record that could not be read is tried again, and one of a newer version."""
MOST_APART: Final = 100_000
"""Jobs in the list of those that are set apart."""
MOST_TRIED: Final = 200
"""The jobs that are tried again at once when workers register that are new."""
KEEP_DROPPED: Final = 30 * DAY
"""The time to live of a record that a person has dropped, and of a key that was moved away."""
AUDIT: Final = 60_000
"""After so long, a slot in flight is compared with the record of the job that holds it."""
MOST_AUDITED: Final = 100

SIGNAL_PAUSE: Final = 1000
"""Between a poll and the next one, if a callback came in the meantime."""
SIGNALLED: Final = -(10**12)
"""Added to the place of a poll that a callback asks for, so that it goes before all others."""
AHEAD: Final = 60_000
"""Added to the place of a late poll, so that those which somebody waits for go before it."""

MOST_TROUBLES: Final = 20
"""Jobs that are remembered with their trouble; also the most that a breaker may wait for."""
TROUBLES_KEPT: Final = 86_400_000
SHOWN_ANSWERS: Final = 3
"""Answers that a pause shows."""
STALLED: Final = 5_000
"""Without any answer for so long, an account sends no more than it has on the wire. An answer usually takes a
second."""
MOST_STALLED: Final = 3
"""Requests without an answer for so long that show it."""
LONGEST_RAMP: Final = 60_000
"""A ramp ends if no answer comes for so long."""

USUAL_TIME: Final = 900_000
"""The time of a job without an allowance, from its first task on."""
MOST_DOUBTS: Final = 100_000
"""Jobs in the index of doubts."""
PROVEN_GRACE: Final = 900_000
"""The wait for a callback that names the task, after one that only proves the attempt accepted."""
MOST_UNSURE: Final = 4
"""Open tasks of a job that nobody has confirmed."""
MOST_CANDIDATES: Final = 128
"""Task ids of a job that wait for a place among these."""
OWNED: Final = 604_800_000
"""A task is known to be a job's for so long: as long as a callback for it may still come."""
MOST_LOST: Final = 8
"""Lost tasks of a job that nobody had confirmed, and that are remembered."""

MOST_COPIES: Final = 100
"""Images of a job that are copied."""
MOST_UNCOPIED: Final = 100_000
"""Jobs in the list of those whose images could not be copied."""
KEEP_UNCOPIED: Final = 14 * DAY
"""The shortest time to live of a record whose images could not be copied: nobody keeps them for longer."""

MOST_LANES: Final = 100_000
"""Lanes whose spending of a day is known, and fields of what is held and doubtful. Beyond, an amount counts
in all and by account only."""
MANY_LANES: Final = 1000
KEEP_LANES_DAYS: Final = 3
"""The spending by lane of a day with more lanes is kept for so many days."""

TRY_OVER_BUDGET: Final = 50
TRY_OVER_BUDGET_EVERY: Final = 60_000
"""The jobs over budget that a claim tries at most, and how often they are tried."""
MOST_CAPS: Final = 10
"""The caps whose jobs a claim tries at most."""
MOST_EXPIRED: Final = 25
"""The jobs that expire in one claim at most."""
MOST_NAMED: Final = 100
"""The accounts that a refusal names at most."""

CLAIMED_EVERY: Final = 5000
"""Between two updates of when a registration last claimed."""
FEWEST_VISITS: Final = 4
MOST_VISITS: Final = 50
"""The accounts that a claim visits for the common queue at least, if they can send, and in all at most."""
PIECE: Final = 50
"""Entries of an index that are read at a time."""

MAINTAIN_EVERY: Final = 5000
MOST_MAINTAINED: Final = 20
"""The housekeeping of an account comes so often; so many accounts are maintained at once."""
LONGEST_SILENCE: Final = 60_000
"""After so long without a claim, though a worker that claims each second lives, the clock was stepped."""
REGISTRATION_KEPT: Final = 3_600_000
"""A registration that has not claimed for so long is forgotten."""

QUIET: Final = 3000
"""Nothing is sent for so long after another server has taken over. Each worker claims within that time."""

LARGE_UNIT: Final = 10**9
"""The weights of a histogram of durations are divided when a new one is larger."""
