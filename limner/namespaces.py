"""Namespaces: producers of one fleet whose idempotency keys, lanes and listings are apart.

They keep honest producers out of each other's way. They are no security boundary: whoever has the Redis has
all of them.
"""

import os
from typing import Final

from limner.configuration import checked_name

_SEPARATOR: Final = "/"


def checked_namespace(value: str, name: str = "namespace") -> str:
    """A namespace, or an empty text for none; raises ConfigurationError, which names the argument."""
    return value if value == "" else checked_name(value, name)


def namespace_of_env() -> str:
    """``LIMNER_NAMESPACE``, or an empty text; raises ConfigurationError if it cannot be a namespace."""
    return checked_namespace(os.environ.get("LIMNER_NAMESPACE", "").strip(), "LIMNER_NAMESPACE")


def key_label(namespace: str, digest: str) -> str:
    """The idempotency key with that digest as the ledger has it. No digest has a colon."""
    return f"{namespace}:{digest}" if namespace else digest


def lane_label(namespace: str, lane: str | None) -> str | None:
    """The lane as the ledger has it, with the namespace: ``shop/tenant-42``, or ``shop/`` without a lane."""
    return f"{namespace}{_SEPARATOR}{lane or ''}" if namespace else lane


def lane_named(label: str | None, namespace: str) -> str | None:
    """The lane that the producer named, from that name."""
    if label is None or not namespace:
        return label
    return label.removeprefix(namespace + _SEPARATOR) or None
