"""The table of odd balances."""

from sandbox.kie.faults.balances import BALANCES
from sandbox.kie.faults.pages import PAGES


def test_each_answer_is_data_a_code_a_page_or_no_answer() -> None:
    assert {kind for kind, _ in BALANCES.values()} == {"data", "code", "page", "drop", "hang"}
    assert {value for kind, value in BALANCES.values() if kind == "page"} <= PAGES.keys()
