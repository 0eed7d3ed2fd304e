"""Errors of real servers, read by redis-py's own parser: whose fault each is."""

import socket
import ssl
import traceback
from typing import Any

import pytest
import redis
from redis._parsers.base import BaseParser

from limner._redis import CannotServe, cannot_serve, said
from limner._redis.faults import NotFound, cause, is_final, is_misplaced, lacks_a_right, without_arguments

OF_62 = "ERR Error running script (call to f_4ca8dc1ad85c5c5a4a3b7e4ba28e9ac9e4a2d9c8): "
OF_7 = " script: 4ca8dc1ad85c5c5a4a3b7e4ba28e9ac9e4a2d9c8, on @user_script:12."

OF_THE_SERVER = [
    "READONLY You can't write against a read only replica.",
    "READONLY You can't write against a read only slave.",
    "LOADING Redis is loading the dataset in memory",
    "LOADING Valkey is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MASTERDOWN Link with MASTER is down and slave-serve-stale-data is set to 'no'.",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "BUSY Valkey is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.",
    "CLUSTERDOWN The cluster is down",
    "CLUSTERDOWN Hash slot not served",
    "MOVED 3999 127.0.0.1:6381",
    "ASK 3999 127.0.0.1:6381",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    "NOREPLICAS Not enough good replicas to write.",
    "NOMASTERLINK Can't SYNC while not connected with my master",
    "REDIRECT 10.0.0.7:6379",
    "FAILOVER the primary hands over",
    "ERR max number of clients reached",
    "ERR max number of clients + cluster connections reached",
    "ERR Script killed by user with SCRIPT KILL.",
    f"ERR Script killed by user with SCRIPT KILL.{OF_7}",
    "ERR WAIT cannot be used with replica instances.",
    "ERR WAITAOF cannot be used with replica instances. Please also note that writes are not accepted.",
    "ERR failover in progress",
    "ERR Protocol error: invalid multibulk length",
    "ERR DB index is out of range",
    "ERR MULTI calls can not be nested",
    "NOAUTH Authentication required.",
    "WRONGPASS invalid username-password pair or user is disabled.",
    "DENIED Redis is running in protected mode because protected mode is enabled",
    "NOPROTO unsupported protocol version",
    # inside a script, as 6.2 and 7 say it
    f"{OF_62}@user_script:16: @user_script: 16: -READONLY You can't write against a read only replica.",
    f"{OF_62}@user_script:16: -OOM command not allowed when used memory > 'maxmemory'.",
    f"{OF_62}@user_script: 16: -MISCONF Errors writing to the AOF file: No space left on device",
    f"{OF_62}@user_script:1: -CLUSTERDOWN The cluster is down",
    f"READONLY You can't write against a read only replica.{OF_7}",
    f"OOM command not allowed when used memory > 'maxmemory'.{OF_7}",
    f"MISCONF Errors writing to the AOF file: No space left on device{OF_7}",
    f"NOREPLICAS Not enough good replicas to write.{OF_7}",
    f"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.{OF_7}",
    # managed services and proxies
    "ERR max daily request limit exceeded. Limit: 10000, Usage: 10000.",
    "ERR max request size exceeded. Limit: 1048576 bytes, Actual: 1100000 bytes.",
    "ERR max concurrent connections exceeded",
    "ERR Your database has been suspended",
    "ERR unavailable, please retry later",
    "ERR server is unavailable",
    "ERR upstream failure",
    "upstream failure",
    "no upstream host",
    "ERR proxy: backend connection refused",
    "ERR Server closed connection",
    "ERR illegal address: 10.1.2.3:4000",
    "ERR invalid DB index",
    "RATELIMITED try again in 30 seconds",
    "EXHAUSTED the plan's bandwidth is used up",
    "",
]
OF_RIGHTS = [
    "NOPERM this user has no permissions to run the 'evalsha' command",
    "NOPERM No permissions to access a key",
    "NOPERM User app has no permissions to access the 'limner' channel",
    f"{OF_62}@user_script:5: NOPERM this user has no permissions to run the 'get' command",
    f"{OF_62}@user_script: 5: The user executing the script can't run this command or subcommand",
    f"{OF_62}@user_script:5: -NOPERM this user has no permissions to run the 'get' command",
    f"ERR ACL failure in script: User app has no permissions to run the 'get' command{OF_7}",
    f"NOPERM User app has no permissions to run the 'xadd' command{OF_7}",
]
OF_A_COMMAND = [
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    "ERR value is not an integer or out of range",
    "ERR value is not a valid float",
    "ERR hash value is not an integer",
    "ERR wrong number of arguments for 'get' command",
    "ERR syntax error",
    "ERR Syntax error, try CLIENT (LIST | KILL | GETNAME | SETNAME | PAUSE | REPLY)",
    "ERR unknown command 'EVALSHA', with args beginning with: 'hush' '1' ",
    "ERR unknown command `HELLO`, with args beginning with: `3`, ",
    "ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.",
    "ERR Unknown subcommand or wrong number of arguments for 'SETINFO'. Try CLIENT HELP.",
    "ERR no such key",
    "ERR index out of range",
    "ERR invalid expire time in 'set' command",
    "ERR min or max is not a float",
    "ERR timeout is negative",
    "ERR The ID specified in XADD is equal or smaller than the target stream top item",
    "ERR Number of keys can't be greater than number of args",
    "ERR increment or decrement would overflow",
    "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
    "ERR Error compiling script (new function): user_script:1: '=' expected near 'x'",
    "BUSYGROUP Consumer Group name already exists",
    "NOGROUP No such key 'events' or consumer group 'g'",
    "EXECABORT Transaction discarded because of previous errors.",
    "CROSSSLOT Keys in request don't hash to the same slot",
    "NOSCRIPT No matching script. Please use EVAL.",
    f"{OF_62}@user_script:3: user_script:3: attempt to index field '?' (a nil value)",
    f"{OF_62}@user_script:3: WRONGTYPE Operation against a key holding the wrong kind of value",
    f"{OF_62}@user_script:3: ERR value is not an integer or out of range",
    f"{OF_62}@user_script:3: @user_script: 3: Unknown Redis command called from Lua script",
    f"{OF_62}@user_script: 3: Wrong number of args calling Redis command From Lua script",
    f"ERR user_script:3: attempt to index field '?' (a nil value){OF_7}",
    f"WRONGTYPE Operation against a key holding the wrong kind of value{OF_7}",
    f"ERR Unknown Redis command called from script{OF_7}",
    f"ERR Script attempted to access nonexistent global variable 'x'{OF_7}",
    "BROKEN job j1 has no state",
    "NEWER job j1 has version 9",
    "OLDER job j1 has version 1",
    "ARGUMENT now is no number",
]


