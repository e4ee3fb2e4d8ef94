"""Who is due next, and what a crawl changes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from broker.crawler.model import Source
from schemas.dataset import Listing
from schemas.ids import ParticipantId
from schemas.participant import Rejection

GAP_MIN: Final = timedelta(seconds=0.5)  # between two crawls of one source, however often nudged
BACKOFF_MAX: Final = timedelta(minutes=10)
BACKOFF_DOUBLINGS_MAX: Final = 10
REJECTIONS_MAX: Final = 100  # that are kept of one crawl
REASON_CHARS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of one catalog is read at most."""

    pages_max: int
    datasets_max: int
    bytes_max: int
    seconds_max: float


def due_at(source: Source, *, interval: timedelta) -> datetime | None:
    """Return when a source is to be crawled next; None means that it never was and is due.

    A failing source waits twice as long each time. A nudge since the last start makes any
    source due at once, but not within the smallest gap.
    """
    started = source.last_started_at
    if started is None:
        return None
    if source.nudged_at is not None and source.nudged_at >= started:
        return started + GAP_MIN
    if source.failures_count == 0:
        return started + interval
    factor: int = 2 ** min(source.failures_count - 1, BACKOFF_DOUBLINGS_MAX)
    return started + max(interval, min(interval * factor, BACKOFF_MAX))


def due(
    sources: Iterable[Source],
    *,
    now: datetime,
    interval: timedelta,
    under_way: Collection[ParticipantId],
) -> list[ParticipantId]:
    """Return whom to crawl now, those waiting longest first."""
    waiting = [
        (at, source.participant_id)
        for source in sources
        if source.participant_id not in under_way
        and ((at := due_at(source, interval=interval)) is None or at <= now)
    ]
    never = [who for at, who in waiting if at is None]
    return never + [who for _, who in sorted((at, who) for at, who in waiting if at is not None)]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a crawl changes in the federated catalog."""

    written: tuple[tuple[Listing, str], ...]  # with the hash of its new form
    removed: tuple[str, ...]


def compare(known: Mapping[str, str], hashed: Iterable[tuple[Listing, str]]) -> Changes:
    """Compare the hashes of what is listed with what was read."""
    read = {listing.dataset.id: (listing, sha256) for listing, sha256 in hashed}
    written = tuple(item for key, item in read.items() if known.get(key) != item[1])
    return Changes(written, tuple(sorted(set(known) - set(read))))


def reject(dataset_id: object, reason: object) -> Rejection:
    """Return a rejection of bounded length."""
    return Rejection(dataset_id=str(dataset_id)[:200], reason=str(reason)[:REASON_CHARS_MAX])
