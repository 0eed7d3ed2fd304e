"""The client for kie.ai's job API, and the tables of what its answers mean."""

from provider.answers import (
    Accepted,
    Cause,
    CreateAnswer,
    Disposition,
    Done,
    FailCause,
    Failed,
    NoRecord,
    Pending,
    RecordAnswer,
    Refused,
    Trouble,
    Unknown,
    Unreadable,
    Why,
)
from provider.client import KieClient, ProviderError, Timeouts
from provider.prices import PRICES, PriceList, price
from provider.reading import read_create, read_credits, read_record
from provider.records import callback_url
from provider.redaction import Redactor
from provider.wire import create_body, request_digest

__all__ = [
    "PRICES",
    "Accepted",
    "Cause",
    "CreateAnswer",
    "Disposition",
    "Done",
    "FailCause",
    "Failed",
    "KieClient",
    "NoRecord",
    "Pending",
    "PriceList",
    "ProviderError",
    "RecordAnswer",
    "Redactor",
    "Refused",
    "Timeouts",
    "Trouble",
    "Unknown",
    "Unreadable",
    "Why",
    "callback_url",
    "create_body",
    "price",
    "read_create",
    "read_credits",
    "read_record",
    "request_digest",
]
