"""The inspection of messages, and the form of those that pass."""

import base64
import bz2
import json
import lzma
import zlib
from typing import Any, Final

import pytest
from celery.app.task import Context

from worker.dispatcher import TASKS
from worker.inspection import DEEPEST, FAULT, MOST_BYTES, STEP, Inspection, Refused, Sound
from worker.marks import Marks

CALL: Final = [[], {"prompt": "a fox"}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]


def marks() -> Marks:
    made = Marks()
    made.renew(lambda: "a key")
    return made


def inspect(message: Any, queue: str = "limner") -> Sound:
    inspection = Inspection(marks(), frozenset(TASKS.values()))
    return inspection(message if isinstance(message, bytes) else json.dumps(message).encode(), queue)


def encoded(body: Any) -> str:
    return base64.b64encode(body if isinstance(body, bytes) else json.dumps(body).encode()).decode()


def plain(body: Any = CALL, task: Any = "limner.create_task", **headers: Any) -> dict[str, Any]:
    """A plain producer's message."""
    return {
        "body": encoded(body),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": "job-1", **headers},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "the producer's",
            "delivery_info": {"exchange": "", "routing_key": "elsewhere"},
            "priority": 3,
        },
    }


def marked(task: Any = "limner.recover", **headers: Any) -> dict[str, Any]:
    """A message of the fleet's own."""
    body = b"[[7], {}, {}]"
    return plain(body, task, **{STEP: marks().of(task, "job-1", body), **headers})


def with_properties(**properties: Any) -> dict[str, Any]:
    message = plain()
    message["properties"] |= properties
    return message


# Those that pass


def test_a_call_passes_with_what_it_carries() -> None:
    found = inspect(plain(root_id="r", group="g", traceparent="00-1", argsrepr="()"))
    assert found.fault == ""
    assert found.decoded == json.loads(found.body) == CALL
    assert {name: found.headers[name] for name in ("task", "id", "root_id", "group", "traceparent")} == {
        "task": "limner.create_task",
        "id": "job-1",
        "root_id": "r",
        "group": "g",
        "traceparent": "00-1",
    }


@pytest.mark.parametrize("ignored", [False, True, None, "no"])
def test_a_producer_can_ignore_a_job_s_result_and_nobody_can_ask_for_a_step_s(ignored: object) -> None:
    assert inspect(plain(ignore_result=ignored)).headers["ignore_result"] is (ignored is True)
    assert inspect(marked(ignore_result=ignored)).headers["ignore_result"] is True


def test_a_message_returns_to_the_queue_from_which_it_came() -> None:
    origin = inspect(plain(), "limner.steps").raw["properties"]["delivery_info"]
    assert (origin["exchange"], origin["routing_key"]) == ("", "limner.steps")


def test_each_message_has_a_tag_of_its_own() -> None:
    inspection = Inspection(marks(), frozenset(TASKS.values()))
    item = json.dumps(plain()).encode()
    tags = {inspection(item, "limner").raw["properties"]["delivery_tag"] for _ in range(3)}
    assert len(tags) == 3


def test_a_message_that_comes_again_is_the_same() -> None:
    for message in (plain(eta="2027-01-01T00:00:00+00:00"), plain(eta="tomorrow"), marked()):
        first = inspect(message)
        again = inspect(first.raw)
        assert (again.headers, again.decoded) == (first.headers, first.decoded)
        assert again.fault == ""


@pytest.mark.parametrize(
    "name", ["get", "update", "callbacks", "is_eager", "delivery_info", "headers", FAULT]
)
def test_no_header_takes_the_place_of_an_attribute_of_the_request(name: str) -> None:
    headers = inspect(plain(CALL, **{name: 7})).headers
    assert name not in headers
    assert callable(Context(headers).get)


@pytest.mark.parametrize(
    ("name", "compress"),
    [
        ("application/x-gzip", zlib.compress),
        ("application/x-bz2", bz2.compress),
        ("application/x-lzma", lzma.compress),
    ],
)
def test_a_compressed_call_passes(name: str, compress: Any) -> None:
    found = inspect(plain(compress(json.dumps(CALL).encode()), compression=name))
    assert found.decoded == CALL
    assert "compression" not in found.headers


def old(**fields: Any) -> dict[str, Any]:
    """A message of protocol 1."""
    message = plain(
        {"task": "limner.create_task", "id": "job-1", "args": [], "kwargs": {"prompt": "x"}, **fields}
    )
    message["headers"] = {}
    return message


def test_a_message_of_protocol_1_becomes_one_of_protocol_2() -> None:
    found = inspect(old(callbacks=[{"task": "next"}], taskset="g", retries=1, **{STEP: 1}))
    assert found.decoded == json.loads(found.body) == [[], {"prompt": "x"}, {"callbacks": [{"task": "next"}]}]
    assert (found.headers["id"], found.headers["group"], found.headers["retries"]) == ("job-1", "g", 1)
    assert STEP not in found.headers


def test_an_unreadable_message_of_protocol_1_is_answered_under_its_correlation_id() -> None:
    pickled = {**old(), "content-type": "application/x-python-serialize"}
    pickled["properties"]["correlation_id"] = "job-1"
    found = inspect(pickled)
    assert "application/json" in found.fault
    assert (found.headers["task"], found.headers["id"]) == ("limner.create_task", "job-1")
    # One that can be read has its own word.
    pickled["content-type"] = "application/json"
    pickled["properties"]["correlation_id"] = "job-2"
    assert inspect(pickled).headers["id"] == "job-1"


