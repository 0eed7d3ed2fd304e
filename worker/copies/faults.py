"""The errors of a copy."""

from enum import StrEnum


class StorageError(Exception):
    """A storage has refused, or cannot be reached. The message is one line that names the setting at fault.

    It contains no credential, and nothing that a server has sent but a code. ``away`` is True if the storage
    may be back by itself. ``of_name`` is True if only this name cannot be stored, and others can.
    """

    def __init__(self, message: str, *, away: bool = False, of_name: bool = False) -> None:
        super().__init__(message)
        self.away = away
        self.of_name = of_name


class CopyFault(StrEnum):
    """The part of the way at which a copy failed."""

    LINK = "link"
    """Nothing could be fetched."""
    PICTURE = "picture"
    """It could be fetched, and is no whole image."""
    STORAGE = "storage"


class CopyFailed(Exception):
    """An image was not copied; nothing of it is in the storage under its name."""

    def __init__(self, fault: CopyFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class StepLost(Exception):
    """Another worker has the step by now."""
