"""The log lines about accounts that were closed or opened."""

import json
import logging
from typing import Any

import pytest

from limner.ledger.news import report

PAUSED: dict[str, Any] = {
    "event": "paused",
    "account": "north",
    "cause": "gateway",
    "seconds": 5.0,
    "others": 0,
    "error": {"http_status": 502, "message": "Bad Gateway"},
}
RESUMED: dict[str, Any] = {
    "event": "resumed",
    "account": "north",
    "cause": "gateway",
    "seconds": 35.0,
    "others": 0,
}


def logged(caplog: pytest.LogCaptureFixture, event: dict[str, Any], **changes: Any) -> tuple[str, str]:
    caplog.set_level(logging.INFO)
    report(json.dumps({**event, **changes}))
    [record] = caplog.records
    return record.levelname, record.getMessage()


def test_an_account_that_closes_is_an_error_that_says_why(caplog: pytest.LogCaptureFixture) -> None:
    level, text = logged(caplog, PAUSED)
    assert level == "ERROR"
    assert text == (
        "account north is closed: gateway (http_status 502: Bad Gateway); its jobs wait, and one request is "
        "tried in 5 s"
    )


def test_an_account_that_opens_is_an_error_line_as_well(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, RESUMED) == ("ERROR", "account north is open again after 35 s (gateway)")


@pytest.mark.parametrize("event", [PAUSED, RESUMED])
def test_trouble_of_the_whole_endpoint_is_told_once(
    caplog: pytest.LogCaptureFixture, event: dict[str, Any]
) -> None:
    level, text = logged(caplog, event, others=2)
    assert level == "INFO"
    assert "2 other accounts" in text


def test_a_refusal_of_one_account_is_told_whatever_the_others_do(caplog: pytest.LogCaptureFixture) -> None:
    assert logged(caplog, PAUSED, cause="no_credits", others=2)[0] == "ERROR"


def test_no_news_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    report("")
    assert caplog.records == []
