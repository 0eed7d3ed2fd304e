"""The errors of a Redis: which of them are about the connection or the server, and not about a command.

Servers, proxies and managed services have words of their own for "not now, not here", and nobody can list
them all. So the list is of the errors that concern a command and its arguments. All others mean that this
server cannot serve on this connection.
"""

import re
import socket
import ssl
from typing import Final

import redis

_OF_A_COMMAND: Final = (
    "WRONGTYPE ",
    "BUSYGROUP ",
    "NOGROUP ",
    "CROSSSLOT ",
    "wrong number of arguments",
    "wrong number of args calling",
    "syntax error",
    "unknown command",
    "unknown subcommand",
    "unknown redis command called",
    "this redis command is not allowed from script",
    "unknown option",
    "value is not",
    "value is out of range",
    "min or max",
    "timeout is ",
    "index out of range",
    "no such key",
    "source and destination objects are the same",
    "increment or decrement would overflow",
    "hash value is not",
    "the id specified in xadd",
    "invalid stream id",
    "invalid expire time",
    "watch inside multi",
    "transaction discarded because of",
    "execabort ",
    "number of keys",
    "user_script:",
    "error compiling script",
    "script attempted to access",
    "waitaof cannot be used when",
    # The words of the ledger's own scripts.
    "BROKEN ",
    "NEWER ",
    "OLDER ",
    "ARGUMENT ",
)
"""The beginnings of errors about a command or its arguments, without ERR, which redis-py strips."""
_COMMANDS: Final = tuple(words.lower() for words in _OF_A_COMMAND)
_OF_RIGHTS: Final = ("noperm", "acl failure", "the user executing the script", "command is not permitted")
_OF_SETTINGS: Final = (
    "db index is out of range",
    "invalid db index",
    "select is not allowed in cluster mode",
)
_MISPLACED: Final = ("readonly", "moved ", "masterdown", "clusterdown", "you can't write against a read only")
_IN_PIPELINE: Final = " of pipeline caused error: "
"""The text before an error in a pipeline. redis-py puts the command and its arguments in front of it."""
_TUPLE: Final = re.compile(r"""^\((['"])(.*)\1,\)$""", re.DOTALL)
"""An error in an asynchronous pipeline."""
_SCRIPT: Final = re.compile(
    r"^(?:Error running script \(call to [^)]*\): )?(?:@user_script: ?\d+: )+-?", re.I
)
"""Redis 6.2 before an error of a command that a script has called. Later servers give the error itself."""
_ARGUMENTS: Final = re.compile(r",? ?with args beginning with:?.*", re.DOTALL)
"""The arguments of an unknown command, of which AUTH may be one."""
_CERTIFICATE: Final = ("certificate verify failed", "CERTIFICATE_VERIFY_FAILED", "Hostname mismatch")
_CLIENTS: Final = "max number of clients"
_LONGEST: Final = 300


class CannotServe(redis.ConnectionError):
    """The server cannot serve on this connection, which is closed. ``__cause__`` is what it said."""


class NotFound(redis.ConnectionError):
    """Nobody says where the server is. The text says what those answered that were asked."""


def said(error: BaseException) -> str:
    """The server's own words in an error, without the command that redis-py puts before them."""
    _, marker, words = str(error).rpartition(_IN_PIPELINE)
    if marker and (quoted := _TUPLE.match(words)):
        words = quoted[2]
    words = _ARGUMENTS.sub("", words)
    code = getattr(error, "status_code", None)
    return f"{code} {words}" if code and code != "ERR" and not words.startswith(f"{code} ") else words


def without_arguments(error: BaseException) -> BaseException:
    """The error itself, from whose words the arguments of an unknown command are taken: AUTH has a password.

    So they are in no traceback either.
    """
    for each in _chain(error):
        if isinstance(each, redis.RedisError):
            each.args = tuple(_ARGUMENTS.sub("", arg) if isinstance(arg, str) else arg for arg in each.args)
    return error


def cannot_serve(error: BaseException) -> bool:
    """True if an error of the server is not about the command that it answers."""
    if isinstance(error, CannotServe):
        return True
    if not isinstance(error, redis.ResponseError) or isinstance(error, _OF_A_COMMAND_CLASSES):
        return False
    return not _plain(error).startswith(_COMMANDS)


def lacks_a_right(error: BaseException) -> bool:
    """True if the user may not do what was asked. No other connection helps."""
    return isinstance(error, redis.exceptions.NoPermissionError) or _plain(error).startswith(_OF_RIGHTS)


def is_misplaced(error: BaseException) -> bool:
    """True if the server says that another one serves."""
    return isinstance(error, redis.exceptions.ReadOnlyError) or _plain(error).startswith(_MISPLACED)


def is_final(error: BaseException) -> bool:
    """True if trying again on a new connection cannot help: the settings of the connection are wrong."""
    return (
        isinstance(error, redis.AuthenticationError)
        or _about_certificate(error) is not None
        or (isinstance(error, CannotServe) and _plain(error).startswith(_OF_SETTINGS))
    )


def cause(error: BaseException) -> str:
    """The cause of a failed call as an operator would name it, with the server's words if there are some."""
    words = said(error)[:_LONGEST]
    if _CLIENTS in words:
        return "has too many clients (its maxclients)"
    if isinstance(error, CannotServe):
        return f"refuses to serve: {words}"
    if isinstance(error, NotFound):
        return f"is not to be found: {words}"
    if isinstance(error, redis.AuthenticationError):
        return "refused the credentials"
    if origin := _about_certificate(error):
        return f"has a certificate that is not trusted: {str(origin)[:_LONGEST]}"
    if isinstance(error, _POOL_EMPTY) or words in _POOL_WORDS:
        return "was not asked: all connections of this client are in use"
    if isinstance(error, redis.BusyLoadingError):
        return "is still loading its data"
    return f"cannot be reached{_of_network(error)}"


def _of_network(error: BaseException) -> str:
    chain = _chain(error)
    if any(isinstance(each, socket.gaierror) for each in chain):
        return ": its name cannot be resolved"
    if any(isinstance(each, ssl.SSLError) for each in chain):
        return ": there is no TLS on this port, or not its version"
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return " or did not answer in time (TimeoutError)"
    return f" ({type(error).__name__})"


_OF_A_COMMAND_CLASSES: Final = (redis.exceptions.NoScriptError, redis.exceptions.ExecAbortError)
_POOL_EMPTY: Final = getattr(redis.exceptions, "MaxConnectionsError", ())
_POOL_WORDS: Final = ("No connection available.", "Too many connections")


def _plain(error: BaseException) -> str:
    """The words of an error in small letters, from the error of the command on that a script has called."""
    inside = _SCRIPT.sub("", said(error).removeprefix("ERR "))
    return inside.removeprefix("ERR ").lower()


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _about_certificate(error: BaseException) -> BaseException | None:
    """The refusal of a certificate that led to an error."""
    for each in reversed(_chain(error)):
        if isinstance(each, ssl.SSLCertVerificationError) or any(word in str(each) for word in _CERTIFICATE):
            return each
    return None
