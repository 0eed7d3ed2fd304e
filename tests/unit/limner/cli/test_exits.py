"""Exit codes and what they say."""

import pytest
import redis

from limner.cli.exits import ExitCode, exit_code
from limner.errors import RecordUnreadable


def test_of_several_jobs_the_worst_code_is_the_largest() -> None:
    assert max(ExitCode.OK, ExitCode.UNKNOWN_JOB, ExitCode.JOB_FAILED) is ExitCode.UNKNOWN_JOB


def test_each_code_says_what_it_means_in_words_of_its_own() -> None:
    meanings = [code.meaning for code in ExitCode]
    assert all(meanings)
    assert len(set(meanings)) == len(meanings)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (redis.ResponseError("WRONGTYPE"), ExitCode.STORE_UNAVAILABLE),
        (RecordUnreadable("damaged"), ExitCode.RECORD_TOO_NEW),
        (KeyError("a fault of our own"), ExitCode.FAULT),
    ],
)
def test_an_error_that_no_user_made_has_a_code_as_well(error: Exception, code: ExitCode) -> None:
    assert exit_code(error) is code