def test_a_step_of_the_fleet_has_no_header_but_those_that_its_mark_covers() -> None:
    found = inspect(marked(eta="2999-01-01T00:00:00", callbacks=[{}], shadow="x"))
    assert found.headers.keys() == {
        *("lang", "task", "id", "root_id", "ignore_result", "argsrepr", "kwargsrepr", STEP),
    }
    assert found.decoded == [[7], {}, {}]


# Those of which the producer is told


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (plain(task="shop.mail"), "unknown: this queue takes limner.create_task only, and not shop.mail"),
        ({**plain(), "content-type": "application/x-python-serialize"}, "send application/json"),
        ({**plain(), "content-type": None}, "send application/json"),
        ({**plain(), "body": "no base64"}, "cannot be decoded"),
        ({**plain(), "body": 7}, "its body is no text"),
        (with_properties(body_encoding="rot13"), "unknown encoding"),
        (plain(b"\xff\xfe"), "its body is no JSON"),
        (plain({"__type__": "uuid", "__value__": 7}), "its body is"),
        (plain([]), "its body is no call"),
        (plain({}), "its body is no call"),
        (plain("text"), "its body is no call"),
        (plain([{}, {}, {}]), "its args must be a list"),
        (plain([[], [], {}]), "its kwargs a JSON object"),
        (plain([[], {}, {"id": "another"}]), "and nothing else"),
        (plain([[], {}, {STEP: "x"}]), "and nothing else"),
        (plain([[], {}, {"callbacks": {}}]), "its callbacks must be a list of signatures"),
        (plain([[], {}, {"chain": [7]}]), "its chain must be a list of signatures"),
        (plain([[], {}, {"chord": []}]), "its chord must be a signature"),
        (plain(eta="tomorrow"), "header eta: must be a time"),
        (plain(expires=7), "header expires: must be a time"),
        (plain(eta="0001-01-01T00:00:00+23:00"), "header eta"),
        (plain(eta="2" * 100), "header eta"),
        (plain(timelimit=7), "header timelimit"),
        (plain(timelimit=[1, "x"]), "header timelimit"),
        (plain(argsrepr=7), "header argsrepr"),
        (plain(retries=True), "header retries"),
        (plain(group_index=-1), "header group_index"),
        (plain(shadow={}), "header shadow"),
        (plain(root_id="x" * 1001), "header root_id"),
        (plain(parent_id="\ud800"), "header parent_id"),
        (plain(stamped_headers=[["x"]]), "header stamped_headers"),
        (plain(stamps=[]), "header stamps"),
        (
            plain(zlib.compress(b"[" * (MOST_BYTES + 1)), compression="application/x-gzip"),
            "after decompression",
        ),
        (plain(compression="application/x-gzip"), "cannot be decompressed"),
        (plain(compression="zstd"), "its compression is not accepted"),
        (plain(compression=[]), "its compression is not accepted"),
        (plain([[], {"metadata": json.loads("[" * DEEPEST + "]" * DEEPEST)}, {}]), "levels deep"),
        (plain(custom=json.loads("[" * DEEPEST + "]" * DEEPEST)), "levels deep"),
    ],
)
def test_an_honest_but_wrong_message_becomes_a_refusal_under_its_id(message: Any, told: str) -> None:
    found = inspect(message)
    assert told in found.fault
    assert found.headers[FAULT] == found.fault
    assert (found.headers["task"], found.headers["id"]) == ("limner.create_task", "job-1")
    assert found.decoded == json.loads(found.body) == [[], {}, {}]


# Those that are set aside


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"", "unreadable: no JSON"),
        (b"\xff\x00", "unreadable: no JSON"),
        (b"[" * 100_000, "unreadable: no JSON"),
        (b"9" * 5000, "unreadable: no JSON"),
        (b"[]", "unreadable: no JSON object"),
        (b"{}", "unreadable: headers and properties"),
        ({**plain(), "headers": []}, "unreadable: headers and properties"),
        ({**plain(), "properties": None}, "unreadable: headers and properties"),
        (b" " * (MOST_BYTES + 1), "too large"),
        (plain(task="x" * 1001), "unreadable"),
        (plain(id=""), "unreadable"),
        (plain(id=7), "unreadable"),
        (plain(id="\ud800"), "unreadable"),
        ({**old(), "content-type": "application/x-yaml"}, "unreadable: the content type"),
        (old(id=None), "unreadable"),
        (old(task="limner.recover"), "forged"),
        *((plain(task=step), "forged") for step in sorted(set(TASKS.values()) - {"limner.create_task"})),
        (plain(**{STEP: 1}), "forged"),
        (plain(**{STEP: "0" * 64}), "forged"),
        (plain(task="celery.group", **{STEP: "0" * 64}), "forged"),
        (marked(id="job-2"), "forged"),
        (marked(id=["job-1"]), "forged"),
        (marked(task=["limner.recover"]), "forged"),
        ({**marked(), "body": encoded([[8], {}, {}])}, "forged"),
        ({**marked(), "body": None}, "forged"),
    ],
)
def test_a_message_that_nobody_can_answer_is_refused(message: Any, why: str) -> None:
    with pytest.raises(Refused, match=why):
        inspect(message)
