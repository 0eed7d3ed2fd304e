"""The leases of copies, and the reports of what came of them."""

from dataclasses import replace

from limner.ledger import Grant
from tests.integration.limner.ledger.conftest import Bench, new
from tests.integration.limner.ledger.copying import (
    AWAY,
    DAY,
    begin,
    claim,
    copying,
    due,
    image,
    made,
    put,
    report,
)
from tests.integration.limner.ledger.stories import record

# Leases


def test_nobody_else_copies_while_the_lease_lasts(bench: Bench) -> None:
    job_id = copying(bench)
    [step] = claim(bench)
    assert (step.step, due(bench, job_id)) == ("copy", bench.ledger.leases.copy)
    assert claim(bench) == []


def test_begun_copies_cannot_be_given_back_or_begun_again(bench: Bench) -> None:
    copying(bench)
    [step] = claim(bench)
    assert bench.ledger.copies.begin(step.job_id, step.lease)
    assert bench.ledger.copies.begin(step.job_id, step.lease) is None
    assert bench.ledger.queue.give_back([step]) == 0


def test_copies_that_are_given_back_are_due(bench: Bench) -> None:
    job_id = copying(bench)
    [step] = claim(bench)
    assert bench.ledger.queue.give_back([step]) == 1
    assert due(bench, job_id) == 0.0


def test_the_lease_is_renewed(bench: Bench) -> None:
    job_id = copying(bench)
    begun = begin(bench)
    bench.now += 15.0
    assert bench.ledger.copies.renew(job_id, begun.copy_lease)
    assert due(bench, job_id) == bench.ledger.leases.copy


def test_a_step_whose_lease_is_over_is_another_workers(bench: Bench) -> None:
    job_id = copying(bench)
    first = begin(bench)
    bench.now += bench.ledger.leases.copy
    second = begin(bench)
    assert not bench.ledger.copies.renew(job_id, first.copy_lease)
    assert not bench.ledger.copies.plan(job_id, first.copy_lease, 1, image())
    assert report(bench, first, put(1, 2)) == "stale"
    assert report(bench, second, put(1, 2)) == "copied"


def test_a_worker_without_room_claims_no_copies(bench: Bench) -> None:
    for prompt in ("one", "two", "three"):
        job_id = bench.generating(prompt)
        assert made(bench, job_id).what == "copying"
    assert claim(bench, copies=0) == []
    assert len(claim(bench, copies=2)) == 2


def test_a_planned_object_is_on_record_before_it_is_stored(bench: Bench) -> None:
    job_id = copying(bench)
    begun = begin(bench)
    assert bench.ledger.copies.plan(job_id, begun.copy_lease, 2, image(2))
    [first, second] = record(bench, job_id).copies
    assert (first.file, second.file, second.stored) == (None, image(2), False)


def test_a_stored_or_unknown_image_is_not_planned(bench: Bench) -> None:
    job_id = copying(bench)
    assert report(bench, begin(bench), put(1), AWAY) == "noted"
    bench.now += 5.0
    begun = begin(bench)
    assert not bench.ledger.copies.plan(job_id, begun.copy_lease, 1, image(9))
    assert not bench.ledger.copies.plan(job_id, begun.copy_lease, 3, image(9))
    assert record(bench, job_id).copies[0].file == image(1)


# Reports


def test_a_repeated_report_changes_nothing(bench: Bench) -> None:
    """Its first reply was lost."""
    job_id = copying(bench)
    begun = begin(bench)
    assert [report(bench, begun, put(1), AWAY) for _ in range(2)] == ["noted", "stale"]
    assert record(bench, job_id).copy_tries == 1
    assert bench.events(job_id).count("not_copied") == 1
    assert not bench.ledger.copies.renew(job_id, begun.copy_lease)
    assert due(bench, job_id) == 5.0


def test_a_person_is_told_once_that_copies_are_overdue(bench: Bench) -> None:
    job_id = copying(bench)
    for _ in range(3):
        report(bench, begin(bench), {}, replace(AWAY, overdue=True))
        bench.now += 5.0
    assert bench.events(job_id).count("copy_overdue") == 1


def test_what_is_stored_is_counted_once(bench: Bench) -> None:
    copying(bench)
    report(bench, begin(bench), put(1), AWAY)
    bench.now += 5.0
    report(bench, begin(bench), put(1, 2))
    key = f"{bench.ledger.prefix}money:{int(bench.now // DAY)}"
    assert bench.client.hmget(key, "copied_objects", "copied_bytes") == ["4", "2048"]


def test_a_day_on_which_nothing_else_was_booked_is_forgotten_as_well(bench: Bench) -> None:
    copying(bench)
    bench.now += DAY
    begun = begin(bench)
    report(bench, begun, put(1), AWAY)
    key = f"{bench.ledger.prefix}money:{int(bench.now // DAY)}"
    assert bench.client.hgetall(key) == {"copied_objects": "2", "copied_bytes": "1024"}
    assert bench.client.ttl(key) > 0


def test_the_event_tells_how_much_was_stored(bench: Bench) -> None:
    job_id = copying(bench)
    report(bench, begin(bench), put(1, 2))
    [copied] = [entry for entry in bench.ledger.journal.log(job_id) if entry.event == "copied"]
    assert copied.detail == {"images": 2, "size": 2000}


def test_the_events_are_those_of_the_namespace(bench: Bench) -> None:
    prepared = replace(new(metadata={"order": 7}), namespace="shop")
    job_id = bench.ledger.jobs.submit(prepared).job_id
    grant = bench.ledger.jobs.begin(job_id, bench.claim_one().lease, "token", deadline=900)
    assert isinstance(grant, Grant)
    assert bench.ledger.jobs.accepted(job_id, grant.attempt, "t1", poll_in=2.0)
    made(bench, job_id)
    report(bench, begin(bench), put(1, 2))
    events = bench.client.xrange(bench.ledger.prefix + "events")
    told = {fields["event"]: fields for _, fields in events}
    for name in ("copying", "copied", "succeeded"):
        assert (told[name]["namespace"], told[name]["metadata"]) == ("shop", '{"order":7}')
