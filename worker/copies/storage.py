"""The storage of copies, as the steps see it: a folder of this machine, or a bucket."""

from typing import BinaryIO, Protocol

from config import Settings
from config.copying import place
from worker.copies.faults import StorageError
from worker.copies.folder import Folder

__all__ = ["Storage", "StorageError", "make_storage"]


class Storage(Protocol):
    """A place for whole objects. Its methods are called from threads, and raise StorageError.

    Names are those of ``worker.copies.names``. An object is there under its name as a whole, or not at all.
    """

    def put(self, name: str, file: BinaryIO, *, content_type: str, size: int, sha256: str) -> None:
        """Store a file of this size from its beginning, in pieces. It replaces an object of the same name."""

    def size(self, name: str) -> int | None:
        """Return the bytes of an object, or None if there is none."""

    def delete(self, name: str) -> None:
        """Delete an object, which may be gone already."""

    def url(self, name: str) -> str:
        """Return the URL at which consumers reach an object."""

    def check(self) -> None:
        """Write, read and delete one small object."""


def make_storage(settings: Settings) -> Storage | None:
    """Return the storage that the settings name, or None if nothing is copied; raises StorageError.

    It connects to nothing: ``check`` does. obstore is imported here, and only for a bucket: it takes 5 MB of
    each process.
    """
    if not settings.copy_to:
        return None
    where = place(settings.copy_to)
    if where.scheme == "file":
        return Folder(where.prefix, base=settings.copy_url)
    try:
        from worker.copies.bucket import Bucket
    except ModuleNotFoundError as error:
        if error.name != "obstore":
            raise
        raise StorageError(
            f"LIMNER_COPY_TO: {where.scheme}:// needs the package obstore, which the extra `fleet` brings"
        ) from None
    return Bucket(where, endpoint=settings.copy_endpoint, region=settings.copy_region, base=settings.copy_url)
