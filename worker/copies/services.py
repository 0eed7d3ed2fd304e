"""The services of the step that copies images, in a fleet that copies them."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config import Settings
from limner._fetch import Fetcher, Limits
from provider import KieClient, ProviderError
from worker.copies.names import ObjectNames
from worker.copies.room import Room
from worker.copies.storage import StorageError, make_storage

if TYPE_CHECKING:
    from worker.copies.copier import Copier

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CopyServices:
    """The copier of a worker, and the room for its copies."""

    copier: "Copier"
    room: Room


def make_copies(settings: Settings, providers: Mapping[str, KieClient]) -> CopyServices | None:
    """The services with these settings; None without LIMNER_COPY_TO. Raises StorageError."""
    storage = make_storage(settings)
    if storage is None:
        return None
    # It loads Pillow, which a fleet that copies nothing does not need.
    from worker.copies.copier import Copier

    def fresh_link(account: str, url: str) -> str | None:
        if account not in providers:
            return None
        try:
            return providers[account].download_url(url)
        except ProviderError as error:
            logger.info("no fresh link to an image: %s", error)
            return None

    return CopyServices(
        Copier(
            storage=storage,
            fetcher=make_fetcher(settings),
            names=ObjectNames(settings.copy_name),
            fresh_link=fresh_link,
            turns=threading.BoundedSemaphore(settings.copy_concurrency),
            thumbnails=settings.copy_thumbnails,
        ),
        Room(settings.copy_concurrency),
    )


def make_fetcher(settings: Settings) -> Fetcher:
    """The fetcher with these settings. Raises StorageError for a host or a proxy that it does not take."""
    try:
        return Fetcher(
            Limits(max_bytes=settings.copy_max_mb * 2**20, seconds=settings.copy_seconds),
            plain_hosts=settings.copy_plain_host_names,
            proxy=settings.copy_proxy or None,
        )
    except ValueError as error:
        raise StorageError(f"LIMNER_COPY_PLAIN_HOSTS or LIMNER_COPY_PROXY: {error}") from None
