"""Types of fields."""

from limner.ledger.layout.fields import FIELDS, NUMBERS, TEXTS, Field, Kind


def test_scripts_read_all_but_text_and_json_as_numbers() -> None:
    assert {kind for kind in Kind if not kind.is_number} == {Kind.TEXT, Kind.JSON}


def test_a_name_that_ends_in_n_is_a_field_of_each_attempt() -> None:
    assert Field("token:N", Kind.TEXT, "").of_attempt
    assert not Field("token", Kind.TEXT, "").of_attempt


def test_each_field_of_the_record_is_either_a_number_or_a_text() -> None:
    names = [field.name for field in FIELDS if not field.of_attempt]
    assert sorted([*NUMBERS, *TEXTS]) == sorted(names)
