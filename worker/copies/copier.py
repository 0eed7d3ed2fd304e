"""Copies one image: fetches it, looks at it, and stores it."""

import hashlib
import io
import logging
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from limner._fetch import Fetcher, FetchError, FetchFault
from limner.ledger import Record, Stored
from limner.models import ImageFile
from limner.status import Copy
from worker.copies.faults import CopyFailed, CopyFault, StepLost, StorageError
from worker.copies.names import ObjectNames, thumbnail_name
from worker.copies.outage import Outage
from worker.copies.pictures import NotAPicture, Picture, inspect
from worker.copies.storage import Storage
from worker.copies.thumbnails import thumbnail

logger = logging.getLogger(__name__)

REFUSED: Final = frozenset({401, 403, 404, 410})
"""The HTTP statuses for which a fresh link is asked of the provider (contract 4)."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A whole image in a temporary file."""

    spool: BinaryIO
    sha256: str
    size: int
    picture: Picture


@dataclass(frozen=True)
class Copier:
    """Copies images. Thread-safe: each copy has a temporary file of its own."""

    storage: Storage
    fetcher: Fetcher
    names: ObjectNames
    fresh_link: Callable[[str, str], str | None]
    """The provider's own link to a file, by the account and the link that was refused (contract 4)."""
    turns: threading.Semaphore
    """Bounds the images that are copied at once, and so the memory and the temporary files of a worker."""
    thumbnails: bool = True
    outage: Outage = field(default_factory=Outage)
    spool_folder: str | None = None
    """The folder of the temporary files; None is the system's."""

    def copy(self, record: Record, copy: Copy, plan: Callable[[ImageFile], bool]) -> Stored:
        """Store one image of a job. ``plan`` puts on record what it is about to become.

        Raises CopyFailed, and StepLost if ``plan`` says no. A temporary file that cannot be written counts as
        a fault of the storage.
        """
        if failed := self.outage.message():
            raise CopyFailed(CopyFault.STORAGE, failed)
        try:
            if copy.file and self._holds(copy.file):
                # It was stored before, and only the report of it was lost.
                return _stored(copy.file, 0)
            with self.turns, tempfile.TemporaryFile(prefix="limner-", dir=self.spool_folder) as spool:
                stored = self._store(record, copy, self._fetch(record, copy, spool), plan)
        except StorageError as error:
            if not error.of_name:
                self.outage.begun(str(error))
            raise CopyFailed(CopyFault.STORAGE, str(error)) from error
        except OSError as error:
            # Those of the network and of the storage have their own types.
            place = self.spool_folder or tempfile.gettempdir()
            message = f"TMPDIR: {place} takes no temporary file ({error.strerror or error})"
            self.outage.begun(message)
            raise CopyFailed(CopyFault.STORAGE, message) from error
        self.outage.over()
        return stored

    def _holds(self, file: ImageFile) -> bool:
        """True if the planned object is there, and consumers would still find it where the plan says."""
        return file.url == self.storage.url(file.name) and self.storage.size(file.name) == file.size

    def _fetch(self, record: Record, copy: Copy, spool: BinaryIO) -> Fetched:
        try:
            return self._fetch_from(copy.url, spool)
        except FetchError as error:
            if error.fault is not FetchFault.STATUS or error.status not in REFUSED:
                raise CopyFailed(CopyFault.LINK, str(error)) from error
            refused = error
        account = next((task.account for task in record.tasks if task.task_id == copy.task_id), "")
        link = self.fresh_link(account, copy.url)
        if link is None:
            raise CopyFailed(CopyFault.LINK, f"{refused}; the provider has no other link") from refused
        try:
            return self._fetch_from(link, spool)
        except FetchError as error:
            raise CopyFailed(CopyFault.LINK, f"{error}, with a fresh link") from error

    def _fetch_from(self, url: str, spool: BinaryIO) -> Fetched:
        spool.seek(0)
        spool.truncate()
        digest, size = hashlib.sha256(), 0
        with self.fetcher.open(url) as download:
            declared = download.content_type
            for piece in download.pieces():
                digest.update(piece)
                size += spool.write(piece)
        spool.seek(0)
        try:
            picture = inspect(spool, declared)
        except NotAPicture as error:
            raise CopyFailed(CopyFault.PICTURE, f"no image came: {error}") from error
        return Fetched(spool, digest.hexdigest(), size, picture)

    def _store(
        self, record: Record, copy: Copy, fetched: Fetched, plan: Callable[[ImageFile], bool]
    ) -> Stored:
        picture, spool = fetched.picture, fetched.spool
        name = self.names.name(
            date=record.created_at,
            job_id=record.job_id,
            number=copy.number,
            ext=picture.ext,
            lane=record.lane,
            sha256=fetched.sha256,
            task_id=copy.task_id,
            folder=record.folder,
        )
        small = thumbnail(spool, picture) if self.thumbnails else None
        file = ImageFile(
            url=self.storage.url(name),
            name=name,
            sha256=fetched.sha256,
            size=fetched.size,
            content_type=picture.content_type,
            width=picture.width,
            height=picture.height,
            thumbnail=self.storage.url(thumbnail_name(name)) if small else None,
        )
        if not plan(file):
            raise StepLost
        if copy.file and copy.file.name != name:
            # An earlier try, which did not come to its end, has fetched other bytes.
            self.storage.delete(copy.file.name)
            self.storage.delete(thumbnail_name(copy.file.name))
        # The image comes last, so that it never lacks its thumbnail.
        if small:
            self.storage.put(
                thumbnail_name(name),
                io.BytesIO(small),
                content_type="image/webp",
                size=len(small),
                sha256=hashlib.sha256(small).hexdigest(),
            )
        spool.seek(0)
        self.storage.put(
            name, spool, content_type=picture.content_type, size=fetched.size, sha256=fetched.sha256
        )
        return _stored(file, len(small or b""))


def _stored(file: ImageFile, thumbnail_size: int) -> Stored:
    return Stored(file, objects=2 if file.thumbnail else 1, bytes=file.size + thumbnail_size)
