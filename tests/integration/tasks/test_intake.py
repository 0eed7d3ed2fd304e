"""Requests and messages that the door accepts are stored and read back, up to ``AsyncResult.get()``."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from celery import Celery
from celery.result import AsyncResult
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from kombu.utils import json as kombu_json

from limner._redis import connect
from limner.accounts import MAIN
from limner.client import Limner
from limner.errors import InvalidRequest
from limner.ledger import Grant
from limner.ledger.memory import Seen
from limner.models import TextToImage
from limner.status import JobState
from limner.submission import encodable
from tasks.intake import submission
from tests.integration.limner.ledger import speaking
from tests.integration.limner.ledger.conftest import Bench
from worker.polling.policies import LatePolls
from worker.results import ResultStore

TTL = 3600.0

Given = TypeVar("Given")

texts = st.text(st.characters(codec=None), max_size=12)
"""Any characters, with halves of surrogate pairs and controls among them."""
clean = st.text(st.characters(codec="utf-8"), max_size=12)
words = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=12)
"""Printable characters."""
huge = st.integers(639, 4200).map(lambda digits: 10**digits)


def json_of(names: st.SearchStrategy[str], leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of JSON, a dozen at most, with these names and leaves."""
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
        max_leaves=12,
    )


sound_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**53 + 1, -(2**63) - 1, 2**64])
    | st.floats(allow_nan=False, allow_infinity=False)
    | clean
)
sound_metadata = st.dictionaries(clean, json_of(clean, sound_leaves), max_size=4)
odd = json_of(
    texts, sound_leaves | st.floats() | huge | texts | st.binary(max_size=4)
) | st.fixed_dictionaries(
    {"__type__": texts | st.sampled_from(["uuid", "datetime", "bytes"]), "__value__": sound_leaves}
)
sound = st.fixed_dictionaries(
    {"prompt": clean.map("a{}".format)},
    optional={
        "negative_prompt": clean,
        "seed": st.integers(0, 2**31 - 1),
        "num_images": st.integers(1, 4),
        "metadata": sound_metadata,
        "priority": st.integers(0, 9),
        "lane": words,
        "expires_in": st.floats(1, 10_000_000) | st.integers(1, 10_000_000),
    },
)
names = st.sampled_from(
    [
        "prompt",
        "negative_prompt",
        "seed",
        "style_codes",
        "metadata",
        "priority",
        "lane",
        "account",
        "expires_in",
        "promt",
    ]
)
spoilt = st.builds(
    lambda fields, name, value: {**fields, name: value},
    sound,
    names,
    odd | st.dictionaries(texts, odd, max_size=3) | texts,
)
sound_ids = st.uuids().map(str) | words.filter(lambda text: text not in (".", ".."))
ids = sound_ids | texts


def nested(levels: int) -> dict[str, Any]:
    value: Any = "deep"
    for _ in range(levels):
        value = {"a": [value]}
    return {"a": value}


class Exit:
    """A ledger whose only jobs are those of the test, the worker's result store, and a reader of results."""

    def __init__(self, bench: Bench, url: str, *, beside: bool) -> None:
        self.bench = bench
        app = Celery("worker", backend=url, set_as_current=False)
        self.store = ResultStore(app, bench.ledger, TTL, LatePolls(), beside_the_ledger=beside)
        self.reader = Celery("reader", backend=url, set_as_current=False)

    def get(self, job_id: str) -> Any:
        return AsyncResult(job_id, app=self.reader).get(timeout=5)

    def finish(self, job_id: str) -> None:
        """Take the job through an attempt to its images, as a worker does."""
        queued = self.bench.ledger.jobs.read(job_id)
        assert queued
        [step] = self.bench.claim(replace(self.bench.quota, account=queued.account or MAIN)).steps
        grant = self.bench.ledger.jobs.begin(job_id, step.lease, "token", deadline=900)
        assert isinstance(grant, Grant)
        TextToImage.model_validate_json(grant.request)
        self.bench.ledger.jobs.accepted(job_id, grant.attempt, f"task-{self.bench.now}", poll_in=0)
        record = self.bench.ledger.jobs.read(job_id)
        assert record
        task_id = record.task_id or ""
        ahead = self.store.ahead(record, task_id, ["https://a"], None, datetime.now(UTC))
        end = speaking.task_succeeded(
            self.bench.ledger, job_id, task_id, ["https://a"], None, ttl=TTL, result=ahead
        )
        if end.record is not None:
            self.store.store(end.record, self.bench.ledger)


@pytest.fixture(params=[True, False], ids=["beside the ledger", "elsewhere"])
def way_out(request: pytest.FixtureRequest, valkey_url: str) -> Iterator[Exit]:
    with connect(valkey_url) as client:
        yield Exit(Bench(client), valkey_url, beside=request.param)


def at_the_door(give: Callable[[], Given]) -> Given | InvalidRequest:
    """The accepted request or message, or its refusal."""
    try:
        return give()
    except InvalidRequest as refused:
        return refused


