"""Doubles of a step's services that record their calls, and answer as a test says.

A method that the real class lacks, or that does not take these arguments, fails the test.
"""

import inspect
import json
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any, Final

from config import Settings
from limner.ledger import Money, Record
from limner.ledger.accounts import Accounts
from limner.ledger.jobs import Jobs
from limner.ledger.layout.constants import VERSION
from limner.ledger.learned import Learned
from provider import KieClient
from worker.letters import LetterBox
from worker.limits.backoff import Backoff
from worker.limits.pauses import Pauses
from worker.limits.retries import RetryPolicy
from worker.polling.policies import LatePolls, ProviderAdvice
from worker.rescue import Rescue
from worker.results import ResultStore
from worker.services import Services

NOW: Final = datetime(2027, 1, 15, 8, tzinfo=UTC)
TOKEN: Final = "the-attempts-secret"


class Recorder:
    """A double of a class's object. An answer is a value, an exception, or a function of the arguments."""

    def __init__(self, stands_for: type, **answers: Any) -> None:
        self._stands_for = stands_for
        self._answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        signature = inspect.signature(getattr(self._stands_for, name))

        def call(*arguments: Any, **options: Any) -> Any:
            given = dict(signature.bind(self, *arguments, **options).arguments)
            del given["self"]
            self.calls.append((name, given))
            answer = self._answers.get(name)
            if isinstance(answer, BaseException):
                raise answer
            return answer(**given) if callable(answer) else answer

        return call

    @property
    def names(self) -> list[str]:
        """The methods that were called, in their order."""
        return [name for name, _ in self.calls]

    def given(self, name: str) -> dict[str, Any]:
        """The arguments of the one call of a method, by their names."""
        [found] = [given for called, given in self.calls if called == name]
        return found


class AtOnce(Executor):
    """An executor that runs each call before ``submit`` returns."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments, **options))
        return future


@dataclass
class Desk:
    """The doubles that a step works with, and their recorded calls."""

    jobs: Recorder = field(default_factory=lambda: Recorder(Jobs))
    provider: Recorder = field(default_factory=lambda: Recorder(KieClient))
    accounts: Recorder = field(default_factory=lambda: Recorder(Accounts))
    results: Recorder = field(default_factory=lambda: Recorder(ResultStore, refuse=True))
    letters: Recorder = field(default_factory=lambda: Recorder(LetterBox))
    settings: dict[str, Any] = field(default_factory=dict)
    callback_patience: float = 0.0

    def services(self) -> Services:
        """The services for a step, with one account ``main``."""
        ledger: Any = SimpleNamespace(
            jobs=self.jobs, accounts=self.accounts, durations=Recorder(Learned, sample="a sample")
        )
        provider: Any = self.provider
        results: Any = self.results
        results.record_ttl = 900.0
        letters: Any = self.letters
        policies: Any = SimpleNamespace(of=lambda _kind: ProviderAdvice())
        return Services(
            settings=Settings(redis_url="redis://127.0.0.1:1/0", **self.settings),
            ledger=ledger,
            providers={"main": provider},
            results=results,
            policies=policies,
            late_policy=LatePolls(),
            retries=RetryPolicy(
                max_attempts=3,
                backoff=Backoff(base=2.0, cap=60.0),
                pauses=Pauses(first=5.0, longest=300.0),
                random=Random(7),
                callback_patience=self.callback_patience,
            ),
            money=Money(),
            readers=AtOnce(),
            letters=letters,
            copies=None,
            rescue=Rescue(None),
        )


def a_task(task_id: str = "T", **facts: Any) -> dict[str, Any]:
    """A task in the form of a record's field."""
    return {"id": task_id, "attempt": 1, "state": "open", "sure": True, "at": ms(-10), **facts}


def ms(seconds: float) -> int:
    """The time at this number of seconds from NOW, in milliseconds since the epoch."""
    return round((NOW.timestamp() + seconds) * 1000)


def a_record(state: str, *tasks: dict[str, Any], job_id: str = "job-1", **fields: Any) -> Record:
    """A record of a job in that state, ten seconds old."""
    stored = {
        "v": VERSION,
        "state": state,
        "request": '{"prompt": "a fox"}',
        "metadata": "{}",
        "priority": 5,
        "lease": 7,
        "attempt": 1,
        "polls": 0,
        "created": ms(-10),
        "token:1": TOKEN,
        "deadline": ms(800),
        "tasks": json.dumps(tasks),
        **fields,
    }
    texts = {name: str(value) for name, value in stored.items() if value is not None}
    return Record.from_hash(job_id, texts, NOW)
