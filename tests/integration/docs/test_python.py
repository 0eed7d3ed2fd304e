"""The Python blocks of the documentation, run against a real fleet."""

import ast
import asyncio
import importlib
import inspect
import logging
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any, Final

import pytest
from celery import Celery

from limner import Limner
from limner.errors import InDoubt
from sandbox.kie.server import SandboxProvider
from sandbox.local.fleet import LocalFleet
from tests.integration.docs.pages import PAGES, Block, blocks, read

REDIS: Final = "redis://localhost:6379/0"
"""The URL of Redis in the documentation."""


def python(page: str) -> list[Block]:
    return [block for block in blocks(read(page)) if block.language == "python"]


WITH_PYTHON: Final = list(filter(python, PAGES))


def compiled(page: str, block: Block, redis_url: str = REDIS) -> Any:
    """The block's code, with the line numbers of its page. ``await`` is allowed outside a function."""
    text = "\n" * (block.line - 1) + block.text.replace(REDIS, redis_url)
    return compile(text, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalFleet]:
    settings = {
        "LIMNER_USUAL_SECONDS": '{"TURBO": 0.5, "BALANCED": 0.5, "QUALITY": 0.5}',
        "LIMNER_COPY_TO": f"file://{tmp_path_factory.mktemp('copies')}",
    }
    with LocalFleet(settings=settings, provider=SandboxProvider(duration=0.2)) as running:
        yield running


@pytest.fixture(scope="module")
def doubtful(fleet: LocalFleet) -> tuple[str, str]:
    """A job with a lost answer, and its task, which a person finds at the provider."""
    assert fleet.provider
    fleet.provider.faults(accept_then_drop={"next": 1})
    with Limner(fleet.redis_url) as limner:
        job = limner.submit("in doubt")
        with pytest.raises(InDoubt):
            job.result(timeout=30)
    [task] = fleet.provider.ledger(prompt="in doubt")
    return job.id, task["task_id"]


@pytest.fixture
def names(
    fleet: LocalFleet, doubtful: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> dict[str, Any]:
    """The names that the pages expect: a job and its task, a Celery app, a callback's request."""
    monkeypatch.setenv("LIMNER_REDIS_URL", fleet.redis_url)
    monkeypatch.setenv("LIMNER_COPY_PLAIN_HOSTS", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.getLogger("uvicorn.access"), "filters", [])
    job_id, task_id = doubtful
    body = b'{"taskId": "forged"}'
    return {
        "job_id": job_id,
        "task_id": task_id,
        "app": Celery(broker=fleet.redis_url, backend=fleet.redis_url),
        "token": "forged",
        "headers": {},
        "body": body,
    }


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_blocks_of_a_page_run_in_order(page: str, fleet: LocalFleet, names: dict[str, Any]) -> None:
    for block in python(page):
        if block.not_run:
            continue
        before = {*names}
        code = compiled(page, block, fleet.redis_url)
        if code.co_flags & inspect.CO_COROUTINE:
            asyncio.run(eval(code, names))  # noqa: S307 - our own documentation
        else:
            exec(code, names)  # noqa: S102 - our own documentation
        # A function of a block is called with the page's names as arguments.
        for function in [names[name] for name in {*names} - before]:
            if isinstance(function, FunctionType) and function.__code__.co_filename == page:
                function(**{name: names[name] for name in inspect.signature(function).parameters})


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_imports_of_the_blocks_exist(page: str) -> None:
    for block in python(page):
        compiled(page, block)
        for node in ast.walk(ast.parse(block.text)):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    importlib.import_module(alias.name)
            elif isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module or "")
                assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_a_block_has_its_line_and_the_reason_why_it_cannot_run() -> None:
    text = "Text.\n\n<!-- not run: needs a key -->\n```python\na = 1\n```\n\n```sh\nls\n```\n"
    first, second = Block("python", "a = 1\n", 5, "needs a key"), Block("sh", "ls\n", 9, None)
    assert blocks(text) == [first, second]
    assert [block.not_run for block in blocks(text * 2)] == ["needs a key", None, "needs a key", None]
