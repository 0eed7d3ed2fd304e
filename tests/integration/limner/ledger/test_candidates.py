"""Invented task ids: whoever has seen a callback URL can name any number of them."""

import json
from itertools import pairwise
from typing import Any

import pytest

from limner.ledger import Quota
from limner.ledger.layout.constants import MOST_CANDIDATES, MOST_LOST, MOST_UNSURE
from limner.ledger.messages import Adoption
from limner.status import JobState
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench
from tests.integration.limner.ledger.stories import NOT_THERE, failed_in_doubt, in_doubt, record, succeed

INVENTED = [f"{number:032x}" for number in range(100)]
TRUE = "3f0c9a5be1d24772a86b1d0e5c94f1aa"
LONG = 12_000
"""Bytes that a record with all its candidates may have: 128 ids of 32 characters."""


def name_all(bench: Bench, job_id: str, task_ids: list[str]) -> None:
    for task_id in task_ids:
        assert bench.ledger.jobs.called_back(job_id, "token", task_id) is Adoption.ADOPTED


def poll(bench: Bench, job_id: str) -> str:
    """Let the job's next poll not find its task; returns the task."""
    [step] = [step for step in bench.claim(Quota(0, 1, 10, 1.0, 100)).steps if step.job_id == job_id]
    polled = speaking.begin_poll(bench.ledger, job_id, step.lease)
    assert polled
    assert polled.open_task
    task_id = polled.open_task.task_id
    if task_id != TRUE:
        assert speaking.polled(bench.ledger, job_id, step.lease, "no record", poll_in=7.0, task_id=task_id)
    return task_id


def polls_until_true(bench: Bench, job_id: str) -> list[str]:
    """Poll until the true task's turn comes, and let it deliver; returns the tasks in their order."""
    polled: list[str] = []
    while TRUE not in polled:
        polled.append(poll(bench, job_id))
        bench.now += 1.0
    return polled


def waiting(bench: Bench, job_id: str) -> list[dict[str, Any]]:
    told = bench.client.hget(bench.ledger.jobs.key(job_id), "candidates")
    return json.loads(told) if told else []


def size(bench: Bench, job_id: str) -> int:
    fields = bench.client.hgetall(bench.ledger.jobs.key(job_id))
    return sum(len(name) + len(value) for name, value in fields.items())


@pytest.mark.parametrize("before", [0, 50, 97, 100])
def test_a_hundred_invented_ids_do_not_hide_the_true_one(bench: Bench, before: int) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, [*INVENTED[:before], TRUE, *INVENTED[before:]])
    assert size(bench, job_id) < LONG
    polled = polls_until_true(bench, job_id)
    assert len(polled) == len(set(polled)), "an id was polled twice before all were polled once"
    assert succeed(bench, job_id, TRUE) == "ended"
    assert (bench.state(job_id), bench.task_id(job_id)) == ("succeeded", TRUE)


def test_a_true_id_that_comes_last_is_polled_first(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, [*INVENTED, TRUE])
    assert polls_until_true(bench, job_id) == [TRUE]


def test_a_true_id_that_no_poll_has_found_yet_has_its_turn_again(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, INVENTED[:10])
    order = [poll_and_wait(bench, job_id, 7.0) for _ in range(20)]
    assert sorted(order[:10]) == sorted(INVENTED[:10])
    assert order[10:] == order[:10]


def poll_and_wait(bench: Bench, job_id: str, wait: float) -> str:
    task_id = poll(bench, job_id)
    bench.now += wait
    return task_id


def test_ids_that_were_not_polled_yet_are_polled_every_second_and_others_at_the_policy_s_pace(
    bench: Bench,
) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, INVENTED[:6])
    at = []
    for _ in range(8):
        while bench.indexes(job_id) != ["ready:polls:main"]:
            bench.now += 1.0
            bench.claim(Quota(0, 1, 0, 1.0, 100))
        at.append(bench.now)
        poll(bench, job_id)
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert pauses == [1.0] * 5 + [7.0] * 2


def test_a_lost_id_gives_its_place_to_the_next(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, [*INVENTED[:20], TRUE, *INVENTED[20:30]])
    lost = 0
    while (at := record(bench, job_id).open_task) and at.task_id != TRUE:
        assert (
            speaking.task_lost(bench.ledger, job_id, at.task_id, NOT_THERE, grace=5.0, ttl=60).what == "noted"
        )
        lost += 1
        assert bench.state(job_id) == "generating"
    assert lost <= 30
    kept = record(bench, job_id)
    assert kept.wrong_ids == lost
    assert len(kept.tasks) <= MOST_UNSURE + MOST_LOST
    assert succeed(bench, job_id, TRUE) == "ended"


def test_the_job_is_in_doubt_again_when_all_ids_are_lost(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, INVENTED)
    for _ in INVENTED:
        at = record(bench, job_id).open_task
        assert at
        speaking.task_lost(bench.ledger, job_id, at.task_id, NOT_THERE, grace=5.0, ttl=60)
    assert (bench.state(job_id), waiting(bench, job_id)) == ("in_doubt", [])
    assert record(bench, job_id).wrong_ids == len(INVENTED)
    told = [entry.detail["count"] for entry in bench.ledger.journal.log(job_id) if entry.event == "wrong_ids"]
    assert told == [10, 100]


