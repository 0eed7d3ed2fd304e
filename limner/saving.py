"""Images saved into a folder: each one whole or not at all, under a name of its own, its hash checked."""

import asyncio
import contextlib
import hashlib
import os
import secrets
import threading
import weakref
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from limner.errors import ImagesNotSaved
from limner.models import ImageFile, Images
from limner.progress import Progress, Tally, bar
from limner.saved_files import EXTENSIONS, HEAD, digest_of, extension_of, stem
from limner.sources import Sources, Unusable, shown

AT_ONCE: Final = 4
"""Images that an event loop saves at once: each one takes a thread of the loop's, which others need, too."""

_turns: Final = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]()


def save(
    images: Images,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | Literal[False] | None = None,
    plain_hosts: Collection[str] = (),
) -> list[Path]:
    """See :meth:`limner.models.Images.save`."""
    sources = Sources.from_env(plain_hosts=plain_hosts)
    with _shown(progress) as report:
        job = _Saving(images, Path(folder), overwrite, sources, report)
        return job.conclude([job.one(wanted) for wanted in job.wanted])


async def asave(
    images: Images,
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    progress: Progress | Literal[False] | None = None,
    plain_hosts: Collection[str] = (),
) -> list[Path]:
    """See :meth:`limner.models.Images.asave`."""
    loop = asyncio.get_running_loop()
    turns = _turns.setdefault(loop, asyncio.Semaphore(AT_ONCE))

    def on_the_loop(done: int, total: int | None) -> None:
        if progress:
            loop.call_soon_threadsafe(progress, done, total)

    async def one(wanted: "_Wanted") -> Path | Unusable:
        async with turns:
            return await asyncio.to_thread(job.one, wanted)

    # It reads the system's certificates.
    sources = await asyncio.to_thread(Sources.from_env, plain_hosts=plain_hosts)
    with _shown(progress and on_the_loop) as report:
        job = _Saving(images, Path(folder), overwrite, sources, report)
        try:
            return job.conclude(await asyncio.gather(*map(one, job.wanted)))
        finally:
            job.stop()


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One image, and what is known of it."""

    number: int
    file: ImageFile | None
    link: str | None

    @property
    def places(self) -> list[tuple[str, bool]]:
        """Its addresses, the best first, each with True if it is of the fleet's own storage."""
        stored = [(self.file.url, True)] if self.file else []
        return stored + ([(self.link, False)] if self.link else [])


class _Stopped(Exception):
    """Nobody waits for the images any more."""


