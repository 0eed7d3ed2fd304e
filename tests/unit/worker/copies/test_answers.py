"""The sentences for failures of buckets, from the texts that obstore gave."""

import pytest

from config.copying import Place
from worker.copies.answers import explained, is_away

S3 = Place("s3", "bucket", "images")
GS = Place("gs", "bucket", "")
AZ = Place("az", "container", "")
MINIO = "http://minio:9000"
PUT = "Error performing PUT https://host/bucket/a.png in 1.2ms - "
NONE = "LIMNER_COPY_TO: there are no credentials: set {}, or give the machine a role"
SECRET = "hunter2hunter2"


def answered(status: str, code: str = "") -> str:
    body = f"<Error><Code>{code}</Code><StringToSign>{SECRET}</StringToSign></Error>" if code else SECRET
    return f"Object at location a.png: {PUT}Server returned non-2xx status code: {status}: {body}"


def unsent(kind: str) -> str:
    told = f"Generic S3 error: {PUT}HTTP error: error sending request"
    return f'{told}\n\nDebug source: HttpError {{ kind: {kind}, "{SECRET}" }}'


@pytest.mark.parametrize(
    ("text", "where", "endpoint", "line"),
    [
        (
            answered("404 Not Found", "NoSuchBucket"),
            S3,
            "",
            "LIMNER_COPY_TO: there is no bucket bucket (404 NoSuchBucket)",
        ),
        (answered("404 Not Found"), GS, "", "LIMNER_COPY_TO: there is no bucket bucket (404)"),
        (
            answered("404 Not Found", "ContainerNotFound"),
            AZ,
            "",
            "LIMNER_COPY_TO: there is no container container (404 ContainerNotFound)",
        ),
        (
            answered("403 Forbidden", "AuthorizationFailure"),
            AZ,
            "",
            "LIMNER_COPY_TO: the store refuses the credentials (403 AuthorizationFailure)",
        ),
        (answered("401 Unauthorized"), GS, "", "LIMNER_COPY_TO: the store refuses the credentials (401)"),
        (
            answered("403 Forbidden", "AccessDenied").replace("PUT", "GET"),
            S3,
            "",
            "LIMNER_COPY_TO: the credentials have no right to read there (403 AccessDenied)",
        ),
        (
            answered("403 Forbidden", "AccessDenied").replace("PUT", "POST"),
            S3,
            "",
            "LIMNER_COPY_TO: the credentials have no right to write there (403 AccessDenied)",
        ),
        (
            "Generic S3 error: Received redirect without LOCATION, and so on",
            S3,
            "",
            "LIMNER_COPY_REGION: is wrong",
        ),
        (answered("507 Insufficient Storage"), S3, "", "LIMNER_COPY_TO: the store has answered 507"),
        (unsent("Connect"), S3, MINIO, "LIMNER_COPY_ENDPOINT: http://minio:9000 cannot be reached"),
        (unsent("Connect"), S3, "", "LIMNER_COPY_TO: the store of s3:// cannot be reached"),
        (
            unsent("Timeout"),
            S3,
            MINIO,
            "LIMNER_COPY_ENDPOINT: http://minio:9000 is too slow, or does not answer",
        ),
        (
            "Error performing PUT http://169.254.169.254/latest/api/token in 2s - non-2xx status code: 403",
            S3,
            "",
            NONE.format("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ),
        (
            "Error performing token request: Error performing GET http://metadata.google.internal/computeMetadata",
            GS,
            "",
            NONE.format("GOOGLE_APPLICATION_CREDENTIALS"),
        ),
        (
            f"Generic S3 error: {SECRET}",
            S3,
            "",
            "LIMNER_COPY_TO: the store of s3:// has failed in a way that is not known here",
        ),
    ],
)
def test_a_failure_has_a_line_that_names_its_setting(
    text: str, where: Place, endpoint: str, line: str
) -> None:
    assert explained(RuntimeError(text), where, endpoint) == line
    assert SECRET not in line


def test_a_put_that_was_given_up_is_told() -> None:
    line = "LIMNER_COPY_TO: the store of gs:// is too slow, or does not answer"
    assert explained(TimeoutError(), GS, "") == line


@pytest.mark.parametrize(
    ("text", "away"),
    [
        (answered("503 Service Unavailable", "SlowDown"), True),
        (answered("500 Internal Server Error"), True),
        (answered("429 Too Many Requests"), True),
        (unsent("Connect"), True),
        (unsent("Timeout"), True),
        (answered("404 Not Found", "NoSuchBucket"), False),
        (answered("403 Forbidden", "AccessDenied"), False),
        (answered("301 Moved Permanently", "PermanentRedirect"), False),
        (unsent("Connect").replace("https://host", "http://169.254.169.254"), False),
    ],
)
def test_a_storage_that_may_be_back_by_itself_is_away(text: str, away: bool) -> None:
    assert is_away(OSError(text), S3) is away
