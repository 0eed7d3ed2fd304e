"""The sentence for each failure of a bucket: it names the setting at fault."""

import re
from typing import Final

from config.copying import Place

_STATUS: Final = re.compile(r"status code: (\d{3})\b")
_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>")
_METHOD: Final = re.compile(r"Error performing (\w+) ")
_REGION: Final = re.compile(r"expecting '([a-z0-9-]{1,40})'|<Region>([a-z0-9-]{1,40})</Region>")
_RIGHTS: Final = {"GET": "read", "HEAD": "read", "DELETE": "delete"}
_OTHER_REGION: Final = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
)
_BARE_REDIRECT: Final = "redirect without LOCATION"
"""The words of obstore for a 301 of S3, whose bucket is in another region."""
_CREDENTIALS: Final = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_KEY",
}
_REFUSED_CREDENTIALS: Final = frozenset(
    {
        "AuthenticationFailed",
        "AuthorizationFailure",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
    }
)


def is_away(error: Exception, where: Place) -> bool:
    """Return True for an error that may be over by itself: no answer, too many requests, a server fault."""
    text = str(error)
    status, code = _status_and_code(text)
    if _of_credentials(text, where) or _of_region(text, status, code):
        return False
    return status in (0, 429) or status >= 500


def explained(error: Exception, where: Place, endpoint: str) -> str:
    """Return one line for an error of obstore.

    Only a status, a code and a region of the error's text go into it. The rest may contain credentials.
    """
    text = str(error)
    status, code = _status_and_code(text)
    return (
        _of_credentials(text, where)
        or _of_region(text, status, code)
        or _of_answer(text, status, code, where)
        or _of_connection(text, where, endpoint, late=isinstance(error, TimeoutError))
    )


def _status_and_code(text: str) -> tuple[int, str]:
    status, code = _STATUS.search(text), _CODE.search(text)
    return int(status[1]) if status else 0, code[1] if code else ""


def _of_credentials(text: str, where: Place) -> str:
    variables = _CREDENTIALS[where.scheme]
    if "Account must be specified" in text:
        return "LIMNER_COPY_TO: az:// needs the account in AZURE_STORAGE_ACCOUNT_NAME"
    if "service account file" in text or "credential file" in text:
        return f"LIMNER_COPY_TO: the file of {variables} cannot be read"
    # The last place where credentials are looked for is the machine's own, at a fixed address.
    if "169.254.169.254" in text or "metadata.google.internal" in text:
        return f"LIMNER_COPY_TO: there are no credentials: set {variables}, or give the machine a role"
    return ""


def _of_region(text: str, status: int, code: str) -> str:
    if code in _OTHER_REGION or status == 301 or _BARE_REDIRECT in text:
        found = _REGION.search(text)
        return (
            f"LIMNER_COPY_REGION: must be {found[1] or found[2]}" if found else "LIMNER_COPY_REGION: is wrong"
        )
    return ""


def _of_answer(text: str, status: int, code: str, where: Place) -> str:
    said = " ".join(filter(None, [str(status), code]))
    if status == 404:
        kind = "container" if where.scheme == "az" else "bucket"
        return f"LIMNER_COPY_TO: there is no {kind} {where.bucket} ({said})"
    if code == "RequestTimeTooSkewed":
        return f"LIMNER_COPY_TO: the clock of this machine is wrong ({said})"
    if status == 401 or code in _REFUSED_CREDENTIALS:
        return f"LIMNER_COPY_TO: the store refuses the credentials ({said})"
    if status == 403:
        method = found[1] if (found := _METHOD.search(text)) else ""
        return (
            f"LIMNER_COPY_TO: the credentials have no right to {_RIGHTS.get(method, 'write')} there ({said})"
        )
    return f"LIMNER_COPY_TO: the store has answered {said}" if status else ""


def _of_connection(text: str, where: Place, endpoint: str, *, late: bool) -> str:
    server = (
        f"LIMNER_COPY_ENDPOINT: {endpoint}" if endpoint else f"LIMNER_COPY_TO: the store of {where.scheme}://"
    )
    if late or "kind: Timeout" in text:
        return f"{server} is too slow, or does not answer"
    if "kind: Connect" in text or "error sending request" in text:
        return f"{server} cannot be reached"
    return f"{server} has failed in a way that is not known here"