def comes_out(way_out: Exit, job_id: str, parameters: dict[str, Any]) -> bool:
    """True if a message with these kwargs became a job, whose result was read back equal.

    False if it was refused, with an error that names the field and was read back as well.
    """
    bench = way_out.bench
    bench.client.flushall()
    # Each message meets a ledger that was never used, and not one that was emptied.
    bench.ledger.memory.see(Seen(), anew=True)
    bench.now += 1
    new = at_the_door(lambda: submission(job_id, (), parameters))
    if isinstance(new, InvalidRequest):
        assert str(new).split(":")[0] in ("task_id", *parameters, *TextToImage.model_fields)
        # The inspection sets a message with another id aside.
        if job_id and encodable(job_id):
            way_out.store.refuse(job_id, new)
            with pytest.raises(InvalidRequest) as told:
                way_out.get(job_id)
            assert str(told.value) == str(new)
        return False
    assert bench.ledger.jobs.submit(new).outcome == "created"
    record = bench.ledger.jobs.read(job_id)
    assert record
    asked = parameters.get("metadata") or {}
    assert record.metadata == asked
    assert (record.lane, record.priority) == (parameters.get("lane"), parameters.get("priority", 5))
    way_out.finish(job_id)
    result = way_out.get(job_id)
    ended = bench.ledger.jobs.read(job_id)
    assert ended
    assert ended.state is JobState.SUCCEEDED
    assert result == ended.images().model_dump(mode="json")
    assert result["metadata"] == asked
    for name in ("prompt", "negative_prompt", "seed"):
        assert result["parameters"][name] == parameters.get(name)
    return True


QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(QUICK, max_examples=60)
@given(job_id=sound_ids, parameters=sound)
@example(job_id="deep", parameters={"prompt": "a", "metadata": nested(15)})
@example(job_id="nul", parameters={"prompt": "\x00", "metadata": {"\x00": "\x00"}, "lane": " "})
@example(job_id="exact", parameters={"prompt": "a", "metadata": {"a": 2**53 + 1, "b": 1e308, "c": -0.0}})
@example(job_id="@{%2F}/..", parameters={"prompt": "a", "expires_in": 1e7})
def test_what_a_sound_message_says_comes_out_of_its_result(
    way_out: Exit, job_id: str, parameters: dict[str, Any]
) -> None:
    assert comes_out(way_out, job_id, kombu_json.loads(kombu_json.dumps(parameters)))


@settings(QUICK, max_examples=200)
@given(job_id=ids, parameters=spoilt)
@example(job_id="deeper", parameters={"prompt": "a", "metadata": nested(60)})
@example(job_id="typed", parameters={"prompt": "a", "metadata": {"__type__": "mine", "__value__": "no"}})
def test_what_an_odd_message_says_comes_out_of_its_result_or_is_refused_by_name(
    way_out: Exit, job_id: str, parameters: dict[str, Any]
) -> None:
    event("accepted" if comes_out(way_out, job_id, parameters) else "refused")


@settings(QUICK, max_examples=100)
@given(
    given_metadata=sound_metadata | st.dictionaries(texts, odd, max_size=3),
    key=clean | texts,
    lane=words | texts,
)
def test_what_a_call_gives_comes_out_of_its_result_as_json_has_it(
    way_out: Exit, valkey_url: str, given_metadata: dict[str, Any], key: str, lane: str
) -> None:
    bench = way_out.bench
    bench.client.flushall()
    bench.ledger.memory.see(Seen(), anew=True)
    bench.now += 1
    with Limner(valkey_url) as limner:
        job = at_the_door(
            lambda: limner.submit("a fox", idempotency_key=key, metadata=given_metadata, lane=lane)
        )
        if isinstance(job, InvalidRequest):
            assert str(job).split(":")[0] in ("metadata", "idempotency_key", "lane")
            assert bench.client.dbsize() == 0
            return
        assert limner.submit("a fox", idempotency_key=key).id == job.id
        status = job.status()
        event("accepted")
        assert (status.metadata, status.lane) == (json.loads(json.dumps(given_metadata)), lane)
        way_out.finish(job.id)
        assert way_out.get(job.id)["metadata"] == status.metadata
        assert job.result(timeout=0).metadata == status.metadata
        assert next(iter(limner.events(from_start=True, follow=False))).metadata == status.metadata


def test_an_error_that_names_odd_fields_is_bounded_and_read_back(way_out: Exit) -> None:
    crowd = {"prompt": "a", **{f"{'x' * 1000}{number}": 1 for number in range(1000)}}
    with pytest.raises(InvalidRequest) as refused:
        submission("crowd", (), crowd)
    assert len(str(refused.value)) < 2000
    way_out.store.refuse("crowd", refused.value)
    with pytest.raises(InvalidRequest, match="and 990 more"):
        way_out.get("crowd")
