"""The examination of a whole fleet, on demand: ``python -m limner doctor``."""

import queue
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from config import Settings, SettingsError, load
from limner.errors import LimnerError
from limner.ledger import Ledger
from worker.application import build_app
from worker.health.account_checks import check_accounts
from worker.health.callback_checks import check_callbacks
from worker.health.celery_checks import check_backend, check_broker
from worker.health.copy_checks import check_copies, check_storage
from worker.health.findings import Finding, Verdict, fail, ok, warn
from worker.health.memory_checks import check_memory
from worker.health.provider_checks import check_provider, check_provider_clock
from worker.health.rights import check_rights
from worker.health.store_checks import check_clock, check_layout, check_losses, check_server
from worker.services import make_ledger, make_provider

SETTINGS: Final = "settings"
PATIENCE: Final = 25.0
"""Seconds for one check. Each has shorter time-outs of its own, apart from the look-up of names."""

Check = tuple[str, Callable[[], Iterable[Finding]]]


def examine() -> Iterator[Finding]:
    """Check the settings of this process and all that they lead to; yields each finding when it is there."""
    settings, about_settings = check_settings()
    yield from about_settings
    if settings is None:
        return
    ledger = make_ledger(settings)
    unreachable = bounded("redis", partial(_reach, ledger))
    yield from unreachable
    has_keys = all(finding.verdict is not Verdict.FAIL for finding in about_settings)
    for check, act in _checks(settings, ledger, reachable=not unreachable, has_keys=has_keys):
        yield from bounded(check, act)


def _checks(settings: Settings, ledger: Ledger, *, reachable: bool, has_keys: bool) -> Iterator[Check]:
    app = build_app(settings)
    if reachable:
        yield "redis", partial(check_server, settings, ledger)
        yield "memory", partial(check_memory, settings, ledger)
        yield "rights", partial(check_rights, ledger, waits=settings.durability != "server")
        yield "ledger", partial(check_layout, ledger)
        yield "losses", partial(check_losses, ledger)
        yield "clock", partial(check_clock, ledger)
    yield "broker", partial(check_broker, settings, app)
    yield "results", partial(check_backend, settings, app)
    if has_keys:
        yield "provider", partial(check_provider, settings)
        yield "clock", partial(check_provider_clock, settings.api_url)
    if reachable and has_keys:
        yield "accounts", partial(check_accounts, settings, ledger)
    yield "copies", partial(check_storage, settings)
    if reachable:
        yield "copies", partial(check_copies, ledger)
        yield "callbacks", partial(check_callbacks, settings, ledger)


def _reach(ledger: Ledger) -> Iterable[Finding]:
    with ledger.store.client() as client:
        client.ping()
    return ()


def check_settings() -> tuple[Settings | None, list[Finding]]:
    """The settings, None if they cannot be read, and the findings about them."""
    findings = []
    settings: Settings | None = None
    with warnings.catch_warnings(record=True) as misspelt:
        warnings.simplefilter("always", UserWarning)
        try:
            settings = load()
            _check_accounts(settings)
        except (SettingsError, LimnerError) as error:
            findings += [fail(SETTINGS, line) for line in str(error).splitlines()]
    findings += [warn(SETTINGS, str(each.message), "correct its name, or remove it") for each in misspelt]
    return settings, findings or [ok(SETTINGS, "all can be used")]


def _check_accounts(settings: Settings) -> None:
    accounts = settings.all_accounts()
    if not accounts:
        raise SettingsError("LIMNER_API_KEY: not set; workers need it, or LIMNER_ACCOUNTS")
    for account in accounts.values():
        make_provider(settings, account).close()


def bounded(check: str, act: Callable[[], Iterable[Finding]], seconds: float = PATIENCE) -> list[Finding]:
    """The findings of a check, and one about it if it fails or does not end in time."""
    done: queue.SimpleQueue[list[Finding]] = queue.SimpleQueue()
    threading.Thread(target=lambda: done.put(_findings(check, act)), daemon=True).start()
    try:
        return done.get(timeout=seconds)
    except queue.Empty:
        return [fail(check, f"it did not end within {seconds:g} s", "check the network and its name server")]


def _findings(check: str, act: Callable[[], Iterable[Finding]]) -> list[Finding]:
    findings: list[Finding] = []
    try:
        # What was found before an error stays in the list.
        findings.extend(act())
    except LimnerError as error:
        findings.append(fail(check, str(error)))
    except Exception as error:
        # The text may quote a URL with its password.
        advice = "please report it"
        findings.append(fail(check, f"the doctor itself has a fault: {type(error).__name__}", advice))
    return findings
