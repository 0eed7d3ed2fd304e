"""The services with given settings. Nothing connects."""

from typing import Any

import pytest
from celery import Celery
from pydantic import SecretStr

from config import Settings
from worker.limits.quota import key_name
from worker.services import (
    LEASE_MARGIN,
    POLLS_IN_A_MESSAGE,
    Services,
    make_ledger,
    make_retries,
    make_services,
)

HOOK = {"callback_url": "https://hooks.example.test"}
TWO = {"accounts": {"north": {"key": "env:KEY_OF_THE_NORTH"}, "south": {"key": "env:KEY_OF_THE_SOUTH"}}}


def settings(**given: Any) -> Settings:
    return Settings(redis_url="redis://127.0.0.1:1/0", **given)


def services(**given: Any) -> Services:
    return make_services(
        settings(**given), Celery("services", backend="cache+memory://", set_as_current=False)
    )


def test_a_lease_outlasts_the_longest_request() -> None:
    leases = make_ledger(settings(request_timeout_seconds=33)).leases
    assert (leases.send, leases.poll) == (33 + LEASE_MARGIN, 33 + LEASE_MARGIN)


def test_there_is_a_client_for_each_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KEY_OF_THE_NORTH", "KEY_OF_THE_SOUTH"):
        monkeypatch.setenv(name, f"a-{name}")
    assert set(services(**TWO).providers) == {"north", "south"}


def test_a_doubt_waits_only_for_callbacks_that_may_come() -> None:
    assert services(in_doubt_seconds=300).grace == 0.0
    assert services(in_doubt_seconds=300, **HOOK).grace == 300


def test_a_thread_is_there_for_each_poll_that_can_be_under_way() -> None:
    readers: Any = services(concurrency=3).readers
    assert readers._max_workers == 3 * POLLS_IN_A_MESSAGE


@pytest.mark.parametrize(("given", "patience"), [({}, None), (HOOK, 45.0)])
def test_a_server_fault_waits_only_for_callbacks_that_may_come(
    given: dict[str, str], patience: float | None
) -> None:
    assert make_retries(settings(callback_patience_seconds=45, **given)).callback_patience == patience


def test_back_off_and_attempts_are_those_of_the_settings() -> None:
    retries = make_retries(settings(max_attempts=4, backoff_seconds=3, backoff_max_seconds=50))
    assert (retries.max_attempts, retries.backoff.base, retries.backoff.cap) == (4, 3, 50)


def test_pauses_and_the_breaker_are_those_of_the_settings() -> None:
    pauses = make_retries(settings(pause_seconds=6, pause_max_seconds=90, trouble_jobs=5)).pauses
    assert (pauses.first, pauses.longest, pauses.trouble_jobs) == (6, 90, 5)


def test_repetitions_that_may_cost_something_have_bounds_of_their_own() -> None:
    retries = make_retries(settings(fault_attempts=2, generation_attempts=4))
    assert (retries.fault_attempts, retries.generation_attempts) == (2, 4)


def test_a_pause_knows_an_account_s_key_by_its_name() -> None:
    one = settings(api_key=SecretStr("a-key"))
    assert make_retries(one).pauses.keys == {"main": key_name("a-key")}
