"""Producers of other Celery versions, each from released wheels in an environment of its own."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from limner import Limner, UnknownJob
from release.ranges.environments import Unresolvable, make
from sandbox.local.fleet import LocalFleet
from tests.acceptance import producer
from tests.integration.fleet.conftest import ROOMY, quick_provider

VERSIONS: Final = ("5.3", "5.4", "5.5", "5.6", "5.7")
CODE: Final = ("alone", "with limner")

pytestmark = pytest.mark.timeout(300)  # the first test also waits for ten installations


@dataclass(frozen=True)
class Call:
    """A message of a producer, and the reason for sending it."""

    kind: str
    protocol: int = 2
    options: Mapping[str, Any] = field(default_factory=dict)
    kwargs: Mapping[str, Any] = field(default_factory=lambda: {"prompt": "a red kite", "num_images": 2})
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        said = ", ".join(f"{name}={value}" for name, value in {**self.options, **self.settings}.items())
        return f"{self.kind}, protocol {self.protocol}, {said or 'no options'}"


def _calls() -> Iterator[Call]:
    ignoring: list[dict[str, Any]] = [{}, {"ignore_result": True}, {"ignore_result": False}]
    for protocol, ignore in product((1, 2), ignoring):
        kind = "ignored" if ignore.get("ignore_result") else "images"
        yield Call(kind, protocol, {**ignore, "serializer": "json"})
        for serializer in ("pickle", "msgpack"):
            kind = "ignored unreadable" if ignore.get("ignore_result") else "unreadable"
            yield Call(kind, protocol, {**ignore, "serializer": serializer})
    for protocol in (1, 2):
        yield Call("bad field", protocol, kwargs={"prompt": "a red kite", "num_images": 99})
        yield Call("linked", protocol, {"link": "shop.publish"})
        pickles = {"result_serializer": "pickle", "accept_content": ["pickle"]}
        yield Call("reads pickles only", protocol, settings=pickles)
        json_too = {**pickles, "result_serializer": "json", "result_accept_content": ["json"]}
        yield Call("images", protocol, settings=json_too)


CALLS: Final = tuple(_calls())
Outcomes = list[tuple[Call, dict[str, Any]]]


@dataclass(frozen=True)
class Report:
    """The findings in one environment."""

    outcomes: Outcomes
    submitted: dict[str, Any] | None
    """The outcome of a job of Limner's own client, where it is installed."""


def produce(fleet: LocalFleet, python: Path, version: str) -> Report:
    """Send all calls from an environment, and return what each came to."""
    calls = [
        {
            "settings": {"task_protocol": call.protocol, **call.settings},
            "options": {**call.options},
            "kwargs": {**call.kwargs},
        }
        for call in CALLS
    ]
    run = subprocess.run(
        [python, "-I", producer.__file__, fleet.redis_url],
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        check=False,
        timeout=producer.PATIENCE + 60,
    )
    assert run.returncode == 0, run.stderr
    said = json.loads(run.stdout)
    assert said["celery"].startswith(f"{version}.")
    return Report(list(zip(CALLS, said["outcomes"], strict=True)), said["submitted"])


@pytest.fixture(scope="module")
def fleet() -> Iterator[LocalFleet]:
    with LocalFleet(settings=ROOMY, provider=quick_provider()) as running:
        yield running


@pytest.fixture(scope="module")
def reports(
    fleet: LocalFleet, wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Report | Unresolvable]:
    """The reports of all versions, which produce at the same time, each without our code and then with it."""
    folder = tmp_path_factory.mktemp("producers")

    def report(version: str) -> tuple[Report | Unresolvable, Report | Unresolvable]:
        # With the kombu of its time: Celery 5.3 accepts the newest one, and cannot be imported with it.
        released = [f"{name}~={version}.0" for name in ("celery[redis]", "kombu[redis,msgpack]")]
        try:
            plain = produce(fleet, make(folder / version, released), version)
        except Unresolvable as error:
            return error, error
        return plain, produce(fleet, make(folder / version, [str(wheel), *released]), version)

    with ThreadPoolExecutor(len(VERSIONS)) as pool:
        both = dict(zip(VERSIONS, pool.map(report, VERSIONS), strict=True))
    return {
        (version, code): each for version in VERSIONS for code, each in zip(CODE, both[version], strict=True)
    }


