"""Where a job stands in the lines, as ``lua/shared/lines.lua`` keeps them."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from limner.accounts import Accounts
from limner.connection import store_errors
from limner.forecast import Room
from limner.scripts import moment

_TURNS: Final = 1e14
"""How many turns a priority has; ``queue_up`` in ``lua/shared/lines.lua`` counts so."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A queued job's turn, and what there is for it. Times are in seconds since the epoch."""

    now: float
    claimed: bool
    """A permit is given already."""
    over_budget: bool
    """It waits for money, and nobody can tell when there is some."""
    before: int
    """Jobs of the common line whose turn comes first."""
    account: str | None
    """The only account that will do."""
    due: float
    """The end of its back-off; 0 if there is none."""
    rooms: list[Room]


class Lines(Accounts):
    """The places of jobs that wait to be sent."""

    def place(self, job_id: str) -> tuple[int | None, datetime | None]:
        """The job's place in the line for quota, 1 being next, and when it is due; None for neither.

        It is exact in the common line. A job that names an account shares that one's permits with the common
        line: the jobs that go first there are counted, whichever account will take them.
        """
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            pipe.hget(self.record_key(job_id), "pinned")
            pipe.zrank(self._line(None), job_id)
            pipe.zscore(self.prefix + "due", job_id)
            pinned, rank, due = pipe.execute()
        if pinned:
            rank = self._own_rank(job_id, pinned)
        return None if rank is None else rank + 1, None if due is None else moment(round(due))

    def _own_rank(self, job_id: str, account: str) -> int | None:
        own = self._line(account)
        with store_errors(self._redis):
            score = self._redis.zscore(own, job_id)
            if score is None:
                return None
            with self._redis.pipeline(transaction=False) as pipe:
                pipe.zrank(own, job_id)
                pipe.zcount(self._line(None), "-inf", f"({score:.0f}")
                ahead, before = pipe.execute()
        return None if ahead is None else int(ahead + before)

    def _line(self, account: str | None) -> str:
        common = self.prefix + "line:create"
        return f"{common}:{account}" if account else common

    def turn(self, job_id: str) -> Turn:
        """What a forecast for a queued job begins with."""
        names = ("priority", "turn", "pinned", "place", "over")
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            pipe.hmget(self.record_key(job_id), names)
            pipe.zscore(self.prefix + "due", job_id)
            answer: Any = pipe.execute()
        (priority, turn, pinned, place, over), due = answer
        score = (9 - int(priority or 0)) * _TURNS + int(turn or 0)
        now, rooms = self.rooms(score)
        with store_errors(self._redis), self._redis.pipeline(transaction=False) as pipe:
            # Lanes have turns in common: among equal ones, only the rank tells who is first.
            pipe.zrank(self._line(pinned), job_id)
            pipe.zcount(self._line(None), "-inf", f"({score:.0f}")
            rank, before = pipe.execute()
        if pinned:
            rooms = [replace(room, ahead=rank or 0) if room.account == pinned else room for room in rooms]
        elif rank is not None:
            before = rank
        return Turn(
            now=now,
            claimed=place is not None,
            over_budget=over is not None,
            before=before,
            account=pinned,
            due=(due or 0.0) / 1000,
            rooms=rooms,
        )
