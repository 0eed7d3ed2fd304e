"""The names of copies, whatever a producer submits."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from config import Settings
from worker.copies.names import NO_LANE, ObjectNames, safe, thumbnail_name

DEFAULT = Settings.model_fields["copy_name"].default
TEMPLATES = [
    DEFAULT,
    "{job_id}-{number}.{ext}",
    "{lane}/{date:%Y%m%d}-{sha256}.{ext}",
    "a/{lane}/{task_id}={number}/{job_id}.{ext}",
    "{lane}/{number}_{job_id}.{ext}",
    "{job_id}/" + "a" * 160 + "/{lane}/{task_id}/{number}.{ext}",
]
SEGMENT = re.compile(r"[A-Za-z0-9=_-]([A-Za-z0-9._=-]*[A-Za-z0-9=_-])?")
DAY = datetime(2026, 11, 28, 23, 30, tzinfo=UTC)
SHA256 = "ab" * 32

free_text = st.one_of(
    st.text(min_size=1, max_size=255),
    st.text("./\\=%~ aÄ\0\n", min_size=1, max_size=255),
    st.sampled_from(
        [".", "..", "../..", "/etc/passwd", "~", "a/../b", "CON", "x.thumb", "x.png.thumb", "=2E", "=="]
    ),
    st.text(st.characters(categories=["Cs", "Co", "Zl"]), min_size=1, max_size=4),
)
folders = st.one_of(st.none(), st.lists(free_text, min_size=1, max_size=8).map("/".join))
values = st.fixed_dictionaries(
    {
        "job_id": free_text,
        "number": st.integers(1, 999),
        "ext": st.sampled_from(["png", "jpg", "webp", "gif"]),
        "lane": st.one_of(st.none(), free_text),
        "task_id": free_text,
        "folder": folders,
    }
)


def named(template: str = DEFAULT, **given: Any) -> str:
    fields = {
        "date": DAY,
        "job_id": "4711",
        "number": 1,
        "ext": "png",
        "lane": None,
        "sha256": SHA256,
        "task_id": "task",
        "folder": None,
    }
    return ObjectNames(template).name(**{**fields, **given})


def test_the_default_name_has_the_day_the_job_and_the_number() -> None:
    assert named() == "2026/11/28/4711/1.png"


def test_a_name_may_have_every_field() -> None:
    template = "{lane}/{task_id}/{job_id}/{date:%H-%M}/{sha256}-{number}.{ext}"
    assert named(template, lane="shop") == f"shop/task/4711/23-30/{SHA256}-1.png"


def test_a_day_is_a_day_of_utc() -> None:
    local = DAY.astimezone(timezone(timedelta(hours=9)))
    assert local.day == 29
    assert named(date=local) == named(date=DAY)


def test_an_absent_lane_has_a_word() -> None:
    assert named("{lane}/{job_id}/{number}.{ext}") == f"{NO_LANE}/4711/1.png"


def test_a_folder_of_a_job_comes_first() -> None:
    assert named(folder="orders/4711") == "orders/4711/2026/11/28/4711/1.png"


def test_a_folder_of_a_job_never_takes_the_place_of_an_image() -> None:
    image = named()
    assert not named(folder=image).startswith(f"{image}/")


def test_a_long_folder_becomes_a_hash() -> None:
    long = "/".join(["a" * 90] * 4)
    assert re.fullmatch(r"==[0-9a-f]{32}/2026/11/28/4711/1\.png", named(folder=long))


def test_a_thumbnail_lies_beside_its_image() -> None:
    assert thumbnail_name("a/1.png") == "a/1.png.thumb.webp"


def test_a_bad_template_is_refused() -> None:
    with pytest.raises(ValueError, match="must hold"):
        ObjectNames("images.png")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a-B_9.x", "a-B_9.x"),
        ("a b", "a=20b"),
        ("a/b", "a=2Fb"),
        ("a\\b", "a=5Cb"),
        ("a=b", "a=3Db"),
        ("ä", "=C3=A4"),
        (".", "=2E"),
        ("..", "=2E=2E"),
        ("...", "=2E.=2E"),
        (".env", "=2Eenv"),
        ("a.", "a=2E"),
        ("a\n", "a=0A"),
        ("\n.", "=0A=2E"),
        ("", "="),
        ("\ud800", "=ED=A0=80"),
        ("a" * 100, "a" * 100),
    ],
)
def test_a_value_is_made_safe(value: str, expected: str) -> None:
    assert safe(value) == expected


def test_a_long_value_is_cut_and_gets_a_hash() -> None:
    assert re.fullmatch("a{66}==[0-9a-f]{32}", safe("a" * 101))
    assert re.fullmatch("(=C3=A9){11}==[0-9a-f]{32}", safe("é" * 17))


@given(free_text, free_text)
def test_two_values_never_give_the_same_part(one: str, other: str) -> None:
    assume(one != other)
    assert safe(one) != safe(other)


@given(st.text("a.=é", min_size=60, max_size=110), st.text("a.=é", min_size=60, max_size=110))
def test_two_long_values_never_give_the_same_part(one: str, other: str) -> None:
    assert (safe(one) == safe(other)) == (one == other)
    assert len(safe(one)) <= 100


@given(st.sampled_from(TEMPLATES), values)
def test_no_value_leads_out_of_the_prefix(template: str, given: dict[str, Any]) -> None:
    name = named(template, **given)
    for whole in (name, thumbnail_name(name)):
        assert len(whole) <= 800
        for segment in whole.split("/"):
            assert SEGMENT.fullmatch(segment), whole
            assert len(segment) <= 255


@given(st.sampled_from(TEMPLATES), values)
def test_a_name_is_the_same_each_time(template: str, given: dict[str, Any]) -> None:
    assert named(template, **given) == named(template, **given)


@given(st.sampled_from([template for template in TEMPLATES if "job_id" in template]), values, values)
def test_two_jobs_never_have_the_same_name(template: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    assume(one["job_id"] != other["job_id"])
    names = {named(template, **one), named(template, **other)}
    assert len(names) == 2
    assert not names & {thumbnail_name(name) for name in names}


@given(
    st.sampled_from(["a", "a-1", "a-1-2", "1", "a.png.thumb", "a.png"]),
    st.integers(1, 30),
    st.integers(1, 30),
)
def test_two_images_of_look_alike_jobs_have_different_names(job_id: str, one: int, other: int) -> None:
    for template in ("{job_id}-{number}.{ext}", "{number}-{job_id}.{ext}"):
        first = named(template, job_id=job_id, number=one, ext="webp")
        second = named(template, job_id=f"{job_id}-{other}", number=one, ext="webp")
        assert first != second


def test_the_image_of_a_job_does_not_replace_a_thumbnail() -> None:
    template = "{number}-{job_id}.{ext}"
    image = named(template, job_id="a", ext="png")
    assert named(template, job_id="a.png.thumb", ext="webp") != thumbnail_name(image)