@pytest.fixture(params=product(VERSIONS, CODE), ids=" ".join)
def report(request: pytest.FixtureRequest, reports: dict[tuple[str, str], Report | Unresolvable]) -> Report:
    """The report of one version, with or without our code."""
    found = reports[request.param]
    if isinstance(found, Unresolvable):
        pytest.skip(f"Celery {request.param[0]} cannot be installed here: {str(found).splitlines()[-1]}")
    return found


@pytest.fixture
def outcomes(report: Report) -> Outcomes:
    """Its outcomes."""
    return report.outcomes


def of_kind(outcomes: Outcomes, kind: str) -> Outcomes:
    found = [(call, outcome) for call, outcome in outcomes if call.kind == kind]
    assert found
    return found


def stored(fleet: LocalFleet, task_id: str) -> object:
    """The result in Celery's backend."""
    with redis.Redis.from_url(fleet.redis_url) as client:
        return client.get(f"celery-task-meta-{task_id}")


def test_get_returns_the_images_whatever_the_message_says_of_results(outcomes: Outcomes) -> None:
    for call, outcome in of_kind(outcomes, "images"):
        assert outcome["raised"] is None, call
        assert len((outcome["got"] or {}).get("urls", ())) == 2, call
        assert (outcome["state"], outcome["children"]) == ("SUCCESS", []), call


def test_an_ignored_result_is_none_and_its_job_runs(outcomes: Outcomes, fleet: LocalFleet) -> None:
    with Limner(fleet.redis_url) as limner:
        for call, outcome in of_kind(outcomes, "ignored"):
            # Celery's own AsyncResult returns None at once for such a call.
            assert (outcome["got"], outcome["raised"]) == (None, None), call
            assert len(limner.get(outcome["id"]).result(60).urls) == 2, call
            # A message of protocol 1 cannot say it.
            assert (stored(fleet, outcome["id"]) is None) == (call.protocol == 2), call


def test_a_pickle_or_msgpack_message_fails_and_names_what_is_accepted(outcomes: Outcomes) -> None:
    for call, outcome in of_kind(outcomes, "unreadable"):
        assert outcome["state"] == "FAILURE", call
        name, text = outcome["raised"]
        assert name == "InvalidRequest", call
        assert "json" in text, call
        assert outcome["children"] == [], call


def test_an_unreadable_message_of_an_ignored_result_makes_no_job(
    outcomes: Outcomes, fleet: LocalFleet
) -> None:
    with Limner(fleet.redis_url) as limner:
        for call, outcome in of_kind(outcomes, "ignored unreadable"):
            assert (outcome["got"], outcome["raised"]) == (None, None), call
            with pytest.raises(UnknownJob):
                limner.get(outcome["id"]).status()


def test_an_app_that_reads_pickles_only_is_told_so_by_its_own_celery(outcomes: Outcomes) -> None:
    for call, outcome in of_kind(outcomes, "reads pickles only"):
        assert outcome["got"] is None, call
        assert outcome["raised"][0] in ("DecodeError", "ContentDisallowed"), call


def test_a_bad_argument_is_a_failure_that_names_the_field(outcomes: Outcomes) -> None:
    for call, outcome in of_kind(outcomes, "bad field"):
        assert outcome["state"] == "FAILURE", call
        name, text = outcome["raised"]
        assert name == "InvalidRequest", call
        assert "num_images" in text, call


def test_a_linked_task_is_the_only_child(outcomes: Outcomes) -> None:
    for call, outcome in of_kind(outcomes, "linked"):
        assert len((outcome["got"] or {}).get("urls", ())) == 2, call
        assert len(outcome["children"]) == 1, call


def test_a_job_of_our_own_client_is_a_result_of_celery_s(
    report: Report, request: pytest.FixtureRequest
) -> None:
    if report.submitted is None:
        assert request.node.callspec.params["report"][1] == "alone"
        return
    assert len(report.submitted["got"]["urls"]) == 1
    assert (report.submitted["state"], report.submitted["children"]) == ("SUCCESS", [])


def test_an_error_is_the_class_of_limner_where_it_is_imported(report: Report) -> None:
    for call, outcome in of_kind(report.outcomes, "bad field"):
        assert outcome["ours"] == (report.submitted is not None), call
