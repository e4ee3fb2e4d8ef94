"""Base classes of everything that crosses a wire.

``OwnWire`` is for our own APIs and refuses fields it does not know. ``PeerWire`` is for
messages of counterparties: unknown fields are kept and written back, never interpreted.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, PlainSerializer, StringConstraints

JSON_INT_MAX: Final = 2**53 - 1  # RFC 8785 section 3.2.2.3: larger integers lose digits in JSON
_OFFSET: Final = re.compile(r"(Z|[+-]\d\d:\d\d)$")


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a time needs its offset, for example 2026-11-24T05:00:00Z")
    return _in_utc(value)


def _in_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"a time outside the calendar: {value}") from None


def format_time(value: datetime) -> str:
    """Write an aware time as RFC 3339 in UTC with ``Z``."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read an RFC 3339 time.

    Raises:
        ValueError: The text is not a time or has no offset.
    """
    if not _OFFSET.search(text):
        raise ValueError(f"a time needs its offset: {text!r}")
    return _in_utc(datetime.fromisoformat(text))


Time = Annotated[datetime, AfterValidator(_aware), PlainSerializer(format_time, when_used="json")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class OwnWire(BaseModel):
    """A message of our own APIs: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """Return the message as plain JSON values."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class PeerWire(BaseModel):
    """A message of a counterparty: immutable, unknown fields kept and written back."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """Return the message as plain JSON values, unknown fields included."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Text(OwnWire):
    """A text in the users' two languages; Korean comes first."""

    ko: str
    en: str

    def in_language(self, language: str) -> str:
        """Return the text in ``language`` (``ko`` or ``en``)."""
        return self.en if language == "en" else self.ko
