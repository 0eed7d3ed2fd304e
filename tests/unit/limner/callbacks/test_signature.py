"""The provider's signature of a callback."""

import pytest
from pydantic import SecretStr

from limner.callbacks import Refusal
from limner.callbacks.signature import SIGNATURE, TIMESTAMP, WINDOW, check, signature

KEY = SecretStr("example-webhook-key")
TASK = "3f0c9a5be1d24772a86b1d0e5c94f1aa"
SIGNED_AT = 1767225600
VECTOR = "QjEsOPAIYGUhfxLJfHjjlT2TwBB4uor1+4eN1VoiCc4="  # contract 3.2


def headers(timestamp: str = str(SIGNED_AT), signed: str = VECTOR) -> dict[str, str]:
    return {TIMESTAMP: timestamp, SIGNATURE: signed}


def test_the_signature_is_the_provider_s() -> None:
    assert signature(KEY, TASK, str(SIGNED_AT)).decode() == VECTOR
    assert check(KEY, TASK, headers(), SIGNED_AT) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {TIMESTAMP: str(SIGNED_AT)},
        {SIGNATURE: VECTOR},
        headers(signed=""),
        headers(signed=VECTOR[:-1]),
        headers(signed=VECTOR.lower()),
        headers(signed="not base64 at all"),
        headers(signed="ключ"),
        headers(signed="\ud800"),
        headers(signed="A" * 60_000),
        headers(timestamp=str(SIGNED_AT + 1)),
        headers(timestamp="0" + str(SIGNED_AT)),
        headers(timestamp=""),
        headers(timestamp=f"{SIGNED_AT}.0"),
        headers(timestamp="-5"),
        headers(timestamp="nan"),
        headers(timestamp="9" * 5000),
        headers(timestamp="١٧٦٧٢٢٥٦٠٠"),
    ],
)
def test_any_other_signature_is_refused(wrong: dict[str, str]) -> None:
    assert check(KEY, TASK, wrong, SIGNED_AT) is Refusal.BAD_SIGNATURE


def test_a_signature_is_of_one_task_and_one_key() -> None:
    assert check(KEY, TASK[::-1], headers(), SIGNED_AT) is Refusal.BAD_SIGNATURE
    assert check(SecretStr("another-key"), TASK, headers(), SIGNED_AT) is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize("away", [-WINDOW - 1, WINDOW + 1])
def test_a_signature_out_of_its_window_is_stale(away: int) -> None:
    assert check(KEY, TASK, headers(), SIGNED_AT + away) is Refusal.STALE
    assert check(KEY, TASK, headers(), SIGNED_AT + away // (WINDOW + 1) * WINDOW) is None
