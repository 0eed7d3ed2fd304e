"""Errors of a fetch survive the way between processes, and stay short."""

import pickle

from limner._fetch import FetchError, FetchFault


def test_an_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(FetchError(FetchFault.STATUS, "gone", 404)))  # noqa: S301 - our own bytes
    assert (error.fault, str(error), error.status) == (FetchFault.STATUS, "gone", 404)


def test_a_message_is_bounded() -> None:
    assert len(str(FetchError(FetchFault.STATUS, "a" * 10_000))) == 500
