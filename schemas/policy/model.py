"""Terms of use as a value: one flat record whose fields are all "not limited" by default."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import Field

from schemas.ids import ParticipantId
from schemas.wire import OwnWire, Time

PROFILE: Final = "urn:idb:policy:1"


class Mode(StrEnum):
    """A way of use."""

    QUERY = "query"  # SQL runs at the supplier, only the result leaves
    READ = "read"  # the Arrow file itself is read


class UnknownTermError(ValueError):
    """A policy holds a term that this profile does not know, so it permits nothing."""


class Terms(OwnWire):
    """The terms of one offer or agreement; ``None`` or empty means not limited.

    ``valid_days`` counts from the agreement's timestamp.
    """

    modes: tuple[Mode, ...] = Field(default=(Mode.QUERY,), min_length=1)
    valid_until: Time | None = None
    valid_days: int | None = Field(default=None, ge=1, le=36_500)
    recipients: tuple[ParticipantId, ...] = Field(default=(), max_length=1000)
    purposes: tuple[str, ...] = Field(default=(), max_length=20)
    queries_max: int | None = Field(default=None, ge=1, le=10**12)
    rows_max: int | None = Field(default=None, ge=1, le=10**15)
    redistribution_forbidden: bool = True

    def ends_at(self, agreed_at: datetime) -> datetime | None:
        """Return when an agreement made at ``agreed_at`` ends, if ever."""
        ends = [self.valid_until] if self.valid_until else []
        if self.valid_days is not None:
            ends.append(agreed_at + timedelta(days=self.valid_days))
        return min(ends, default=None)
