"""What the broker knows of a source: one active company's catalog. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from schemas.ids import ParticipantId
from schemas.participant import Rejection


@dataclass(frozen=True, slots=True)
class Source:
    """A catalog to crawl; ``nudged_at`` is when its owner last said that it changed.

    ``etag`` is of a catalog of one page: a longer one may change behind its first page.
    """

    participant_id: ParticipantId
    last_started_at: datetime | None = None
    last_success_at: datetime | None = None
    nudged_at: datetime | None = None
    failures_count: int = 0
    error: str | None = None
    etag: str | None = None
    rejections: tuple[Rejection, ...] = ()
