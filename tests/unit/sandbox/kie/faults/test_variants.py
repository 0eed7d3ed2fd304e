"""The variants of faults."""

import re

import pytest

from sandbox.kie.faults.faults import Fault
from sandbox.kie.faults.switches import Faults
from sandbox.kie.faults.variants import VARIANTS, variant_of
from tests.repository import ROOT

ROWS = [
    line.split("|") for line in (ROOT / "docs" / "faults.md").read_text("utf-8").splitlines() if "|" in line
]


@pytest.mark.parametrize(
    ("fault", "first"),
    [(Fault.HTML_BEFORE, "502"), (Fault.HTML_AFTER, "524"), (Fault.FILE_HTML, "200"), (Fault.STUCK, "")],
)
def test_without_a_choice_the_first_variant_applies(fault: Fault, first: str) -> None:
    assert variant_of(fault, "") == first
    assert variant_of(fault, "503") == "503"


@pytest.mark.parametrize("fault", VARIANTS)
def test_each_variant_can_be_switched_on(fault: Fault) -> None:
    assert len(set(VARIANTS[fault])) == len(VARIANTS[fault])
    for variant in VARIANTS[fault]:
        active = Faults({fault: {"variant": variant, "seconds": 1}}).to_json()
        assert active[fault]["variant"] == variant


def test_a_variant_can_be_written_in_a_marker() -> None:
    assert all(name.replace("_", "").isalnum() for names in VARIANTS.values() for name in names)


@pytest.mark.parametrize("fault", Fault)
def test_the_documentation_has_a_row_for_the_fault_with_all_variants(fault: Fault) -> None:
    [(_, _, happens, variants, *_)] = [row for row in ROWS if f"`{fault}`" in row[1]]
    assert happens.strip()
    assert set(re.findall(r"`(\w+)`", variants)) == set(VARIANTS.get(fault, ()))
