"""A client that has not spoken to Redis yet, and the face of the package."""

import asyncio
import inspect
import typing
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

import limner
from limner import ConfigurationError, InvalidRequest, Job, Limner, errors

NOWHERE = "redis://127.0.0.1:1/0"
API = (Path(__file__).parents[2] / "typing" / "api.py").read_text("utf-8")
NO_TWIN = {"get", "from_env"}
"""They ask nothing of Redis."""
PUBLIC = [
    (owner, name)
    for owner in (Limner, Job)
    for name, _ in inspect.getmembers(owner, inspect.isroutine)
    if not name.startswith("_")
]


def is_async(method: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


BLOCKING = [
    (owner, name) for owner, name in PUBLIC if not is_async(getattr(owner, name)) and name not in NO_TWIN
]


def mentioned(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in typing.get_args(annotation):
        yield from mentioned(part)


def test_a_bad_prompt_in_short_form_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest, match="prompt"):
        Limner(NOWHERE).submit("")


def test_nothing_is_asked_of_redis_before_all_is_checked() -> None:
    client = Limner(NOWHERE)
    with pytest.raises(InvalidRequest, match="prompt"):
        client.submit_many(["good", ""])
    with pytest.raises(InvalidRequest, match="idempotency_keys: 1 keys for 2 requests"):
        asyncio.run(client.asubmit_many(["a", "b"], idempotency_keys=["1"]))
    with pytest.raises(InvalidRequest, match="lane"):
        asyncio.run(client.asubmit("a", lane=""))


def test_a_job_that_was_not_submitted_here_is_of_unknown_origin() -> None:
    assert Limner(NOWHERE).get("j").created is None


@pytest.mark.parametrize(("owner", "name"), BLOCKING)
def test_a_method_that_blocks_has_a_twin_with_the_same_parameters(owner: type, name: str) -> None:
    blocking, twin = getattr(owner, name), getattr(owner, f"a{name}")
    assert is_async(twin)
    assert inspect.signature(twin).parameters == inspect.signature(blocking).parameters
    assert inspect.getdoc(twin)


@pytest.mark.parametrize(("owner", "name"), PUBLIC)
def test_the_typed_example_calls_every_method(owner: type, name: str) -> None:
    assert f".{name}(" in API, f"tests/typing/api.py does not call {owner.__name__}.{name}"


@pytest.mark.parametrize("connections", [0, -1, True, 2.5, "3"])
def test_a_number_of_connections_is_a_whole_one_from_1_on(connections: Any) -> None:
    with pytest.raises(ConfigurationError, match="connections: must be a whole number from 1 on"):
        Limner(NOWHERE, connections=connections)


def test_the_old_name_of_a_wait_is_the_same_method() -> None:
    assert Job.wait is Job.aresult


def test_all_that_a_method_or_a_field_gives_is_exported() -> None:
    given: list[Any] = []
    for owner, name in PUBLIC:
        method = getattr(owner, name)
        given += mentioned(typing.get_type_hints(method).get("return"))
    seen: set[type] = set()
    while given:
        kind = given.pop()
        if not (isinstance(kind, type) and kind.__module__.startswith("limner")) or kind in seen:
            continue
        seen.add(kind)
        for annotation in typing.get_type_hints(kind).values():
            given += mentioned(annotation)
    assert {limner.JobStatus, limner.TaskState, limner.DaySpend, limner.EndsBy} <= seen
    assert {kind.__name__ for kind in seen} <= {*limner.__all__}


def test_every_error_is_exported() -> None:
    found = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.LimnerError)
    }
    assert found == {*errors.__all__}
    assert found <= {*limner.__all__}


def test_the_exports_are_sorted_and_there() -> None:
    assert limner.__all__ == sorted(limner.__all__)
    for name in limner.__all__:
        assert getattr(limner, name)


def test_the_version_is_that_of_the_package() -> None:
    assert limner.__version__ == version("limner")
    with pytest.raises(AttributeError, match="has no attribute 'verzion'"):
        _ = limner.verzion  # type: ignore[attr-defined]
