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
    "wrong number of arguments",
    "syntax error",
    "unknown command",
    "unknown subcommand",
    "Unknown subcommand",
    "Unknown option",
    "value is not",
    "min or max is not",
    "timeout is ",
    "index out of range",
    "no such key",
    "source and destination objects are the same",
    "increment or decrement would overflow",
    "hash value is not",
    "The ID specified in XADD",
    "Invalid stream ID",
    "invalid expire time",
    "WATCH inside MULTI",
    "Number of keys",
    "user_script",
    "Error compiling script",
    "WAITAOF ",
    # The words of the ledger's own scripts.
    "BROKEN ",
    "NEWER ",
    "OLDER ",
    "ARGUMENT ",
)
"""The beginnings of errors about a command or its arguments, without ERR, which redis-py strips."""
_IN_PIPELINE: Final = " of pipeline caused error: "
"""The text before an error in a pipeline. redis-py puts the command and its arguments in front of it."""
_INSIDE: Final = re.compile(r"^Error running script .*?@user_script: ?\d+: -(?:ERR )?(.*)", re.DOTALL)
"""Redis 6.2 on an error of a command that a script has called. Later servers give the error itself."""
_CERTIFICATE: Final = ("certificate verify failed", "CERTIFICATE_VERIFY_FAILED", "Hostname mismatch")
_LONGEST: Final = 300


class CannotServe(redis.ConnectionError):
    """The server cannot serve on this connection, which is closed. ``__cause__`` is what it said."""


def said(error: BaseException) -> str:
    """The server's own words in an error, without the command that redis-py puts before them."""
    words = str(error).rpartition(_IN_PIPELINE)[2].removesuffix("',)")
    code = getattr(error, "status_code", None)
    return f"{code} {words}" if code and code != "ERR" and not words.startswith(f"{code} ") else words


def cannot_serve(error: BaseException) -> bool:
    """True if an error of the server is not about the command that it answers."""
    if isinstance(error, CannotServe):
        return True
    if not isinstance(error, redis.ResponseError) or isinstance(error, redis.exceptions.NoScriptError):
        return False
    words = said(error).removeprefix("ERR ")
    inside = _INSIDE.match(words)
    return not (inside[1] if inside else words).startswith(_OF_A_COMMAND)


def is_final(error: BaseException) -> bool:
    """True if trying again on a new connection cannot help: the settings of the connection are wrong."""
    return isinstance(error, redis.AuthenticationError) or _about_certificate(error)


def cause(error: BaseException) -> str:
    """The cause of a failed call as an operator would name it, with the server's words if there are some."""
    words = said(error)[:_LONGEST]
    if isinstance(error, CannotServe):
        return f"refuses to serve: {words}"
    if isinstance(error, redis.AuthenticationError):
        return "refused the credentials"
    if _about_certificate(error):
        return f"has a certificate that is not trusted: {words}"
    if "max number of clients reached" in words:
        return "has too many clients (its maxclients)"
    if isinstance(error, _POOL_EMPTY) or words in _POOL_WORDS:
        return "was not asked: all connections of this client are in use"
    if isinstance(error, redis.BusyLoadingError):
        return "is still loading its data"
    if any(isinstance(each, socket.gaierror) for each in _chain(error)) or "Name or service" in words:
        return "has a name that cannot be resolved"
    if isinstance(error, redis.TimeoutError):
        return "cannot be reached or did not answer in time (TimeoutError)"
    return f"cannot be reached ({type(error).__name__})"


_POOL_EMPTY: Final = getattr(redis.exceptions, "MaxConnectionsError", ())
_POOL_WORDS: Final = ("No connection available.", "Too many connections")


def _chain(error: BaseException | None) -> list[BaseException]:
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def _about_certificate(error: BaseException) -> bool:
    return any(
        isinstance(each, ssl.SSLCertVerificationError) or any(word in str(each) for word in _CERTIFICATE)
        for each in _chain(error)
    )
