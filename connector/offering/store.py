"""Tables of published datasets."""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, Row, Text, bindparam
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
    changes_count: int  # grows with every change of this row


@lru_cache(maxsize=PARSED_KEPT)
def _parse(dataset: str, terms: str, plan: str) -> tuple[Dataset, Terms, PricePlan]:
    """Read the JSON of a row; every use of the data needs it, and it hardly ever changes."""
    return (
        Dataset.model_validate_json(dataset),
        Terms.model_validate_json(terms),
        PricePlan.model_validate_json(plan),
    )


def _from_row(row: PublishedRow | Row[Any]) -> Published:
    dataset, terms, plan = _parse(row.dataset_json, row.terms_json, row.plan_json)
    return Published(
        dataset=dataset,
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
    """Store a changed title, terms, price or approval; name and file stay."""
    row = uow.session.get_one(PublishedRow, published.dataset.id)
    row.offer_id = published.offer_id
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


def page(
    uow: UnitOfWork, *, after: str = "", limit: int, include_withdrawn: bool = False
) -> list[Published]:
    """Return at most ``limit`` datasets whose ids follow ``after``, by id."""
    query = select(PublishedRow).where(col(PublishedRow.dataset_id) > after)
    if not include_withdrawn:
        query = query.where(col(PublishedRow.is_withdrawn).is_(other=False))
    rows = uow.session.exec(query.order_by(col(PublishedRow.dataset_id)).limit(limit))
    return [_from_row(row) for row in rows]


def set_withdrawn(
    uow: UnitOfWork, dataset_id: DatasetId, *, is_withdrawn: bool, now: datetime
) -> None:
    """Take a dataset off the catalog, or put it back."""
    row = uow.session.get_one(PublishedRow, dataset_id)
    row.is_withdrawn, row.changed_at = is_withdrawn, now
    row.changes_count += 1
    uow.session.flush()


def catalog_version(uow: UnitOfWork) -> str:
    """Return a text that differs whenever the catalog does."""
    count, changes = uow.session.exec(
        select(
            func.count(col(PublishedRow.dataset_id)),
            func.coalesce(func.sum(PublishedRow.changes_count), 0),
        )
    ).one()
    return f"{count}-{changes}"
