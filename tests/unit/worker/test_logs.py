import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import Settings
from config.accounts import AccountOptions
from worker.logs import Redacting, cover_handlers, hide_secrets, quieten, secrets_of

LOGGERS = [logging.getLogger(name) for name in ("celery.worker.strategy", "celery.app.trace")]


@pytest.fixture(autouse=True)
def levels_as_they_were() -> Iterator[None]:
    before = [logger.level for logger in LOGGERS]
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)
    for logger, level in zip(LOGGERS, before, strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize(
    ("asked_for", "level"),
    [
        (logging.DEBUG, logging.NOTSET),
        (logging.INFO, logging.WARNING),
        (logging.WARNING, logging.WARNING),
        (logging.ERROR, logging.ERROR),
    ],
)
def test_lines_for_each_step_are_logged_only_at_debug(asked_for: int, level: int) -> None:
    for logger in LOGGERS:
        logger.setLevel(logging.NOTSET)
    quieten(loglevel=asked_for, logfile=None)
    assert [logger.level for logger in LOGGERS] == [level, level]


KEY, HOOK_KEY, PASSWORD = "sk-live-4f0c9a5be1d24772", "whsec-4f0c9a5be1d24772", "pa%73s-word-of-redis"
SETTINGS = Settings(
    redis_url=f"redis://user:{PASSWORD}@127.0.0.1:1/0",
    broker_url="redis://:short@127.0.0.1:1/1",
    api_key=KEY,
    callback_hmac_key=HOOK_KEY,
)


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The output of the handler of a library's own logger."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(message)s %(headers)s", defaults={"headers": ""}))
    logger = logging.getLogger("a_library")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield written
    logger.removeHandler(handler)


def test_the_secrets_are_the_keys_and_the_long_passwords() -> None:
    assert secrets_of(SETTINGS) == (KEY, HOOK_KEY, PASSWORD, "pass-word-of-redis")


def test_the_keys_of_all_accounts_are_secrets_as_far_as_they_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("KEY_OF_TWO", "key-of-account-two")
    (tmp_path / "one").write_text("key-of-account-one\n")
    references = {"one": "file:one", "two": "env:KEY_OF_TWO", "three": "file:missing"}
    accounts = {name: AccountOptions(key=key) for name, key in references.items()}
    settings = Settings(redis_url="redis://127.0.0.1:1/0", accounts=accounts)
    assert secrets_of(settings) == ("key-of-account-one", "key-of-account-two")


def test_no_logger_shows_a_secret_in_a_message_or_a_traceback(log: io.StringIO) -> None:
    hide_secrets(SETTINGS)
    logger = logging.getLogger("a_library")
    logger.debug("headers %s", {"Authorization": f"Bearer {KEY}"})
    try:
        raise ValueError(f"{HOOK_KEY} at redis://user:{PASSWORD}@127.0.0.1:1/0")
    except ValueError:
        logger.exception("POST https://hooks.example.test/callbacks/job-7/s3cret")
    told = log.getvalue()
    assert "ValueError: *** at redis://user:***@127.0.0.1:1/0" in told
    assert "{'Authorization': 'Bearer ***'}" in told
    assert "/callbacks/…" in told
    assert not any(secret in told for secret in (KEY, HOOK_KEY, PASSWORD, "s3cret"))


def test_no_handler_shows_a_secret_in_an_added_field(log: io.StringIO) -> None:
    hide_secrets(SETTINGS)
    logging.getLogger("a_library").debug("sent", extra={"headers": {"Authorization": f"Bearer {KEY}"}})
    assert log.getvalue() == "sent {'Authorization': 'Bearer ***'}\n"


def test_a_handler_that_is_added_later_is_covered_by_celery_s_signal(log: io.StringIO) -> None:
    handler = logging.getLogger("a_library").handlers[0]
    logging.getLogger("a_library").removeHandler(handler)
    hide_secrets(SETTINGS)
    logging.getLogger("a_library").addHandler(handler)
    cover_handlers(sender=None, logger=None, loglevel=20)
    logging.getLogger("a_library").debug("sent", extra={"headers": KEY})
    assert log.getvalue() == "sent ***\n"


def test_hiding_twice_costs_once_and_keeps_the_secrets_of_both(log: io.StringIO) -> None:
    hide_secrets(SETTINGS)
    hide_secrets(SETTINGS.model_copy(update={"api_key": None, "callback_hmac_key": None}))
    made = logging.getLogRecordFactory()
    assert isinstance(made, Redacting)
    assert not isinstance(made.made, Redacting)
    assert KEY not in repr(made)
    logging.getLogger("a_library").debug(KEY)
    assert log.getvalue() == "*** \n"
    assert len(logging.getLogger("a_library").handlers[0].filters) == 1


def test_nothing_is_covered_without_secrets(log: io.StringIO) -> None:
    cover_handlers()
    assert logging.getLogger("a_library").handlers[0].filters == []
    assert log.getvalue() == ""
