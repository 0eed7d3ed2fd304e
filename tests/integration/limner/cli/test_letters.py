"""``letters`` on a real ledger."""

import pytest

from limner._redis import connect
from limner.cli.app import main
from limner.ledger import Ledger, Unfit
from tests.integration.limner.cli.conftest import Run


@pytest.fixture
def letters(valkey_url: str) -> None:
    ledger = Ledger(connect(valkey_url))
    ledger.letters.put(*(Unfit("forged: no mark", "limner", size, "{}") for size in (1, 2, 3)))


@pytest.mark.usefixtures("letters")
def test_letters_are_listed_and_dropped(limner_cli: Run) -> None:
    first, second, third = limner_cli("letters")
    assert first.keys() == {"id", "why", "at", "queue", "size", "head"}
    assert (first["why"], first["queue"], first["size"], first["head"]) == (
        "forged: no mark",
        "limner",
        1,
        "{}",
    )
    assert limner_cli("letters", "--drop", first["id"], "--drop", third["id"]) == [{"dropped": 2}]
    assert limner_cli("letters") == [second]
    assert limner_cli("letters", "--all") == [{"dropped": 1}]
    assert limner_cli("letters") == []


@pytest.mark.usefixtures("letters")
def test_a_person_reads_the_fault_and_the_message(
    valkey_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--redis-url", valkey_url, "letters"]) == 0
    line, head, *_ = capsys.readouterr().out.splitlines()
    assert line.endswith("queue limner  1 byte  forged: no mark")
    assert head.strip() == "{}"


@pytest.mark.usefixtures("letters")
@pytest.mark.parametrize("options", [("--drop", "7-7"), ("--drop", "7-7", "--all")])
def test_a_drop_has_to_be_clear(limner_cli: Run, options: tuple[str, ...]) -> None:
    limner_cli("letters", *options, code=2)
    assert len(limner_cli("letters")) == 3