def test_the_record_is_bounded_and_the_ids_that_are_dropped_are_counted(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, [f"{number:032x}" for number in range(1000)])
    assert len(waiting(bench, job_id)) == MOST_CANDIDATES
    assert size(bench, job_id) < LONG
    assert record(bench, job_id).wrong_ids == 1000 - MOST_CANDIDATES - MOST_UNSURE
    name_all(bench, job_id, [TRUE])
    assert polls_until_true(bench, job_id) == [TRUE]


def test_an_id_that_was_polled_in_vain_is_dropped_before_one_that_was_not(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, [f"{number:032x}" for number in range(MOST_CANDIDATES + MOST_UNSURE)])
    tried = poll(bench, job_id)
    assert waiting(bench, job_id)[-1]["id"] == tried
    name_all(bench, job_id, [TRUE])
    assert tried not in {candidate["id"] for candidate in waiting(bench, job_id)}
    assert record(bench, job_id).wrong_ids == 1


def test_an_id_that_waits_and_is_named_again_is_polled_next(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, [TRUE, *INVENTED, TRUE])
    assert [candidate["id"] for candidate in waiting(bench, job_id)].count(TRUE) == 0
    assert polls_until_true(bench, job_id) == [TRUE]


def test_a_person_s_word_needs_no_place(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, [TRUE, *INVENTED])
    assert bench.ledger.jobs.adopt(job_id, TRUE) is Adoption.ADOPTED
    assert len(record(bench, job_id).tasks) == MOST_UNSURE + 1
    assert polls_until_true(bench, job_id) == [TRUE]


def test_a_task_that_had_to_make_room_while_it_was_polled_delivers(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, [TRUE, *INVENTED[:10]])
    assert TRUE in {candidate["id"] for candidate in waiting(bench, job_id)}
    assert succeed(bench, job_id, TRUE) == "ended"
    assert bench.state(job_id) == "succeeded"


def test_ids_of_an_attempt_whose_task_is_known_are_not_polled(bench: Bench) -> None:
    job_id = in_doubt(bench)
    name_all(bench, job_id, INVENTED[:10])
    assert bench.ledger.jobs.accepted(job_id, 1, TRUE, poll_in=0.0) is Adoption.ADOPTED
    while open_task := record(bench, job_id).open_task:
        if open_task.task_id == TRUE:
            succeed(bench, job_id, TRUE)
            bench.stored(job_id)
        else:
            speaking.task_lost(bench.ledger, job_id, open_task.task_id, NOT_THERE, grace=5.0, ttl=60)
    assert (bench.state(job_id), waiting(bench, job_id)) == ("succeeded", [])
    assert record(bench, job_id).wrong_ids == 10
    assert bench.indexes(job_id) == []


def test_invented_ids_of_a_job_that_has_failed_do_not_hide_the_true_one(bench: Bench) -> None:
    job_id = failed_in_doubt(bench)
    name_all(bench, job_id, [*INVENTED[:50], TRUE, *INVENTED[50:]])
    polls_until_true(bench, job_id)
    assert succeed(bench, job_id, TRUE) == "late"
    assert record(bench, job_id).state is JobState.SUCCEEDED


def test_wrong_ids_for_a_known_task_are_counted_and_told(bench: Bench) -> None:
    job_id = bench.generating()
    for task_id in INVENTED:
        assert bench.ledger.jobs.called_back(job_id, "token", task_id) is Adoption.MISMATCHED
    assert record(bench, job_id).wrong_ids == 100
    assert bench.events(job_id) == ["submitted", "sending", "generating", "wrong_ids", "wrong_ids"]
    assert bench.ledger.journal.callback_counts() == {"mismatched": 100}


# A task is the result of one job


def confirmed(bench: Bench, prompt: str) -> str:
    """A job whose task TRUE a poll has confirmed."""
    job_id, grant = bench.sending(prompt)
    bench.ledger.jobs.called_back(job_id, "token", TRUE)
    [step] = bench.claim(Quota(0, 1, 10, 1.0, 100)).steps
    assert speaking.polled(
        bench.ledger,
        job_id,
        step.lease,
        "waiting",
        poll_in=60.0,
        task_id=TRUE,
        sure=True,
        attempt=grant.attempt,
    )
    return job_id


@pytest.mark.parametrize("by", ["callback", "person"])
def test_the_task_of_another_job_is_not_adopted(bench: Bench, by: str) -> None:
    owner = confirmed(bench, "the owner's")
    job_id, grant = bench.sending("another's")
    bench.ledger.jobs.doubt(job_id, grant.attempt, NOT_THERE, grace=5.0)
    told = (
        bench.ledger.jobs.called_back(job_id, "token", TRUE)
        if by == "callback"
        else bench.ledger.jobs.adopt(job_id, TRUE)
    )
    assert told is Adoption.MISMATCHED
    assert (bench.state(job_id), record(bench, job_id).tasks) == ("in_doubt", ())
    assert bench.ledger.jobs.called_back(owner, "token", TRUE) is Adoption.EXPECTED


def test_a_task_is_known_to_be_a_job_s_for_a_time(bench: Bench) -> None:
    job_id = confirmed(bench, "the owner's")
    key = f"{bench.ledger.prefix}task:{TRUE}"
    assert bench.client.get(key) == job_id
    assert 0 < bench.client.pttl(key) <= 7 * 86_400_000