def read(line: str) -> Exception:
    """An error as redis-py makes it of a server's line."""
    parser: Any = BaseParser
    error: Exception = parser.parse_error(line)
    return error


def in_pipelines(error: Exception) -> list[Exception]:
    """The same error as blocking and asynchronous pipelines of redis-py raise it."""
    before = "Command # 1 (EVALSHA READONLY BUSY WRONGTYPE ) of pipeline caused error: "
    return [redis.ResponseError(before + each) for each in (str(error), f"{error.args}")]


def is_served(error: Exception) -> bool:
    """False if the error means that the server cannot serve, or that there is no connection to it."""
    return not cannot_serve(error) and not isinstance(error, redis.ConnectionError)


@pytest.mark.parametrize("line", OF_THE_SERVER)
def test_an_error_of_the_server_ends_the_connection(line: str) -> None:
    error = read(line)
    assert not is_served(error)
    assert not lacks_a_right(error)


@pytest.mark.parametrize("line", OF_RIGHTS)
def test_a_missing_right_is_told_at_once(line: str) -> None:
    error = read(line)
    assert cannot_serve(error)
    assert lacks_a_right(error)


@pytest.mark.parametrize("line", OF_A_COMMAND)
def test_an_error_of_a_command_is_the_callers(line: str) -> None:
    error = read(line)
    assert is_served(error)
    assert not lacks_a_right(error)


