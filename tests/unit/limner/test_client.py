"""A client that has not spoken to Redis yet, and the face of the package."""

import asyncio
import inspect
import typing
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

import limner
from limner import InvalidRequest, Job, Limner, errors

NOWHERE = "redis://127.0.0.1:1/0"
PUBLIC = [
    (owner, name)
    for owner in (Limner, Job)
    for name, _ in inspect.getmembers(owner, inspect.isroutine)
    if not name.startswith("_")
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
    with pytest.raises(InvalidRequest, match="lane"):
        asyncio.run(client.asubmit("a", lane=""))


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
