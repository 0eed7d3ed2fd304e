"""The journal: logs, events and what callbacks came to."""

from limner.ledger.journal import UNMATCHED_SECONDS
from limner.ledger.layout.keys import UNMATCHED_CALLBACKS
from tests.integration.limner.ledger.conftest import Bench


def test_a_job_s_log_is_in_the_order_of_what_happened(bench: Bench) -> None:
    job_id = bench.generating()
    assert [entry.event for entry in bench.ledger.journal.log(job_id)] == [
        "submitted",
        "sending",
        "generating",
    ]


def test_events_of_all_jobs_are_read_on_from_where_the_reader_was(bench: Bench) -> None:
    first = bench.submit("a fox")
    [seen] = bench.ledger.journal.events("0")
    assert (seen.job_id, seen.event) == (first, "submitted")
    second = bench.submit("a hen")
    assert [event.job_id for event in bench.ledger.journal.events(seen.id)] == [second]


def test_nothing_new_is_an_empty_answer(bench: Bench) -> None:
    bench.submit()
    assert bench.ledger.journal.events("$", block=0.001) == []


def test_no_more_events_are_read_than_were_asked_for(bench: Bench) -> None:
    for number in range(3):
        bench.submit(f"fox {number}")
    assert len(bench.ledger.journal.events("0", count=2)) == 2


def test_a_callback_for_an_unknown_job_is_kept_for_a_person_and_counted(bench: Bench) -> None:
    bench.ledger.journal.keep_unmatched("gone", "t1")
    [kept] = bench.ledger.journal.unmatched_callbacks()
    assert (kept.job_id, kept.task_id) == ("gone", "t1")
    assert bench.ledger.journal.callback_counts() == {"unknown_job": 1}


def test_unmatched_callbacks_are_forgotten_when_no_more_come(bench: Bench) -> None:
    bench.ledger.journal.keep_unmatched("gone", "t1")
    left = bench.client.ttl(UNMATCHED_CALLBACKS(bench.ledger.prefix))
    assert UNMATCHED_SECONDS - 60 < left <= UNMATCHED_SECONDS


def test_refused_callbacks_are_counted_by_their_reason(bench: Bench) -> None:
    for outcome in ("stale", "slow", "stale"):
        bench.ledger.journal.count_callback(outcome)
    assert bench.ledger.journal.callback_counts() == {"stale": 2, "slow": 1}


def test_each_job_has_a_channel_for_its_end(bench: Bench) -> None:
    assert bench.ledger.journal.channel("j1") == "limner:{main}:ended:j1"
