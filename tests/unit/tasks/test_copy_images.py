"""The decision about what follows from a try to copy images. The step itself is tested on real stores."""

from random import Random

import pytest

from config import Settings
from limner.errors import StoreUnavailable
from tasks.copy_images import OVERDUE, shortfall
from worker.copies.faults import CopyFailed, CopyFault

TWO_DAYS = 172_800.0
SETTINGS = Settings(redis_url="redis://127.0.0.1:1/0", copy_to="file:///srv/images")

LINK = CopyFailed(CopyFault.LINK, "the host answers 404")
PICTURE = CopyFailed(CopyFault.PICTURE, "no image came: an HTML page")
STORAGE = CopyFailed(CopyFault.STORAGE, "LIMNER_COPY_TO: no bucket images")


def test_the_error_names_the_part_of_the_way() -> None:
    left = shortfall([STORAGE, LINK], 1.0, 1, SETTINGS, Random(1))
    assert left.error == {"cause": "storage", "message": "LIMNER_COPY_TO: no bucket images"}
    assert not left.give_up
    assert not left.overdue


def test_a_bug_is_told_by_its_type_if_it_has_no_message() -> None:
    left = shortfall([ValueError()], 1.0, 1, SETTINGS, Random(1))
    assert left.error == {"cause": "internal", "message": "ValueError()"}


@pytest.mark.parametrize(("tries", "longest"), [(1, 2.0), (2, 4.0), (5, 32.0), (50, 300.0), (10_000, 300.0)])
def test_the_pause_is_jittered_below_a_bound_that_doubles(tries: int, longest: float) -> None:
    delays = [shortfall([LINK], 1.0, tries, SETTINGS, Random(seed)).delay for seed in range(200)]
    assert longest * 0.9 < max(delays) <= longest
    assert min(delays) < longest * 0.1


def test_a_person_is_told_while_there_is_time() -> None:
    assert not shortfall([LINK], OVERDUE - 1, 9, SETTINGS, Random(1)).overdue
    late = shortfall([LINK], OVERDUE, 9, SETTINGS, Random(1))
    assert late.overdue
    assert not late.give_up


@pytest.mark.parametrize("failures", [[LINK], [PICTURE], [PICTURE, LINK]])
def test_the_tries_end_when_no_link_can_be_had_for_two_days(failures: list[Exception]) -> None:
    assert not shortfall(failures, TWO_DAYS - 1, 9, SETTINGS, Random(1)).give_up
    assert shortfall(failures, TWO_DAYS, 9, SETTINGS, Random(1)).give_up


@pytest.mark.parametrize(
    "failures",
    [
        [STORAGE],
        [STORAGE, LINK],
        [LINK, STORAGE],
        [ValueError()],
        [LINK, ValueError()],
        [StoreUnavailable("away")],
        [LINK, StoreUnavailable("away")],
    ],
)
def test_the_tries_never_end_for_a_store_that_is_away(failures: list[Exception]) -> None:
    assert not shortfall(failures, 100 * TWO_DAYS, 9, SETTINGS, Random(1)).give_up
