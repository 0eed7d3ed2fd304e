"""The checks of the settings of copies."""

import pytest

from config.copying import Piece, Place, base_url, host_names, pieces, place, proxy_url


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:///srv/images", Place("file", "", "/srv/images")),
        ("file:///srv/my images/", Place("file", "", "/srv/my images")),
        ("s3://bucket", Place("s3", "bucket", "")),
        ("s3://bucket/", Place("s3", "bucket", "")),
        ("s3://my.bucket-1/a/b=c", Place("s3", "my.bucket-1", "a/b=c")),
        ("gs://my_bucket/images", Place("gs", "my_bucket", "images")),
        ("az://container/images/", Place("az", "container", "images")),
        ("az://$web/images", Place("az", "$web", "images")),
    ],
)
def test_a_place_is_read(url: str, expected: Place) -> None:
    assert place(url) == expected


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("/srv/images", "must begin with"),
        ("file:/srv/images", "must begin with"),
        ("https://bucket.s3.amazonaws.com", "must begin with"),
        ("memory:///", "must begin with"),
        ("S3://bucket", "must begin with"),
        ("file://host/srv", "absolute path"),
        ("file://srv", "absolute path"),
        ("file:///", "absolute path"),
        ("file:///srv/../etc", "neither"),
        ("file:///srv/./images", "neither"),
        ("file:///srv//images", "empty segment"),
        ("file:///srv/a%2e%2e", "percent"),
        ("file:///srv/a\nb", "printable"),
        ("file:///srv?x=1", "query"),
        ("file:///srv#1", "fragment"),
        ("s3://", "must name a bucket"),
        ("s3:///prefix", "must name a bucket"),
        ("s3://bucket:443/a", "must name a bucket"),
        ("s3://key:secret@bucket", "credentials"),
        ("s3://bucket?region=x", "query"),
        ("s3://bucket/..", "neither"),
        ("s3://bucket/a/../b", "neither"),
        ("s3://bucket//a", "empty segment"),
        ("s3://bucket/a\\b", "backslashes"),
        ("s3://bucket/.a", "must have a prefix"),
        ("s3://bucket/a.", "must have a prefix"),
        ("s3://bucket/ä", "must have a prefix"),
        ("s3://bucket/" + "a" * 201, "at most 200"),
        ("gs://Bucket", "must name a bucket"),
        ("az://con.tainer", "must name a container"),
        ("az://$logs", "must name a container"),
    ],
)
def test_another_place_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        place(url)


@pytest.mark.parametrize(
    "template",
    [
        "{date:%Y/%m/%d}/{job_id}/{number}.{ext}",
        "{job_id}-{number}.{ext}",
        "{sha256}.{ext}",
        "a/{lane}/{task_id}_{number}.{ext}",
        "{date:%Y}{date:%m}/{job_id}/{number}.{ext}",
        "day={date:%Y-%m-%d}/{lane}/{job_id}/{number}.{ext}",
        "{ext}/{number}-{job_id}.{ext}",
    ],
)
def test_a_template_is_taken(template: str) -> None:
    assert pieces(template)


