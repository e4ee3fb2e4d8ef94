"""The search index: listings in one table, their tokens in the database's own text index.

``fts_listing`` is an FTS5 table on SQLite and a table with a ``tsvector`` on PostgreSQL; the
migration makes it. Tokens come from ``catalog.index.words``, so neither database parses text.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Text, text
from sqlmodel import Field, SQLModel, col, delete, select

from catalog.index.document import Document
from databank.kit.db import SERIAL, UnitOfWork, UtcTime
from schemas.dataset import Listing

FEED: Final = "broker"
POSITION_MAX: Final = 16_383  # of a lexeme in a tsvector
POSITIONS_MAX: Final = 255  # per lexeme


class ListingRow(SQLModel, table=True):
    """One listed dataset; ``price_kinds`` stand between semicolons."""

    __tablename__ = "catalog_listing"
    number: int | None = Field(default=None, sa_column=Column(SERIAL, primary_key=True))
    dataset_id: str = Field(unique=True)
    provider_id: str = Field(index=True)
    provider_handle: str = Field(index=True)
    provider_name: str
    name: str
    domain: str
    industry: str
    price_kinds: str
    is_generated: bool
    modified_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    modified_micros: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    listing: str = Field(sa_column=Column(Text, nullable=False))


class CursorRow(SQLModel, table=True):
    """How far a feed was read."""

    __tablename__ = "catalog_cursor"
    feed: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))


def get_cursor(uow: UnitOfWork) -> int:
    """Return how far the broker's feed was read."""
    row = uow.session.get(CursorRow, FEED)
    return 0 if row is None else row.seq


def set_cursor(uow: UnitOfWork, seq: int) -> None:
    """Store how far the broker's feed was read."""
    row = uow.session.get(CursorRow, FEED) or CursorRow(feed=FEED, seq=0)
    row.seq = seq
    uow.session.add(row)
    uow.session.flush()


def put(uow: UnitOfWork, document: Document) -> None:
    """Index a listing or its new form."""
    values: dict[str, Any] = {
        "dataset_id": document.dataset_id,
        "provider_id": document.provider_id,
        "provider_handle": document.provider_handle,
        "provider_name": document.provider_name,
        "name": document.name,
        "domain": document.domain,
        "industry": document.industry,
        "price_kinds": f";{';'.join(document.price_kinds)};",
        "is_generated": document.is_generated,
        "modified_at": document.modified_at,
        "modified_micros": int(document.modified_at.timestamp() * 1_000_000),
        "listing": document.listing,
    }
    row = _find_row(uow, document.dataset_id)
    if row is None:
        row = ListingRow(**values)
    else:
        row.sqlmodel_update(values)
    uow.session.add(row)
    uow.session.flush()
    assert row.number is not None
    _drop_tokens(uow, row.number)
    _add_tokens(uow, row.number, document)


def remove(uow: UnitOfWork, dataset_id: str) -> None:
    """Take a dataset out of the index; nothing happens if it is not there."""
    if (row := _find_row(uow, dataset_id)) is not None:
        assert row.number is not None
        _drop_tokens(uow, row.number)
        uow.session.delete(row)
        uow.session.flush()


def clear(uow: UnitOfWork) -> None:
    """Empty the index."""
    _execute(uow, "DELETE FROM fts_listing", {})
    uow.session.exec(delete(ListingRow))


def find(uow: UnitOfWork, dataset_id: str) -> Listing | None:
    """Return a listed dataset."""
    return _listing(_find_row(uow, dataset_id))


def find_by_ref(uow: UnitOfWork, handle: str, name: str) -> Listing | None:
    """Return the dataset that is called ``handle.name``."""
    query = (
        select(ListingRow)
        .where(col(ListingRow.provider_handle) == handle, col(ListingRow.name) == name)
        .order_by(col(ListingRow.number))
        .limit(1)
    )
    return _listing(uow.session.exec(query).first())


def list_numbered(uow: UnitOfWork, numbers: Sequence[int]) -> list[Listing]:
    """Return listings by their numbers in the index, in the order asked for."""
    query = select(ListingRow).where(col(ListingRow.number).in_(numbers))
    rows = {row.number: row for row in uow.session.exec(query)}
    return [Listing.model_validate_json(rows[n].listing) for n in numbers if n in rows]


def _find_row(uow: UnitOfWork, dataset_id: str) -> ListingRow | None:
    query = select(ListingRow).where(col(ListingRow.dataset_id) == dataset_id)
    return uow.session.exec(query).one_or_none()


def _listing(row: ListingRow | None) -> Listing | None:
    return None if row is None else Listing.model_validate_json(row.listing)


def _drop_tokens(uow: UnitOfWork, number: int) -> None:
    _execute(uow, "DELETE FROM fts_listing WHERE rowid = :number", {"number": number})


def _add_tokens(uow: UnitOfWork, number: int, document: Document) -> None:
    if uow.is_postgres:
        values: dict[str, Any] = {"number": number, "body": tsvector(document)}
        _execute(
            uow,
            "INSERT INTO fts_listing (rowid, body) VALUES (:number, CAST(:body AS tsvector))",
            values,
        )
        return
    _execute(
        uow,
        "INSERT INTO fts_listing (rowid, title, body) VALUES (:number, :title, :body)",
        {"number": number, "title": " ".join(document.title), "body": " ".join(document.body)},
    )


def tsvector(document: Document) -> str:
    """Return a document's tokens as a ``tsvector`` literal, those of the title with weight A."""
    places: dict[str, list[str]] = {}
    weighted = [(t, "A") for t in document.title] + [(t, "") for t in document.body]
    for position, (token, weight) in enumerate(weighted, 1):
        marks = places.setdefault(token, [])
        if len(marks) < POSITIONS_MAX:
            marks.append(f"{min(position, POSITION_MAX)}{weight}")
    return " ".join(f"'{token}':{','.join(marks)}" for token, marks in places.items())


def _execute(uow: UnitOfWork, statement: str, values: dict[str, Any]) -> None:
    uow.session.connection().execute(text(statement), values)
