"""The letter box of a worker."""

import base64
import json
import threading
from collections.abc import Callable

import pytest

from limner.errors import StoreUnavailable
from limner.ledger import Unfit
from tests.conftest import eventually
from worker.letters import MOST_KEPT, MOST_WAITING, LetterBox


class Store:
    """Keeps letters, while it is there."""

    def __init__(self) -> None:
        self.kept: list[Unfit] = []
        self.there = threading.Event()
        self.there.set()
        self.asked = threading.Event()

    def put(self, *unfit: Unfit) -> None:
        self.asked.set()
        if not self.there.is_set():
            raise StoreUnavailable("away")
        self.kept += unfit


@pytest.fixture
def store() -> Store:
    return Store()


def message(body: object) -> bytes:
    encoded = base64.b64encode(json.dumps(body).encode()).decode()
    return json.dumps(
        {"headers": {"id": "a"}, "properties": {"body_encoding": "base64"}, "body": encoded}
    ).encode()


def test_a_message_is_kept_with_its_reason_and_its_head(store: Store) -> None:
    box = LetterBox(store.put, [])
    box.add("forged: no mark", "limner", message([7]))
    box.stop(10)
    [kept] = store.kept
    assert (kept.why, kept.queue, kept.size) == ("forged: no mark", "limner", len(message([7])))
    assert json.loads(kept.head)["body"] == "[7]"


def test_secrets_are_hidden_wherever_they_are(store: Store) -> None:
    box = LetterBox(store.put, ["the-secret-of-all"])
    hidden = base64.b64encode(b"Bearer the-secret-of-all, and more of it").decode()
    box.add("wrong: the-secret-of-all", "limner", message(["the-secret-of-all"]))
    box.add("unreadable", "limner", f"{{{hidden}".encode())
    box.stop(10)
    assert "the-secret-of-all" not in str(store.kept)
    assert hidden not in str(store.kept)


def test_letters_wait_for_the_ledger(store: Store) -> None:
    store.there.clear()
    box = LetterBox(store.put, [])
    box.add("forged", "limner", b"1")
    assert store.asked.wait(10)
    store.there.set()
    eventually(lambda: store.kept)
    box.stop(10)
    assert len(store.kept) == 1


def test_no_more_wait_than_there_is_room_for(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    store.there.clear()
    box = LetterBox(store.put, [])
    for number in range(MOST_WAITING + 500):
        box.add("forged", "limner", str(number).encode() * MOST_KEPT)
    store.there.set()
    eventually(lambda: len(store.kept) >= MOST_WAITING)
    box.stop(10)
    assert MOST_WAITING <= len(store.kept) < MOST_WAITING + 500
    assert "without a letter" in caplog.text


def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    return lambda: [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_many_are_told_in_few_lines_with_their_number(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    box = LetterBox(store.put, [])
    for _ in range(300):
        box.add("forged: no mark", "limner", b"{}")
    box.stop(10)
    lines = told(caplog)()
    assert 1 <= len(lines) <= 2
    assert sum(int(line.split(": ")[1].split(",")[0]) for line in lines) == 300
    assert "forged: no mark; python -m limner letters" in lines[-1]


def test_a_box_without_letters_ends_at_once(store: Store) -> None:
    box = LetterBox(store.put, [])
    box.stop(10)
    assert not box.is_alive()
