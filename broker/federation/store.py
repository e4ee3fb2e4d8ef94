"""The federated catalog: what is listed now, and the append-only feed of its changes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Text, text
from sqlmodel import Field, SQLModel, col, delete, func, select

from databank.kit.db import SERIAL, UnitOfWork, UtcTime
from schemas.dataset import Listing
from schemas.ids import ParticipantId
from schemas.participant import Feed, FeedEntry

FEED_LOCK: Final = 7_301_905  # an arbitrary key for pg_advisory_xact_lock
FEED_BYTES_MAX: Final = 8 * 2**20  # of one answer


class ListingRow(SQLModel, table=True):
    """One dataset that is listed now; a dataset id belongs to one provider."""

    __tablename__ = "broker_listing"
    dataset_id: str = Field(primary_key=True)
    provider_id: str = Field(index=True)
    listing_sha256: str


class FeedRow(SQLModel, table=True):
    """One change; ``listing`` is JSON, or nothing when the dataset is gone."""

    __tablename__ = "broker_feed"
    seq: int | None = Field(default=None, sa_column=Column(SERIAL, primary_key=True))
    provider_id: str
    dataset_id: str
    listing: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    recorded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


def known(uow: UnitOfWork, provider_id: ParticipantId) -> dict[str, str]:
    """Return the hash of each listed dataset of a provider."""
    query = select(ListingRow).where(col(ListingRow.provider_id) == provider_id)
    return {row.dataset_id: row.listing_sha256 for row in uow.session.exec(query)}


def count(uow: UnitOfWork, provider_id: ParticipantId) -> int:
    """Return how many datasets of a provider are listed."""
    query = select(func.count()).where(col(ListingRow.provider_id) == provider_id)
    return uow.session.exec(query).one()


def owner(uow: UnitOfWork, dataset_id: str) -> str | None:
    """Return who lists a dataset."""
    row = uow.session.get(ListingRow, dataset_id)
    return None if row is None else row.provider_id


def put(uow: UnitOfWork, listing: Listing, *, listing_sha256: str, now: datetime) -> None:
    """List a dataset or its new form."""
    dataset_id = listing.dataset.id
    row = uow.session.get(ListingRow, dataset_id) or ListingRow(
        dataset_id=dataset_id, provider_id=listing.provider_id, listing_sha256=""
    )
    assert row.provider_id == listing.provider_id, "a dataset stays with its provider"
    row.listing_sha256 = listing_sha256
    uow.session.add(row)
    _append(uow, listing.provider_id, dataset_id, listing.to_json(), now)


def remove(uow: UnitOfWork, provider_id: ParticipantId, dataset_id: str, *, now: datetime) -> None:
    """Take a listed dataset out."""
    uow.session.exec(delete(ListingRow).where(col(ListingRow.dataset_id) == dataset_id))
    _append(uow, provider_id, dataset_id, None, now)


def remove_all(uow: UnitOfWork, provider_id: ParticipantId, *, now: datetime) -> None:
    """Take all datasets of a provider out."""
    for dataset_id in sorted(known(uow, provider_id)):
        remove(uow, provider_id, dataset_id, now=now)


def _append(
    uow: UnitOfWork,
    provider_id: str,
    dataset_id: str,
    listing: Mapping[str, Any] | None,
    now: datetime,
) -> None:
    if uow.is_postgres:  # readers see sequence numbers in their order only if writers take turns
        uow.session.connection().execute(text(f"SELECT pg_advisory_xact_lock({FEED_LOCK})"))
    uow.session.add(
        FeedRow(
            provider_id=provider_id,
            dataset_id=dataset_id,
            listing=None if listing is None else json.dumps(listing),
            recorded_at=now,
        )
    )
    uow.session.flush()


def read(uow: UnitOfWork, *, after: int, limit: int) -> Feed:
    """Return changes after a sequence number, fewer than ``limit`` if they are large."""
    query = select(FeedRow).where(col(FeedRow.seq) > after).order_by(col(FeedRow.seq)).limit(limit)
    entries: list[FeedEntry] = []
    size = 0
    for row in uow.session.exec(query):
        size += len(row.listing or "")
        if entries and size > FEED_BYTES_MAX:
            break
        assert row.seq is not None
        entries.append(
            FeedEntry(
                seq=row.seq,
                provider_id=ParticipantId(row.provider_id),
                dataset_id=row.dataset_id,
                listing=None if row.listing is None else json.loads(row.listing),
            )
        )
    head = uow.session.exec(select(func.max(FeedRow.seq))).one() or 0
    last = entries[-1].seq if entries else after
    return Feed(entries=tuple(entries), last_seq=last, head_seq=head)


def hash_listing(listing: Listing) -> str:
    """Return what tells one form of a listing from another."""
    text_ = json.dumps(listing.to_json(), sort_keys=True)
    return hashlib.sha256(text_.encode()).hexdigest()
