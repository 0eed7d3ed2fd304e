"""Any interleaving of the moves of producers, dispatchers, workers and the provider, checked by a model."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.model.attempts import BROKE, CAPPED, Attempts
from tests.integration.limner.ledger.model.checks import Checks
from tests.integration.limner.ledger.model.tasks import PATIENCE, Tasks
from tests.integration.limner.ledger.model.world import ENOUGH, MOVES, STORIES

SETTINGS = settings(STORIES, max_examples=100, stateful_step_count=40)

LOST_ONES = "claim begin doubt forged-1 claim lose " + " ".join(f"forged-{n} lose" for n in range(2, 10))

CANDIDATES = "claim begin doubt " + " ".join(f"forged-{n}" for n in range(1, 9))

COPIES = [
    "claim begin accept claim paid claim copy",
    "claim begin accept claim paid claim copy put store",
    "claim begin accept claim paid claim copy part claim copy",
    "claim begin accept claim paid claim copy give-up claim deliver",
    "claim begin accept claim paid claim copy give-up retry claim copy",
    "claim begin accept claim paid lapse deliver store claim copy put",
    "claim begin accept claim paid person claim copy",
    "claim begin accept claim paid claim cancel copy",
    "claim begin accept claim cancel store claim paid claim copy",
]

# Beginnings that chance would hardly produce: all steps of one job. Chance continues from there.
BEGINNINGS = [
    "",
    "claim",
    "claim begin",
    "claim begin accept",
    "claim begin accept claim",
    "claim begin accept claim poll callback",
    "claim begin accept claim cancel store",
    "claim begin lapse hold hold",
    "claim begin doubt callback claim",
    "claim begin doubt forged-1 forged-2 forged-3 forged-4",
    "claim begin doubt claim hold",
    "claim begin doubt claim hold callback",
    "claim begin doubt claim resubmit claim begin doubt claim",
    "claim begin doubt claim fail store callback claim",
    "claim begin doubt claim fail store callback claim succeed store",
    "claim begin doubt claim resubmit claim begin doubt claim resubmit",
    "claim begin doubt claim fail store callback tick succeed old-store",
    "claim begin doubt callback claim starve lose",
    "claim begin refuse begin",
    "claim begin refuse claim begin accept claim succeed store callback-1 claim succeed",
    "claim begin stop resume begin accept-1 stop",
    "claim begin refuse claim begin callback-1",
    "claim begin refuse claim begin callback-1 refuse",
    "claim begin refuse callback claim lose",
    "claim begin doubt decide callback accept claim lose",
    "claim begin refuse person claim lose claim begin doubt person lose",
    "claim begin doubt decide claim begin callback-1 refuse claim lose decide",
    "claim begin refuse claim begin callback-1 older-forged accept-known",
    "claim begin refuse claim begin callback-1 doubt accept-known",
    "claim begin callback claim lose decide claim begin callback-1 break doubt accept-known",
    "claim begin doubt forged-1 callback claim break lose-1",
    "claim begin doubt forged-1 forged-2 forged-3 forged-4 person",
    "claim begin doubt callback claim poll",
    "claim begin doubt decide claim begin doubt person claim poll-1",
    "claim begin fault cancel",
    "claim begin doubt decide redecide claim begin doubt redecide",
    "claim begin refuse claim begin uncounted",
    *COPIES,
    LOST_ONES,
    "claim begin refuse claim begin callback-1 stop",
    "claim begin refuse claim begin callback-1 reject",
    "claim begin refuse claim begin callback-1 doubt",
    "claim begin stop resume begin stop",
    "claim begin stop resume begin doubt",
    "claim begin stop resume begin callback accept",
    "claim begin broke resume poor resume rich resume begin",
    "claim begin unsent claim begin",
    CANDIDATES,
    CANDIDATES + " claim poll claim unfound claim unfound claim lose lose break",
    "claim begin fault unreadable",
    "claim begin fault claim unreadable begin",
    "claim begin doubt unreadable claim resubmit",
    "claim begin unreadable refuse",
    "claim begin refuse forged-1 unreadable claim lose",
    "claim begin refuse claim begin unreadable-1 accept",
]
REFUSAL: dict[str, Any] = {
    "delay": 0.0,
    "pause": None,
    "uncounted": None,
    "doubtful": False,
    "unsent": False,
}
PLAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "claim": ("claim", {"worker": 0, "after": 0.0, "quota": ENOUGH, "lost": False}),
    "tick": ("claim", {"worker": 0, "after": 1.0, "quota": ENOUGH, "lost": False}),
    "lapse": ("claim", {"worker": 0, "after": 30.0, "quota": ENOUGH, "lost": False}),
    "resume": ("claim", {"worker": 0, "after": 60.0, "quota": ENOUGH, "lost": False}),
    "starve": ("claim", {"worker": 0, "after": 30.0, "quota": replace(ENOUGH, polls=0), "lost": False}),
    "begin": ("begin", {"same_token": False, "off": 0, "lost": False}),
    "refuse": ("the_provider_refuses", REFUSAL),
    "fault": ("the_provider_refuses", {**REFUSAL, "doubtful": True}),
    "uncounted": ("the_provider_refuses", {**REFUSAL, "uncounted": 3.0}),
    "stop": ("the_provider_refuses", {**REFUSAL, "pause": CAPPED}),
    "broke": ("the_provider_refuses", {**REFUSAL, "pause": BROKE}),
    "unsent": ("the_provider_refuses", {**REFUSAL, "unsent": True}),
    "poor": ("the_balance_is_read", {"balance": 0}),
    "rich": ("the_balance_is_read", {"balance": 100}),
    "reject": ("the_attempt_fails", {}),
    "accept": ("the_provider_accepts", {"whose": "its own", "poll_in": 0.0}),
    "accept-1": ("the_provider_accepts", {"which": 1, "whose": "its own", "poll_in": 0.0}),
    "accept-known": ("the_provider_accepts", {"whose": "known", "poll_in": 0.0}),
    "doubt": ("the_answer_is_lost", {"grace": 0.0, "pause": None}),
    "hold": ("recover", {"policy": "hold"}),
    "deliver": ("recover", {"policy": "hold"}),
    "fail": ("recover", {"policy": "fail"}),
    "resubmit": ("recover", {"policy": "resubmit"}),
    "callback": ("a_callback_comes", {"forged": None}),
    "callback-1": ("a_callback_comes", {"which": 1, "forged": None}),
    **{f"forged-{number}": ("a_callback_comes", {"forged": number}) for number in range(1, 10)},
    "older-forged": ("a_callback_comes", {"which": 1, "forged": 1}),
    "unreadable": ("a_callback_cannot_be_read", {}),
    "unreadable-1": ("a_callback_cannot_be_read", {"which": 1}),
    "unfound": ("the_task_is_not_ready", {"off": 0, "delay": 0.0, "seen": "unnamed"}),
    "poll": ("the_task_is_not_ready", {"off": 0, "delay": 0.0, "seen": "task"}),
    "poll-1": ("the_task_is_not_ready", {"off": 0, "delay": 0.0, "seen": "attempt 1"}),
    "paid": (
        "the_task_has_ended",
        {"index": 0, "result": "succeeded", "seen": "task", "copy": PATIENCE},
    ),
    "copy": ("begin_copies", {"off": 0}),
    "put": ("the_copies_end", {"whole": True, "give_up": False, "delay": 0.0, "again": False}),
    "part": ("the_copies_end", {"whole": False, "give_up": False, "delay": 0.0, "again": False}),
    "give-up": ("the_copies_end", {"whole": False, "give_up": True, "delay": 0.0, "again": False}),
    "retry": ("a_person_retries_copies", {}),
    "succeed": ("the_task_has_ended", {"index": 0, "result": "succeeded", "seen": "task"}),
    "lose": ("the_task_has_ended", {"index": 0, "result": "lost", "seen": "task"}),
    "lose-1": ("the_task_has_ended", {"index": 1, "result": "lost", "seen": "task"}),
    "break": ("the_task_has_ended", {"index": 0, "result": "unpaid", "seen": "task"}),
    "person": ("a_person_adopts", {"found": False}),
    "redecide": ("a_person_resubmits", {"about": "the last decision"}),
    "decide": ("a_person_resubmits", {"about": "the doubt"}),
    "store": ("stored", {"follow": 0.0, "old": False}),
    "old-store": ("stored", {"follow": 0.0, "old": True}),
}


class Fleet(Attempts, Tasks, Checks):
    """Producers, two dispatchers and two workers whose messages may be lost, late, stale or repeated."""

    # Hypothesis omits some rules in each run if there are many, and no job gets far without one of these.
    @rule(data=st.data())
    def something_happens(self, data: st.DataObject) -> None:
        names = [name for name, move in MOVES.items() for _ in range(move.weight) if move.possible(self)]
        chosen = MOVES[data.draw(st.sampled_from(names), label="move")]
        chosen.play(self, **data.draw(chosen.arguments, label="with"))

    @initialize(lives=st.lists(st.sampled_from(BEGINNINGS), min_size=2, max_size=4))
    def jobs_are_under_way(self, lives: list[str]) -> None:
        # Jobs that only wait come last. Otherwise they would be claimed with the others.
        for number, life in enumerate(sorted(lives, key=len, reverse=True)):
            job_id = f"job-{number}"
            self.submit(job_id, None, "fox")
            for play in life.split():
                if play == "cancel":
                    self.cancel(job_id)
                    continue
                name, arguments = PLAYS[play]
                if MOVES[name].possible(self):
                    MOVES[name].play(self, **{"which": 0, **arguments} if name != "claim" else arguments)


# After a failure, finding the shortest failing example takes minutes.
@pytest.mark.timeout(600)
def test_no_interleaving_breaks_a_promise(bench: Bench) -> None:
    run_state_machine_as_test(lambda: Fleet(bench.client), settings=SETTINGS)  # type: ignore[arg-type]