class _Saving:
    """One call that saves the images of one job. Its methods may run in several threads at once."""

    def __init__(
        self, images: Images, folder: Path, overwrite: bool, sources: Sources, report: Progress
    ) -> None:
        self.wanted = wanted_of(images)
        self._job_id = images.job_id
        self._stem = stem(images.job_id)
        self._folder = folder
        self._overwrite = overwrite
        self._sources = sources
        self._tally = Tally(len(self.wanted), report)
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let the calls of :meth:`one` that still run end soon, and leave nothing unfinished."""
        self._stopped.set()

    def one(self, wanted: _Wanted) -> Path | Unusable:
        """Save an image from the first source that has it; returns the reason if none has."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return self._known(wanted) or self._first(wanted)
        except Unusable as reason:
            return reason
        except OSError as error:
            return Unusable(f"{self._folder} cannot be written to: {error.strerror or error}")

    def conclude(self, ends: list[Path | Unusable]) -> list[Path]:
        """The files in the order of the images; raises ImagesNotSaved if one is missing."""
        failures = {number: end for number, end in enumerate(ends, 1) if isinstance(end, Unusable)}
        saved = [end for end in ends if isinstance(end, Path)]
        if not failures:
            return saved
        reasons = {number: str(failure) for number, failure in failures.items()}
        told = "; ".join(f"image {number}: {reason}" for number, reason in reasons.items())
        raise ImagesNotSaved(
            f"job {self._job_id}: {len(failures)} of {len(ends)} images were not saved: {told}",
            job_id=self._job_id,
            reasons=reasons,
            saved=saved,
            retryable=any(failure.retryable for failure in failures.values()),
        )

    def _known(self, wanted: _Wanted) -> Path | None:
        """The image's file, if it lies in the folder already."""
        extension = EXTENSIONS.get(wanted.file.content_type) if wanted.file else None
        if not wanted.file or not extension:
            return None
        target = self._target(wanted, extension)
        if not self._may_take(target, wanted.file.sha256):
            self._tally.begin(wanted.number - 1, wanted.file.size)
            self._tally.add(wanted.number - 1, wanted.file.size)
            return target
        return None

    def _first(self, wanted: _Wanted) -> Path:
        reasons: list[Unusable] = []
        for url, stored in wanted.places:
            try:
                return self._from(wanted, url, stored)
            except _Taken:
                raise
            except Unusable as reason:
                reasons.append(reason)
        told = ", ".join(map(str, reasons)) or "it has no address"
        if not wanted.file:
            told += " (a link lasts about a day; a new result() has the copies made since)"
        raise Unusable(told, retryable=any(reason.retryable for reason in reasons))

    def _from(self, wanted: _Wanted, url: str, stored: bool) -> Path:
        with _part(self._folder / f".{self._stem}-{wanted.number}.{secrets.token_hex(8)}.part") as part:
            head, digest = self._write(part, wanted, url, stored)
            extension = extension_of(head)
            if extension is None:
                raise Unusable(f"{shown(url)}: no PNG, JPEG, WebP or GIF, but something else")
            target = self._target(wanted, extension)
            if self._may_take(target, digest):
                part.replace(target)
            return target

    def _write(self, part: Path, wanted: _Wanted, url: str, stored: bool) -> tuple[bytes, str]:
        """Write the bytes of an address; returns the first ones, and the hash of all."""
        hashed, head, count = hashlib.sha256(), b"", 0
        most = self._sources.limits.max_bytes
        with self._sources.open(url, stored=stored) as source, part.open("xb") as file:
            self._tally.begin(wanted.number - 1, source.length)
            for piece in source.pieces:
                if self._stopped.is_set():
                    raise _Stopped
                count += len(piece)
                if count > most:
                    raise Unusable(f"{shown(url)}: more than {most / 2**20:g} MB (LIMNER_COPY_MAX_MB)")
                head = head if len(head) >= HEAD else (head + piece)[:HEAD]
                hashed.update(piece)
                file.write(piece)
                self._tally.add(wanted.number - 1, len(piece))
            if source.length not in (None, count):
                raise Unusable(
                    f"{shown(url)}: cut off after {count} of {source.length} bytes", retryable=True
                )
            if wanted.file and hashed.hexdigest() != wanted.file.sha256.lower():
                raise Unusable(f"{shown(url)}: not the bytes that were stored (sha256)")
            file.flush()
            os.fsync(file.fileno())
        return head, hashed.hexdigest()

    def _target(self, wanted: _Wanted, extension: str) -> Path:
        return self._folder / f"{self._stem}-{wanted.number}.{extension}"

    def _may_take(self, target: Path, digest: str) -> bool:
        """False if the same bytes lie there; raises _Taken for others that must stay."""
        if digest_of(target) == digest.lower():
            return False
        if not self._overwrite and os.path.lexists(target):
            raise _Taken(f"{target} exists with other contents; overwrite replaces it")
        return True


class _Taken(Unusable):
    """The image's name belongs to another file, so no other source helps."""


@contextlib.contextmanager
def _part(path: Path) -> Iterator[Path]:
    """A file that is gone afterwards, unless it has been given another name."""
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _shown(progress: Progress | Literal[False] | None) -> Iterator[Progress]:
    """The caller's own progress, or else a bar."""
    if progress is not None:
        yield progress or _silent
        return
    with bar("saving images") as drawn:
        yield drawn or _silent


def _silent(_: int, __: int | None) -> None:
    """A progress that nobody watches."""


def wanted_of(images: Images) -> list[_Wanted]:
    """The images of a result: the copies, each with the provider's link if it is certain which one that is.

    While fewer copies than images are made, nothing says of which image a copy is, so the links count.
    """
    links, files = images.urls, images.files
    if len(files) < len(links):
        return [_Wanted(number, None, link) for number, link in enumerate(links, 1)]
    paired = links if len(links) == len(files) else [None] * len(files)
    return [
        _Wanted(number, file, link) for number, (file, link) in enumerate(zip(files, paired, strict=True), 1)
    ]
