"""Connections to Redis: one dialect of URLs, calls bounded in time, and connections that serve or close."""

from limner._redis.addresses import SCHEMES, Address, Kind, parse
from limner._redis.clients import (
    CLASSES,
    DEFAULT_TIMEOUT,
    address,
    address_of,
    check_url,
    connect,
    connect_async,
    make_pool,
    same_database,
)
from limner._redis.connections import Serving
from limner._redis.errors import async_store_errors, cancellations, record_error, store_errors
from limner._redis.faults import CannotServe, cannot_serve, said

__all__ = [
    "CLASSES",
    "DEFAULT_TIMEOUT",
    "SCHEMES",
    "Address",
    "CannotServe",
    "Kind",
    "Serving",
    "address",
    "address_of",
    "async_store_errors",
    "cancellations",
    "cannot_serve",
    "check_url",
    "connect",
    "connect_async",
    "make_pool",
    "parse",
    "record_error",
    "said",
    "same_database",
    "store_errors",
]
