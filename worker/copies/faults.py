"""The error of a storage."""


class StorageError(Exception):
    """A storage has refused, or cannot be reached. The message is one line that names the setting at fault.

    It contains no credential, and nothing that a server has sent but a code.
    """
