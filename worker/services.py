"""The services of the steps of a job: one of each in a process."""

import time
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import Any

from celery import Celery

from config import AccountSettings, Settings
from limner._redis import connect
from limner.ledger import USUAL, Durability, Leases, Ledger, Memory, Money
from provider import KieClient, Timeouts
from worker.copies.services import CopyServices, make_copies
from worker.letters import LetterBox
from worker.limits.backoff import Backoff
from worker.limits.pauses import Pauses
from worker.limits.quota import key_name, money
from worker.limits.retries import RetryPolicy
from worker.logs import secrets_of
from worker.polling.learned import PollPolicies
from worker.polling.policies import LatePolls, PollPolicy
from worker.rescue import Rescue
from worker.results import ResultStore, beside

POLLS_IN_A_MESSAGE = 8
"""A message of polls costs a worker 0.7 ms, whether it carries one or several (``python -m bench cpu``)."""
LEASE_MARGIN = 10.0
"""Seconds that a lease outlasts the longest request: time to put its answer on record."""


@dataclass(frozen=True)
class Services:
    """The services of a step."""

    settings: Settings
    ledger: Ledger
    providers: Mapping[str, KieClient]
    """The clients of the provider by account."""
    results: ResultStore
    policies: PollPolicies
    """The poll policy of each kind of task."""
    late_policy: PollPolicy
    retries: RetryPolicy
    money: Money
    readers: Executor
    """Makes the polls of a message side by side."""
    letters: LetterBox
    """Takes messages that no job can be made of."""
    copies: CopyServices | None
    """Copies images, in a worker that does."""
    rescue: Rescue
    """Keeps outcomes of requests while Redis cannot serve."""

    @property
    def grace(self) -> float:
        """Seconds in which a callback may resolve a doubt."""
        return self.settings.in_doubt_seconds if self.settings.callback_url else 0.0


def make_ledger(settings: Settings, *, repeat: bool = True, memory: Memory | None = None) -> Ledger:
    """The ledger with these settings. The ledgers of one worker share its memory."""
    client = connect(settings.redis_url, timeout=settings.redis_timeout_seconds, repeat=repeat)
    request = settings.request_timeout_seconds + LEASE_MARGIN
    return Ledger(
        client,
        prefix=settings.prefix,
        leases=Leases(poll=request, send=request),
        durability=Durability(settings.durability),
        assumed={**USUAL, **{str(speed): usual for speed, usual in settings.usual_seconds.items()}},
        memory=memory,
    )


def make_provider(settings: Settings, account: AccountSettings) -> KieClient:
    """The client of kie.ai for an account of these settings."""
    total = settings.request_timeout_seconds
    return KieClient(
        api_url=settings.api_url,
        api_key=account.api_key,
        timeouts=Timeouts(read=total, total=total),
    )


def make_retries(settings: Settings) -> RetryPolicy:
    """The retry policy with these settings."""
    return RetryPolicy(
        max_attempts=settings.max_attempts,
        fault_attempts=settings.fault_attempts,
        generation_attempts=settings.generation_attempts,
        backoff=Backoff(settings.backoff_seconds, settings.backoff_max_seconds),
        pauses=Pauses(
            first=settings.pause_seconds,
            longest=settings.pause_max_seconds,
            trouble_jobs=settings.trouble_jobs,
            keys={
                name: key_name(account.api_key.get_secret_value())
                for name, account in settings.all_accounts().items()
            },
        ),
        random=Random(),
        callback_patience=settings.callback_patience_seconds if settings.callback_url else None,
    )


def copies_images(settings: Settings, app: Celery) -> bool:
    """True for a worker that copies images. Others need no access to the storage."""
    queues: Any = app.amqp.queues
    return bool(settings.copy_to) and settings.copies_queue in queues.consume_from


def make_services(settings: Settings, app: Celery) -> Services:
    """The services with these settings."""
    late = LatePolls()
    ledger = make_ledger(settings)
    accounts = settings.all_accounts()
    providers = {name: make_provider(settings, account) for name, account in accounts.items()}
    return Services(
        settings=settings,
        ledger=ledger,
        providers=providers,
        results=ResultStore(
            app,
            ledger,
            settings.result_ttl_seconds,
            late,
            beside_the_ledger=beside(ledger.store.redis, app.backend),
        ),
        policies=PollPolicies(
            ledger.durations.of,
            in_flight=ledger.accounts.in_flight,
            reads_per_second=sum(account.reads_per_second for account in accounts.values()),
            clock=time.monotonic,
            patience=settings.callback_patience_seconds if settings.callback_url else None,
        ),
        late_policy=late,
        retries=make_retries(settings),
        money=money(settings),
        # Enough that no poll that has begun waits for a thread. They are made when they are needed.
        readers=ThreadPoolExecutor(settings.concurrency * POLLS_IN_A_MESSAGE, "limner-poll"),
        letters=LetterBox(ledger.letters.put, secrets_of(settings)),
        copies=make_copies(settings, providers) if copies_images(settings, app) else None,
        rescue=Rescue(settings.rescue_folder),
    )
