"""The options of a submit: when and where its job is sent, and what comes back with it."""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Self, TypedDict, Unpack

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from limner.errors import InvalidRequest
from limner.metadata import checked_metadata, metadata_json
from limner.models import MAX_NAME_LENGTH, faults

HIGHEST_PRIORITY: Final = 9
SHOWN_CHARACTERS: Final = 64
"""Of a value that a message shows."""
LONGEST_FOLDER: Final = 200
LONGEST: Final = 10_000_000.0
"""Seconds."""


def duration(value: Any) -> float:
    """The number of seconds, if it can be a duration; else raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST:
        raise ValueError(f"must be a number of seconds above 0 and up to {LONGEST:.0f}")
    return float(value)


def _priority(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= HIGHEST_PRIORITY:
        raise ValueError(f"must be a whole number from 0 to {HIGHEST_PRIORITY}, not {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    """A value in a message; long ones, and numbers of more digits than Python writes, by their type."""
    if isinstance(value, int) and value.bit_length() > SHOWN_CHARACTERS:
        return "a number so large"
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"a {type(value).__name__}"


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_LENGTH or not value.isprintable():
        raise ValueError(f"must be a text of 1 to {MAX_NAME_LENGTH} printable characters")
    return value


_Name = Annotated[str, BeforeValidator(_name)]

_PART: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def _folder(value: Any) -> str:
    fine = isinstance(value, str) and len(value) <= LONGEST_FOLDER
    if not fine or not all(_PART.fullmatch(part) and not part.endswith(".") for part in value.split("/")):
        raise ValueError(
            f"must be a relative folder of at most {LONGEST_FOLDER} characters: letters, digits and . _ - in "
            "parts between single slashes; no part begins or ends with a dot"
        )
    return str(value)


class SubmitKeywords(TypedDict, total=False):
    """The options as keyword arguments. :class:`SubmitOptions` says what they mean, and checks them."""

    priority: int
    metadata: Mapping[str, Any] | None
    lane: str | None
    account: str | None
    expires_in: float | None
    copy: bool
    copy_to: str | None


class SubmitOptions(BaseModel):
    """The options of a submit, checked; the same from the call to the job's record."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    priority: Annotated[int, BeforeValidator(_priority)] = 5
    """0 to 9, the highest first."""
    metadata: Annotated[dict[str, Any], BeforeValidator(checked_metadata)] = {}
    """A JSON object of at most 4 KiB that comes back with the result and in events."""
    lane: _Name | None = None
    """Lanes of one priority share the turns. 1 to 64 printable characters, as for ``account``."""
    account: _Name | None = None
    """The account at the provider that is to be used; else it is the one with the most room."""
    expires_in: Annotated[float, BeforeValidator(duration)] | None = None
    """Seconds from the submission on, within which the job is sent or not at all."""
    copied: Annotated[bool, Field(alias="copy")] = True
    """``copy``: False if the images are not to be copied, in a fleet that copies images."""
    copy_to: Annotated[str, BeforeValidator(_folder)] | None = None
    """The folder for the images under the fleet's prefix, such as ``orders/4711``: at most 200 characters."""

    @classmethod
    def checked(cls, **options: Unpack[SubmitKeywords]) -> Self:
        """The options that these keywords give.

        Raises InvalidRequest, which names each option that is wrong, and TypeError for a keyword that is no
        option, as any function does.
        """
        if unknown := sorted(options.keys() - OPTIONS.keys()):
            raise TypeError(f"{unknown[0]}: there is no such option; there are {', '.join(OPTIONS)}")
        try:
            return cls.model_validate(options)
        except ValidationError as error:
            raise InvalidRequest("; ".join(faults(error))) from None

    def keywords(self) -> dict[str, Any]:
        """The options by their names, without the fields that a subclass adds."""
        return {option: getattr(self, field) for option, field in OPTIONS.items()}

    @cached_property
    def metadata_json(self) -> str:
        """The metadata as the record keeps it, written once for all jobs that share the options."""
        return metadata_json(self.metadata)


OPTIONS: Final = {field.alias or name: name for name, field in SubmitOptions.model_fields.items()}
"""The field of each option. ``copy`` would hide a method of pydantic's."""
