"""The storage in a bucket of S3, Google Cloud Storage or Azure, through obstore.

Credentials come from where obstore takes them, which is where each cloud's own tools do: variables
(``AWS_…``, ``GOOGLE_…``, ``AZURE_…``), the files of Google's tools, web identities, and the role of the
container or machine. For S3, files and profiles in ``~/.aws`` are read by boto3 if it is installed.
"""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import obstore
from obstore.store import AzureStore, GCSStore, S3Store

from config.copying import Place
from worker.copies.answers import explained, is_away
from worker.copies.faults import StorageError
from worker.copies.locations import PROBE, checked, joined, probe_name

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

_RETRIES: "Final[RetryConfig]" = {
    # The step tries again for days. These are for a connection that was closed between two requests.
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=10),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1)},
}
_REQUEST_SECONDS: Final = 30
"""The time-out of one request, which carries 5 MiB at most."""
_PUT_SECONDS: Final = 120
"""The time after which no further part of an object is sent."""
_PART: Final = 5 * 1024 * 1024
"""The bytes of a part: the least that S3 takes. A put holds about one in memory."""
_PIECE: Final = 256 * 1024


class Bucket:
    """A storage in a bucket, under a prefix."""

    def __init__(self, where: Place, *, endpoint: str = "", region: str = "", base: str = "") -> None:
        """Take the place and the settings of its server; raises StorageError if they are not enough."""
        self._where = where
        self._endpoint = endpoint
        self._base = base or "/".join(filter(None, [f"{where.scheme}://{where.bucket}", where.prefix]))
        options: ClientConfig = {
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=_REQUEST_SECONDS),
        }
        if endpoint.startswith("http://"):
            options["allow_http"] = True
        try:
            self._store = _store(where, endpoint, region, options)
        except StorageError:
            raise
        except Exception as error:
            raise self._explained(error) from None

    def put(self, name: str, file: BinaryIO, *, content_type: str, size: int, sha256: str) -> None:  # noqa: ARG002 - the server checks parts by its own sums
        """Store a file, in parts if it is large. A killed put leaves no object, but may leave parts."""
        found = file.seek(0, os.SEEK_END)
        if found != size:
            raise ValueError(f"the file has {found} bytes, not {size}")
        file.seek(0)
        in_parts = size > _PART
        self._call(
            obstore.put,
            self._key(name),
            _pieces(file) if in_parts else file.read(),
            attributes={"Content-Type": content_type},
            use_multipart=in_parts,
            chunk_size=_PART,
            max_concurrency=1,
        )

    def size(self, name: str) -> int | None:
        """Return the bytes of an object, or None if there is none."""
        try:
            found = obstore.head(self._store, self._key(name))
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._explained(error) from None
        return found["size"]

    def delete(self, name: str) -> None:
        """Delete an object, which may be gone already."""
        try:
            obstore.delete(self._store, self._key(name))
        except FileNotFoundError:
            return
        except Exception as error:
            raise self._explained(error) from None

    def url(self, name: str) -> str:
        """Return the URL of an object."""
        return joined(self._base, name)

    def check(self) -> None:
        """Write, read and delete one small object."""
        key = self._key(probe_name())
        self._call(obstore.put, key, PROBE, attributes={"Content-Type": "text/plain"})
        found = self._call(obstore.get, key).bytes()
        self._call(obstore.delete, key)
        if bytes(found) != PROBE:
            raise StorageError("LIMNER_COPY_TO: the bucket does not keep what is written")

    def _key(self, name: str) -> str:
        return "/".join(filter(None, [self._where.prefix, checked(name)]))

    def _call(self, function: Any, *args: Any, **options: Any) -> Any:
        try:
            return function(self._store, *args, **options)
        except Exception as error:
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> StorageError:
        line = explained(error, self._where, self._endpoint)
        return StorageError(line, away=is_away(error, self._where))


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's bytes; raises TimeoutError when a put takes too long.

    obstore can read a file itself, but then it holds three parts in memory instead of one.
    """
    deadline = time.monotonic() + _PUT_SECONDS
    while piece := file.read(_PIECE):
        if time.monotonic() > deadline:
            raise TimeoutError
        yield piece


def _store(where: Place, endpoint: str, region: str, options: "ClientConfig") -> "ObjectStore":
    more: dict[str, Any] = {"client_options": options, "retry_config": _RETRIES}
    if where.scheme == "gs":
        return GCSStore(where.bucket, config={"base_url": endpoint} if endpoint else {}, **more)
    if where.scheme == "az":
        return AzureStore(where.bucket, config={"endpoint": endpoint} if endpoint else {}, **more)
    # Not every server of this kind can delete several objects in one request.
    config: S3Config = {"disable_bulk_delete": True}
    if endpoint:
        config["endpoint"] = endpoint
    if region:
        config["region"] = region
    return S3Store(where.bucket, config=config, credential_provider=_boto3(), **more)


def _boto3() -> Any:
    """Return boto3's credentials if a profile or a file in ~/.aws may have them, or None."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return None
    profile = os.environ.get("AWS_PROFILE")
    places = [
        os.environ.get(variable) or str(Path.home() / ".aws" / name)
        for variable, name in [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")]
    ]
    if not profile and not any(Path(place).is_file() for place in places):
        return None
    if find_spec("boto3") is None:
        if profile:
            raise StorageError("AWS_PROFILE: needs the package boto3, which is not installed")
        return None
    # boto3 is optional, and takes 0.2 s to load.
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        return Boto3CredentialProvider()
    except BotoCoreError as error:
        raise StorageError(f"AWS_PROFILE: {error}") from None
    except ValueError:  # it has found none
        return None
