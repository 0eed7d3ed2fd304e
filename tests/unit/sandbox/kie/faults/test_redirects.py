"""The targets of redirects."""

import pytest

from sandbox.kie.faults.redirects import REDIRECTS

BASE, PATH = "http://base.test:8080", "/files/t1_0.png"


@pytest.mark.parametrize(("variant", "redirects"), [("once", 1), ("three", 3), ("four", 4)])
def test_a_chain_has_as_many_redirects_as_its_name_says(variant: str, redirects: int) -> None:
    target = REDIRECTS[variant](BASE, PATH)
    assert target.startswith(BASE)
    assert target.endswith(f"/moved{PATH}")
    assert 1 + target.count("/redirect/302") == redirects


def test_a_loop_leads_back() -> None:
    assert REDIRECTS["loop"](BASE, PATH) == BASE + PATH


@pytest.mark.parametrize("variant", ["metadata", "mapped", "loopback", "local_name", "file", "nowhere"])
def test_the_other_targets_are_not_of_the_stand_in(variant: str) -> None:
    assert not REDIRECTS[variant](BASE, PATH).startswith((BASE, "/"))
