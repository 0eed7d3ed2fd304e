"""The list of all faults, and their groups."""

from enum import StrEnum
from typing import Final

__all__ = [
    "CALLBACK_FATES",
    "CREATE_REFUSED",
    "FATES",
    "NOT_IN_PROMPTS",
    "TIMED",
    "Fault",
]


class Fault(StrEnum):
    """The faults, each with the call that it affects as its prefix.

    The prefixes are ``create_``, ``record_``, ``callback_``, ``file_``, ``link_`` and ``balance_``. Names
    without a prefix affect the createTask call or, from ``task_fail`` to ``flag_only``, the task's own fate;
    ``unreachable`` affects every connection.
    """

    # createTask refused, in the envelope (contract 1.4)
    CREATE_401 = "create_401"
    CREATE_402 = "create_402"
    CREATE_429 = "create_429"
    CREATE_433 = "create_433"
    CREATE_455 = "create_455"
    CREATE_500 = "create_500"
    CREATE_500_INPUT = "create_500_input"
    CREATE_500_CREDITS = "create_500_credits"
    CREATE_500_PAUSED = "create_500_paused"
    CREATE_505 = "create_505"
    UNKNOWN_CODE = "unknown_code"
    REFUSAL_WORDS = "refusal_words"
    ECHO_SECRET = "echo_secret"  # noqa: S105 - the name of a fault
    # createTask without a clear answer; before: no task exists; after: a task exists and is billed (contract
    # 1.6)
    DROP_BEFORE_ACCEPT = "drop_before_accept"
    HTML_BEFORE = "html_before"
    HANG = "hang"
    ACCEPT_THEN_DROP = "accept_then_drop"
    SLOW_ANSWER = "slow_answer"
    HTML_AFTER = "html_after"
    CREATE_500_AFTER = "create_500_after"
    NO_TASK_ID = "no_task_id"
    TRUNCATED_JSON = "truncated_json"
    RESET_MID_BODY = "reset_mid_body"
    ODD_ENVELOPE = "odd_envelope"
    # a hint in the refusals of createTask and recordInfo
    RETRY_AFTER = "retry_after"
    # the task's fate, drawn when it is created (contract 2)
    TASK_FAIL = "task_fail"
    STUCK = "stuck"
    UNKNOWN_STATE = "unknown_state"
    RESULT_NULL = "result_null"
    RESULT_OBJECT = "result_object"
    RESULT_INVALID = "result_invalid"
    NO_URLS = "no_urls"
    FEWER_URLS = "fewer_urls"
    EMPTY_URL = "empty_url"
    CREDITS_MISSING = "credits_missing"
    RECORD_NULL_SECONDS = "record_null_seconds"
    STATE_WORDS = "state_words"
    URL_SHAPE = "url_shape"
    URLS_LATE = "urls_late"
    COMPLETE_TIME = "complete_time"
    CREDITS_ODD = "credits_odd"
    IMAGE_FORMAT = "image_format"
    FLAG_ONLY = "flag_only"
    # recordInfo
    RECORD_500 = "record_500"
    RECORD_HTML = "record_html"
    RECORD_DROP = "record_drop"
    RECORD_HANG = "record_hang"
    RECORD_OTHER_TASK = "record_other_task"
    # the callback (contract 3)
    CALLBACK_LOST = "callback_lost"
    CALLBACK_DUPLICATE = "callback_duplicate"
    CALLBACK_LATE = "callback_late"
    CALLBACK_EARLY = "callback_early"
    CALLBACK_BEFORE_TERMINAL = "callback_before_terminal"
    CALLBACK_BAD_SIGNATURE = "callback_bad_signature"
    CALLBACK_UNSIGNED = "callback_unsigned"
    CALLBACK_TASK_ID = "callback_task_id"
    CALLBACK_TAMPERED = "callback_tampered"
    CALLBACK_BIG = "callback_big"
    CALLBACK_WRONG_IDS = "callback_wrong_ids"
    # result files (contract 4)
    FILE_404 = "file_404"
    FILE_HTML = "file_html"
    FILE_TRUNCATED = "file_truncated"
    FILE_403 = "file_403"
    FILE_EXPIRED = "file_expired"
    FILE_SLOW = "file_slow"
    FILE_TYPE = "file_type"
    FILE_REDIRECT = "file_redirect"
    FILE_HUGE = "file_huge"
    FILE_GZIP = "file_gzip"
    FILE_CHANGED = "file_changed"
    # the links to them from download-url (contract 4)
    LINK_ODD = "link_odd"
    # the balance (contract 4)
    BALANCE_ODD = "balance_odd"
    # every connection
    UNREACHABLE = "unreachable"


_NAMES: Final = tuple(Fault)

CREATE_REFUSED: Final = _NAMES[_NAMES.index(Fault.CREATE_401) : _NAMES.index(Fault.DROP_BEFORE_ACCEPT)]
"""Faults with which createTask answers with an error and creates nothing."""
FATES: Final = _NAMES[_NAMES.index(Fault.TASK_FAIL) : _NAMES.index(Fault.RECORD_500)]
"""Faults that are drawn once for each task, when it is created."""
CALLBACK_FATES: Final = _NAMES[_NAMES.index(Fault.CALLBACK_LOST) : _NAMES.index(Fault.FILE_404)]
"""Faults that are drawn in the same way, but only for tasks with a callback."""
TIMED: Final = frozenset(
    {
        Fault.SLOW_ANSWER,
        Fault.RETRY_AFTER,
        Fault.RECORD_NULL_SECONDS,
        Fault.URLS_LATE,
        Fault.CALLBACK_LATE,
        Fault.FILE_SLOW,
    }
)
"""The faults that take seconds: real seconds, which ``speed`` does not divide."""
NOT_IN_PROMPTS: Final = frozenset({Fault.BALANCE_ODD, Fault.UNREACHABLE})
"""The faults that concern no prompt."""