@pytest.mark.parametrize("line", ["WRONGTYPE Operation against a key", "value is not an integer"])
def test_an_error_of_a_command_is_the_callers_in_a_pipeline_too(line: str) -> None:
    for error in in_pipelines(read(line)):
        assert is_served(error)
        assert said(error) == line


def test_an_error_of_the_server_is_seen_in_a_pipeline() -> None:
    for error in in_pipelines(read("MISCONF Errors writing to the AOF file: 'No space' left")):
        assert cannot_serve(error)
        assert said(error).startswith("MISCONF Errors writing")


def test_an_error_does_not_show_the_arguments_of_a_command() -> None:
    error = read("ERR unknown command 'AUTH', with args beginning with: 'hush' ")
    assert said(error).removeprefix("ERR ") == "unknown command 'AUTH'"


@pytest.mark.parametrize(
    ("line", "misplaced"),
    [
        ("READONLY You can't write against a read only replica.", True),
        (f"{OF_62}@user_script:1: -READONLY You can't write against a read only replica.", True),
        ("MOVED 3999 127.0.0.1:6381", True),
        ("CLUSTERDOWN The cluster is down", True),
        ("BUSY Redis is busy running a script.", False),
        ("ASK 3999 127.0.0.1:6381", False),
    ],
)
def test_a_server_that_is_not_the_one_is_told_from_one_that_is_busy(line: str, misplaced: bool) -> None:
    assert is_misplaced(read(line)) is misplaced


def refused(line: str) -> CannotServe:
    return CannotServe(said(read(line)))


def raised_from(error: Exception, origin: BaseException) -> Exception:
    error.__cause__ = origin
    return error


@pytest.mark.parametrize(
    ("error", "words", "final"),
    [
        (
            refused("OOM command not allowed when used memory > 'maxmemory'."),
            "command not allowed when",
            False,
        ),
        (refused("BUSY Redis is busy running a script."), "refuses to serve: BUSY Redis is busy", False),
        (refused("ERR DB index is out of range"), "refuses to serve: DB index is out of range", True),
        (read("ERR max number of clients reached"), "has too many clients", False),
        (refused("ERR max number of clients + cluster connections reached"), "has too many clients", False),
        (read("WRONGPASS invalid username-password pair"), "refused the credentials", True),
        (read("NOAUTH Authentication required."), "refused the credentials", True),
        (read("LOADING Redis is loading the dataset in memory"), "is still loading its data", False),
        (NotFound("no Sentinel"), "is not to be found: no Sentinel", False),
        (redis.ConnectionError("No connection available."), "all connections of this client", False),
        (
            raised_from(redis.ConnectionError("x"), socket.gaierror(-2, "unknown")),
            "cannot be resolved",
            False,
        ),
        (
            raised_from(redis.ConnectionError("x"), ssl.SSLCertVerificationError(1, "self-signed")),
            "certificate that is not trusted",
            True,
        ),
        (raised_from(redis.ConnectionError("x"), ssl.SSLError(1, "WRONG_VERSION")), "no TLS on this", False),
        (redis.TimeoutError("slow"), "did not answer in time", False),
        (redis.ConnectionError("gone"), "cannot be reached (ConnectionError)", False),
    ],
)
def test_an_error_names_its_cause(error: Exception, words: str, final: bool) -> None:
    assert words in cause(error)
    assert is_final(error) is final


def test_the_arguments_of_an_unknown_command_are_in_no_traceback() -> None:
    def fail() -> None:
        try:
            raise redis.ResponseError("unknown command 'AUTH', with args beginning with: 'limner' 'hunter2'")
        except redis.ResponseError as error:
            raise redis.ConnectionError("the handshake has failed") from error

    with pytest.raises(redis.ConnectionError) as failed:
        fail()
    told = "".join(traceback.format_exception(without_arguments(failed.value)))
    assert "unknown command 'AUTH'" in told
    assert "ResponseError: unknown command 'AUTH'\n" in told