def test_a_template_is_read_into_its_parts() -> None:
    assert pieces("a/{date:%Y}-{job_id}/{number}.{ext}") == [
        Piece("a/"),
        Piece("", "date", "%Y"),
        Piece("-"),
        Piece("", "job_id"),
        Piece("/"),
        Piece("", "number"),
        Piece("."),
        Piece("", "ext"),
    ]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("", "job_id"),
        ("{lane}/{number}.{ext}", "must hold {job_id}"),
        ("{job_id}.{ext}", "must hold {number}"),
        ("{job_id}/{number}", "must end with"),
        ("{ext}/{job_id}/{number}", "must end with"),
        ("{job_id}/{number}-{ext}", "must end with"),
        ("{job_id}/{number}.{ext}.bak", "must end with"),
        ("{job_id/{number}.{ext}", "brace|knows only"),
        ("job_id}/{number}.{ext}", "brace"),
        ("{job_id.__class__}/{number}.{ext}", "knows only"),
        ("{job_id[0]}/{number}.{ext}", "knows only"),
        ("{job_id!r}/{number}.{ext}", "knows only"),
        ("{prompt}/{job_id}/{number}.{ext}", "knows only"),
        ("{}/{job_id}/{number}.{ext}", "knows only"),
        ("{0}/{job_id}/{number}.{ext}", "knows only"),
        ("{job_id}/{number:03d}.{ext}", "no format"),
        ("{job_id:{number}}/{number}.{ext}", "no format"),
        ("{date}/{job_id}/{number}.{ext}", "as in {date"),
        ("{date:day}/{job_id}/{number}.{ext}", "as in {date"),
        ("{date:%A}/{job_id}/{number}.{ext}", "as in {date"),
        ("{date:%Y%}/{job_id}/{number}.{ext}", "as in {date"),
        ("{date:%Y//%m}/{job_id}/{number}.{ext}", "segments"),
        ("{date:/%Y}/{job_id}/{number}.{ext}", "segments"),
        ("{date:../%Y}/{job_id}/{number}.{ext}", "segments"),
        ("/{job_id}/{number}.{ext}", "segments"),
        ("../{job_id}/{number}.{ext}", "segments"),
        ("a/../{job_id}/{number}.{ext}", "segments"),
        ("{job_id}//{number}.{ext}", "segments"),
        ("{job_id}/{number}.{ext}/", "must end with"),
        ("a\\{job_id}/{number}.{ext}", "segments"),
        ("a\n{job_id}/{number}.{ext}", "segments"),
        ("ä/{job_id}/{number}.{ext}", "segments"),
        ("{{a}}/{job_id}/{number}.{ext}", "segments"),
        (".limner/{job_id}/{number}.{ext}", "segments"),
        ("{job_id}./{number}.{ext}", "segments"),
        ("{job_id}/{number}.thumb.{ext}", "thumb"),
        ("{lane}-{job_id}/{number}.{ext}", "slash between"),
        ("{job_id}{number}.{ext}", "between a field"),
        ("{job_id}1{number}.{ext}", "between a field"),
        ("{job_id}/{number}{ext}", "must end with"),
        ("{job_id}/" + "a" * 230 + "-{number}.{ext}", "segment of more"),
        ("{lane}/{job_id}/{task_id}/" + "a" * 190 + "/{number}.{ext}", "names of more"),
    ],
)
def test_another_template_is_refused(template: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        pieces(template)


def test_hosts_are_split_at_commas() -> None:
    assert host_names(" Sandbox, 127.0.0.1,[::1] ,files.example.com:8080,[::1]:80,") == (
        "sandbox",
        "127.0.0.1",
        "[::1]",
        "files.example.com:8080",
        "[::1]:80",
    )
    assert host_names("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "http://a",
        "a:",
        "a:0",
        "a:65536",
        "a:b",
        "a b",
        "*",
        "a/b",
        "u@a",
        "[fe80::1%eth0]",
        "::1",
        "a..b",
        "[a]",
    ],
)
def test_another_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="between commas"):
        host_names(text)


def test_a_base_loses_the_slash_at_its_end() -> None:
    assert base_url("https://cdn.example.com/images/") == "https://cdn.example.com/images"
    assert base_url("http://127.0.0.1:9000") == "http://127.0.0.1:9000"
    assert base_url("") == ""


@pytest.mark.parametrize(
    "url",
    [
        "cdn.example.com",
        "ftp://cdn.example.com",
        "https://",
        "https://a:b",
        "https://u:p@a",
        "https://@a",
        "https://a/?",
        "https://a/#",
        "https://a/b c",
        "https://a/ä",
        "https://a/../b",
    ],
)
def test_another_base_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not|names no"):
        base_url(url)


def test_a_proxy_is_a_host_and_a_port() -> None:
    assert proxy_url("http://proxy:3128/") == "http://proxy:3128"
    assert proxy_url("") == ""


@pytest.mark.parametrize(
    "url",
    [
        "proxy:3128",
        "http://proxy",
        "https://proxy:1",
        "http://proxy:1/a",
        "http://proxy:1?a",
        "http://a b:1",
        "http://user:word@proxy:1",
    ],
)
def test_another_proxy_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|is not"):
        proxy_url(url)
