"""Tables of published datasets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, Row, Text, bindparam
from sqlalchemy import select as select_columns
from sqlmodel import Field, SQLModel, col, func, select

from connector.offering.model import Published
from databank.kit.db import UnitOfWork, UtcTime
from schemas.approval import Approval
from schemas.dataset import Dataset
from schemas.ids import DatasetId, OfferId
from schemas.price import PricePlan
from schemas.terms import Terms

PARSED_KEPT: Final = 256


class PublishedRow(SQLModel, table=True):
    """One published dataset; withdrawn ones stay, since agreements go on."""

    __tablename__ = "connector_published"
    dataset_id: str = Field(primary_key=True)
    name: str = Field(unique=True)
    offer_id: str = Field(unique=True)
    dataset_json: str = Field(sa_column=Column(Text, nullable=False))
    terms_json: str = Field(sa_column=Column(Text, nullable=False))
    plan_json: str = Field(sa_column=Column(Text, nullable=False))
    file_name: str
    approval: str = Field(sa_column_kwargs={"server_default": Approval.AUTOMATIC.value})
    skipped_rows_count: int
    is_withdrawn: bool = Field(index=True)
    changed_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    changes_count: int = Field(index=True)  # grows with every change of this row


# Every use of the data needs the JSON of a row, and it hardly ever changes.
@lru_cache(maxsize=PARSED_KEPT)
def _parse_dataset(text: str) -> Dataset:
    return Dataset.model_validate_json(text)


@lru_cache(maxsize=PARSED_KEPT)
def _parse_rules(terms: str, plan: str) -> tuple[Terms, PricePlan]:
    return Terms.model_validate_json(terms), PricePlan.model_validate_json(plan)


def _from_row(row: PublishedRow | Row[Any]) -> Published:
    terms, plan = _parse_rules(row.terms_json, row.plan_json)
    return Published(
        dataset=_parse_dataset(row.dataset_json),
        offer_id=OfferId(row.offer_id),
        terms=terms,
        plan=plan,
        file_name=row.file_name,
        approval=Approval(row.approval),
        skipped_rows_count=row.skipped_rows_count,
        is_withdrawn=row.is_withdrawn,
    )


def _dump(value: Any) -> str:  # noqa: ANN401 - any wire model
    return json.dumps(value.to_json(), ensure_ascii=False)


def put(uow: UnitOfWork, published: Published) -> None:
    """Store a new published dataset.

    Raises:
        IntegrityError: The name or an id is taken.
    """
    dataset = published.dataset
    uow.session.add(
        PublishedRow(
            dataset_id=dataset.id,
            name=dataset.name,
            offer_id=published.offer_id,
            dataset_json=_dump(dataset),
            terms_json=_dump(published.terms),
            plan_json=_dump(published.plan),
            file_name=published.file_name,
            approval=published.approval.value,
            skipped_rows_count=published.skipped_rows_count,
            is_withdrawn=published.is_withdrawn,
            changed_at=dataset.modified_at,
            changes_count=1,
        )
    )
    uow.session.flush()


def replace(uow: UnitOfWork, published: Published, *, now: datetime) -> None:
    """Store a changed title, terms, price or approval; its name stays."""
    row = uow.session.get_one(PublishedRow, published.dataset.id)
    row.offer_id, row.file_name = published.offer_id, published.file_name
    row.dataset_json = _dump(published.dataset)
    row.terms_json, row.plan_json = _dump(published.terms), _dump(published.plan)
    row.approval, row.changed_at = published.approval.value, now
    row.changes_count += 1
    uow.session.flush()


_GET: Final = select(PublishedRow).where(PublishedRow.dataset_id == bindparam("dataset"))


def get(uow: UnitOfWork, dataset_id: DatasetId) -> Published | None:
    """Return a published dataset, withdrawn or not."""
    row = uow.run(_GET, dataset=dataset_id).one_or_none()
    return _from_row(row) if row else None


def get_by_name(uow: UnitOfWork, name: str) -> Published | None:
    """Return the dataset with this name, withdrawn or not."""
    row = uow.session.exec(select(PublishedRow).where(PublishedRow.name == name)).one_or_none()
    return _from_row(row) if row else None


_ALL: Final = select(PublishedRow).order_by(col(PublishedRow.dataset_id)).limit(bindparam("count"))
_LISTED: Final = (
    select_columns(
        col(PublishedRow.dataset_id),
        col(PublishedRow.offer_id),
        col(PublishedRow.dataset_json),
        col(PublishedRow.terms_json),
        col(PublishedRow.plan_json),
        col(PublishedRow.approval),
    )
    # "= false" would make SQLite fetch and sort all that are not withdrawn, for every page
    .where(
        col(PublishedRow.dataset_id) > bindparam("after"),
        col(PublishedRow.is_withdrawn).is_distinct_from(other=True),
    )
    .order_by(col(PublishedRow.dataset_id))
    .limit(bindparam("count"))
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A dataset of the catalog, as it is stored; its JSON was checked when it was written."""

    dataset_id: DatasetId
    offer_id: OfferId
    dataset_json: str
    terms: Terms
    plan: PricePlan
    approval: Approval


def publications(uow: UnitOfWork, *, limit: int) -> list[Published]:
    """Return at most ``limit`` datasets by id, also the withdrawn ones."""
    return [_from_row(row) for row in uow.run(_ALL, count=limit)]


_FILES: Final = select_columns(
    col(PublishedRow.dataset_id), col(PublishedRow.file_name), col(PublishedRow.is_withdrawn)
)


def files(uow: UnitOfWork) -> list[tuple[DatasetId, str, bool]]:
    """Return each dataset, the file that is offered of it, and whether it is withdrawn."""
    rows = uow.run(_FILES)
    return [(DatasetId(row.dataset_id), row.file_name, row.is_withdrawn) for row in rows]


def listed(uow: UnitOfWork, *, after: str, limit: int) -> list[Listed]:
    """Return at most ``limit`` datasets on offer whose ids follow ``after``, by id."""
    return [
        Listed(
            DatasetId(row.dataset_id),
            OfferId(row.offer_id),
            row.dataset_json,
            *_parse_rules(row.terms_json, row.plan_json),
            Approval(row.approval),
        )
        for row in uow.run(_LISTED, after=after, count=limit)
    ]


def set_withdrawn(
    uow: UnitOfWork, dataset_id: DatasetId, *, is_withdrawn: bool, now: datetime
) -> None:
    """Take a dataset off the catalog, or put it back."""
    row = uow.session.get_one(PublishedRow, dataset_id)
    row.is_withdrawn, row.changed_at = is_withdrawn, now
    row.changes_count += 1
    uow.session.flush()


_VERSION: Final = select_columns(  # both are read from the index of changes_count alone
    func.count(col(PublishedRow.changes_count)),
    func.coalesce(func.sum(PublishedRow.changes_count), 0),
)


def catalog_version(uow: UnitOfWork) -> str:
    """Return a text that differs whenever the catalog does."""
    row: tuple[int, ...] = tuple(uow.run(_VERSION).one())
    return f"{row[0]}-{row[1]}"
