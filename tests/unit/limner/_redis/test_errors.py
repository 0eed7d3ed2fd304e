"""URLs of a Redis, and its errors raised as ours. No connection is made."""

import pytest
import redis

from limner._redis import address, cannot_serve, check_url, connect, record_error, store_errors
from limner.errors import ConfigurationError, NotDurable, RecordTooNew, RecordUnreadable, StoreUnavailable

URL = "redis://:hush@127.0.0.1:1/0"


@pytest.mark.parametrize(
    "url",
    [
        "redis://host",
        "redis://:pass%2Fword@host:6380/3",
        "rediss://host:6380",
        "unix:///run/redis.sock?db=2",
        "redis://[::1]:6379/0",
    ],
)
def test_the_url_of_a_redis_is_returned_without_surrounding_space(url: str) -> None:
    assert check_url(f" {url}\n", "LIMNER_REDIS_URL") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:6379",
        "http://:hush@host",
        "unix://",
        "redis://:hush@host:port/0",
        "redis://:hush@host/zero",
        "redis://:hush@host:6379/0?socket_timeout=soon",
    ],
)
def test_what_is_no_url_of_a_redis_is_refused_by_its_setting_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^THE_SETTING: not the URL of a Redis") as refused:
        check_url(url, "THE_SETTING")
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "where"),
    [
        (URL, "127.0.0.1:1"),
        ("redis://", "localhost:6379"),
        ("unix://:hush@/run/redis.sock", "/run/redis.sock"),
    ],
)
def test_an_address_holds_no_credentials(url: str, where: str) -> None:
    assert address(connect(url)) == where


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (redis.exceptions.OutOfMemoryError("command not allowed"), True),
        (redis.exceptions.ReadOnlyError("You can't write"), True),
        (redis.ResponseError("MISCONF Errors writing to the AOF file"), True),
        (redis.ResponseError("NOREPLICAS Not enough good replicas to write."), True),
        (redis.ResponseError("Command # 1 (GET 'a') of pipeline caused error: MISCONF Errors"), True),
        (
            redis.ResponseError(
                "Command # 1 (GET 'MISCONF ') of pipeline caused error: ERR value is not an integer"
            ),
            False,
        ),
        (redis.ResponseError("WRONGTYPE Operation against a key"), False),
    ],
)
def test_a_server_that_refuses_to_serve_is_told_from_a_command_that_fails(
    error: Exception, refused: bool
) -> None:
    assert cannot_serve(error) is refused


def test_a_record_of_a_newer_version_asks_for_an_update() -> None:
    error = record_error("NEWER job j1 has version 9")
    assert isinstance(error, RecordTooNew)
    assert str(error) == "job j1 has version 9: update this installation"


def test_a_record_of_an_older_version_is_to_be_finished_by_its_workers() -> None:
    error = record_error("OLDER job j1 has version 1")
    assert isinstance(error, RecordUnreadable)
    assert "let workers of the version that wrote it finish its jobs" in str(error)


def test_a_broken_record_is_told_as_the_script_says_it() -> None:
    assert str(record_error("BROKEN job j1 has no state")) == "job j1 has no state"


def test_other_words_of_a_script_are_about_no_record() -> None:
    assert record_error("ERR unknown command") is None


@pytest.mark.parametrize(
    ("raised", "told", "words"),
    [
        (redis.ConnectionError("refused"), StoreUnavailable, "127.0.0.1:1 cannot be reached"),
        (redis.TimeoutError("slow"), StoreUnavailable, r"\(TimeoutError\); LIMNER_REDIS_URL"),
        (OSError("gone"), StoreUnavailable, "cannot be reached"),
        (redis.AuthenticationError("WRONGPASS"), StoreUnavailable, "refused the credentials"),
        (redis.ResponseError("MISCONF no disk"), StoreUnavailable, "refuses to serve: MISCONF no disk"),
        (redis.ResponseError("BROKEN job j1"), RecordUnreadable, "^job j1$"),
        (redis.ResponseError("WRONGTYPE no"), redis.ResponseError, "WRONGTYPE no"),
        (NotDurable("not on the disk"), NotDurable, "not on the disk"),
    ],
)
def test_an_error_of_redis_is_told_as_ours(raised: Exception, told: type[Exception], words: str) -> None:
    with pytest.raises(told, match=words), store_errors(connect(URL)):
        raise raised
