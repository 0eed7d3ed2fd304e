"""The moves of workers and persons that copy images, and the promises about copies."""

from dataclasses import replace
from typing import Final

from hypothesis import strategies as st
from hypothesis.stateful import invariant

from limner.ledger import COMPLETE, Claim, Shortfall, Stored
from limner.ledger.record import Record
from limner.models import ImageFile
from limner.status import JobState
from tests.integration.limner.ledger.model.account import ms
from tests.integration.limner.ledger.model.life import Life
from tests.integration.limner.ledger.model.world import DELAYS, SELDOM, WHICH, InHand, World, move, newest

TTL: Final = 86400.0
ERROR: Final = {"cause": "storage", "message": "away"}


def put(number: int) -> Stored:
    file = ImageFile(
        url=f"https://cdn/{number}.png",
        name=f"{number}.png",
        sha256="ab" * 32,
        size=1000,
        content_type="image/png",
        width=64,
        height=48,
    )
    return Stored(file, objects=2, bytes=1024)


class Copying(World):
    """Copies are made beside everything else that happens to a job."""

    def begun(self) -> list[InHand]:
        return [held for held in self.hands if held.what == "begun"]

    @move(
        weight=3,
        when=lambda world: world.messages("copy"),
        which=WHICH,
        off=st.sampled_from([0, 0, 0, 1, -1]),
    )
    def begin_copies(self, which: int, off: int) -> None:
        message = newest(self.messages("copy"), which)
        life, lease = self.lives[message.step.job_id], message.step.lease + off
        record = self.ledger.copies.begin(life.job_id, lease)
        assert (record is not None) == life.may_copy(lease)
        if record:
            life.copy_lease, life.copy_due = lease + 1, self.at(self.ledger.leases.copy)
            assert record.copy_lease == life.copy_lease
            step = replace(message.step, lease=record.copy_lease)
            self.hands.append(InHand(message.worker, step, "begun"))

    @move(when=lambda world: world.begun(), which=WHICH, number=st.sampled_from([None, 1, 2, 3, 9]))
    def an_image_is_fetched(self, which: int, number: int | None) -> None:
        step = newest(self.begun(), which).step
        life, copies = self.lives[step.job_id], self.ledger.copies
        expected = life.may_copy(step.lease)
        if expected:
            life.copy_due = self.at(self.ledger.leases.copy)
        if number is None:
            assert copies.renew(life.job_id, step.lease) == expected
            return
        known = number <= len(life.copies) and not life.copies[number - 1].stored
        assert copies.plan(life.job_id, step.lease, number, put(number).file) == (expected and known)

    # The worker tells of a try once more if the reply is lost.
    @move(
        weight=3,
        when=lambda world: world.begun(),
        which=WHICH,
        whole=st.sampled_from([True, True, False]),
        give_up=SELDOM,
        delay=DELAYS,
        again=SELDOM,
    )
    def the_copies_end(self, which: int, whole: bool, give_up: bool, delay: float, again: bool) -> None:
        step = newest(self.begun(), which).step
        life = self.lives[step.job_id]
        numbers = [number for number, copy in enumerate(life.copies, start=1) if not copy.stored]
        numbers = numbers if whole else numbers[1:]
        left = COMPLETE if whole else Shortfall(ERROR, delay, give_up)
        told = self.report_copies(step, numbers, left)
        if not life.may_copy(step.lease):
            assert told == "stale"
            return
        self.stored_images += len(numbers)
        assert told == life.tried(
            self.now, numbers, delay=ms(delay), give_up=left.give_up, store_lease=ms(self.ledger.leases.store)
        )
        if again:
            assert self.report_copies(step, numbers, left) == "stale"

    def report_copies(self, step: Claim, numbers: list[int], left: Shortfall) -> str:
        stored = {number: put(number) for number in numbers}
        what, record = self.ledger.copies.report(step.job_id, step.lease, stored, left, ttl=TTL)
        assert (record is not None) == (what == "copied")
        return what

    @move(when=lambda world: any(life.copies for life in world.lives.values()), which=WHICH)
    def a_person_retries_copies(self, which: int) -> None:
        life = newest([life for life in self.lives.values() if life.copies], which)
        assert self.ledger.copies.retry(life.job_id) == len(life.uncopied)
        if life.uncopied:
            life.copy_due, life.copy_failed, life.copy_tries = self.now, False, 0
            life.copy_lease += 1

    def copy(self, step: Claim) -> None:
        """Copy all images of a claimed job, without faults."""
        record = self.ledger.copies.begin(step.job_id, step.lease)
        assert record
        numbers = [copy.number for copy in record.copies if not copy.stored]
        assert self.report_copies(replace(step, lease=record.copy_lease), numbers, COMPLETE) != "stale"

    @invariant()
    def the_copies_are_as_the_model_says(self) -> None:
        prefix, lives = self.ledger.prefix, list(self.lives.values())
        with self.client.pipeline(transaction=False) as pipe:
            pipe.zrange(prefix + "copies", 0, -1, withscores=True)
            pipe.zrange(prefix + "copies:failed", 0, -1)
            for life in lives:
                pipe.hgetall(self.ledger.jobs.key(life.job_id))
            due, failed, *records = pipe.execute()
        assert dict(due) == {life.job_id: life.copy_due for life in lives if life.copy_due is not None}
        assert set(failed) == {life.job_id for life in lives if life.copy_failed}
        for life, fields in zip(lives, records, strict=True):
            self.check_copies(life, Record.from_hash(life.job_id, fields))

    def check_copies(self, life: Life, record: Record) -> None:
        assert [(copy.task_id, copy.url, copy.stored) for copy in record.copies] == [
            (copy.task_id, copy.url, copy.stored) for copy in life.copies
        ]
        assert (record.copied, record.copy_lease) == (life.copied, life.copy_lease)
        assert record.copy_tries == life.copy_tries
        # No image is lost: somebody copies it, or a person is told.
        assert bool(life.uncopied) == (life.copy_due is not None or life.copy_failed)
        assert life.index == "due" or life.state is not JobState.COPYING
        if record.state is JobState.SUCCEEDED:
            images = record.images()
            assert images.copied == record.copied
            assert not images.copied or len(images.files) == len(images.urls)

    @invariant()
    def stored_images_are_counted_once(self) -> None:
        keys = [key for key in self.client.keys(self.ledger.prefix + "money:*") if not key.endswith("held")]
        counts = [int(self.client.hget(key, "copied_objects") or 0) for key in keys]
        assert sum(counts) == 2 * self.stored_images
