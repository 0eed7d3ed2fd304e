"""Letters, and the key of the fleet's marks, on a real Valkey."""

from limner.ledger.layout.keys import FLEET_KEY, LETTERS
from limner.ledger.letters import KEEP_LETTERS, LETTER_SECONDS, LONGEST_HEAD, LONGEST_WHY, Unfit
from tests.integration.limner.ledger.conftest import Bench


def unfit(number: int = 1, **facts: object) -> Unfit:
    return Unfit(**{"why": "forged", "queue": "limner", "size": number, "head": "{}", **facts})  # type: ignore[arg-type]


def test_letters_are_in_the_order_in_which_they_came(bench: Bench) -> None:
    bench.ledger.letters.put(unfit(1), unfit(2, why="unknown", queue="limner.steps", head="[]"))
    first, second = bench.ledger.letters.all()
    assert (first.why, first.queue, first.size, first.head) == ("forged", "limner", 1, "{}")
    assert (second.why, second.queue, second.size, second.head) == ("unknown", "limner.steps", 2, "[]")


def test_the_newest_letters_are_kept(bench: Bench) -> None:
    bench.ledger.letters.put(*(unfit(number) for number in range(KEEP_LETTERS + 5)))
    kept = bench.ledger.letters.all()
    assert [letter.size for letter in kept] == [*range(5, KEEP_LETTERS + 5)]


def test_letters_are_short_in_any_alphabet(bench: Bench) -> None:
    bench.ledger.letters.put(unfit(why="\U0001f600" * 10_000, queue="x" * 10_000, head="\ud800" * 10_000))
    [letter] = bench.ledger.letters.all()
    assert (len(letter.why), len(letter.queue), len(letter.head)) == (LONGEST_WHY, LONGEST_WHY, LONGEST_HEAD)


def test_letters_are_forgotten_when_no_more_come(bench: Bench) -> None:
    bench.ledger.letters.put(unfit())
    left = bench.client.ttl(LETTERS(bench.ledger.prefix))
    assert LETTER_SECONDS - 60 < left <= LETTER_SECONDS


def test_letters_are_dropped_by_their_ids_or_all_together(bench: Bench) -> None:
    bench.ledger.letters.put(*(unfit(number) for number in range(4)))
    first, second, *_ = bench.ledger.letters.all()
    assert bench.ledger.letters.drop(first.id, second.id, "no id", "1-1") == 2
    assert [letter.size for letter in bench.ledger.letters.all()] == [2, 3]
    assert bench.ledger.letters.drop("no id") == 0
    assert bench.ledger.letters.drop() == 2
    assert bench.ledger.letters.all() == []
    assert bench.ledger.letters.drop() == 0


def test_the_fleet_has_one_key_until_its_ledger_is_emptied(bench: Bench) -> None:
    key = bench.ledger.letters.fleet_key()
    assert len(key) == 64
    assert bench.ledger.letters.fleet_key() == key
    bench.client.delete(FLEET_KEY(bench.ledger.prefix))
    assert bench.ledger.letters.fleet_key() != key
