"""Tables of agreements and of the datasets that they are about."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Row, Text, and_, bindparam, insert, or_
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.sql.expression import SelectOfScalar

from connector.agreement.model import Agreement, End, KnownDataset, ended_early
from connector.side import Side
from databank.kit.db import UnitOfWork, UtcTime
from schemas.dataset import Dataset
from schemas.ids import AgreementId, DatasetId, ParticipantId


class AgreementRow(SQLModel, table=True):
    """One agreement; the policy's bytes never change."""

    __tablename__ = "connector_agreement"
    agreement_id: str = Field(primary_key=True)
    side: str
    provider_id: str
    consumer_id: str
    dataset_id: str = Field(index=True)
    dataset_title: str
    policy_json: str = Field(sa_column=Column(Text, nullable=False))
    agreed_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))
    ends_at: datetime | None = Field(
        default=None, sa_column=Column(UtcTime, nullable=True, index=True)
    )
    ended_at: datetime | None = Field(default=None, sa_column=Column(UtcTime, nullable=True))
    ended_by: str | None = None
    end_code: str | None = None
    end_reason: str | None = None


class KnownDatasetRow(SQLModel, table=True):
    """What we were told of a supplier's dataset; it never changes under one id."""

    __tablename__ = "connector_known_dataset"
    provider_id: str = Field(primary_key=True)
    dataset_id: str = Field(primary_key=True)
    provider_handle: str = Field(index=True)
    provider_name: str
    name: str
    dataset_json: str = Field(sa_column=Column(Text, nullable=False))


def _from_row(row: AgreementRow | Row[Any]) -> Agreement:
    return Agreement(
        id=AgreementId(row.agreement_id),
        side=Side(row.side),
        provider_id=ParticipantId(row.provider_id),
        consumer_id=ParticipantId(row.consumer_id),
        dataset_id=DatasetId(row.dataset_id),
        dataset_title=row.dataset_title,
        policy=json.loads(row.policy_json),
        agreed_at=row.agreed_at,
        ends_at=row.ends_at,
        end=_end(row),
    )


def _end(row: AgreementRow | Row[Any]) -> End | None:
    if row.ended_at is None:
        return None
    by = ParticipantId(str(row.ended_by))
    return End(by, str(row.end_code), str(row.end_reason), row.ended_at)


_ADD: Final = insert(AgreementRow)


def put(uow: UnitOfWork, agreement: Agreement) -> None:
    """Store a new agreement.

    Raises:
        IntegrityError: The id is taken.
    """
    uow.run(
        _ADD,
        agreement_id=agreement.id,
        side=agreement.side.value,
        provider_id=agreement.provider_id,
        consumer_id=agreement.consumer_id,
        dataset_id=agreement.dataset_id,
        dataset_title=agreement.dataset_title,
        policy_json=json.dumps(agreement.policy, ensure_ascii=False),
        agreed_at=agreement.agreed_at,
        ends_at=agreement.ends_at,
    )


_GET: Final = select(AgreementRow).where(AgreementRow.agreement_id == bindparam("agreement"))


def get(uow: UnitOfWork, agreement_id: AgreementId) -> Agreement | None:
    """Return an agreement, terminated or not."""
    row = uow.run(_GET, agreement=agreement_id).one_or_none()
    return _from_row(row) if row else None


_TIMES: Final = select(AgreementRow.ends_at, AgreementRow.ended_at).where(
    AgreementRow.agreement_id == bindparam("agreement")
)


def is_terminated(uow: UnitOfWork, agreement_id: AgreementId) -> bool | None:
    """Return what ``Agreement.is_terminated`` would be; None if there is no such agreement."""
    row = uow.run(_TIMES, agreement=agreement_id).one_or_none()
    return None if row is None else ended_early(row.ends_at, row.ended_at)


def put_end(uow: UnitOfWork, agreement_id: AgreementId, end: End) -> None:
    """Note that one side has ended an agreement."""
    row = uow.session.get_one(AgreementRow, agreement_id, with_for_update=True)
    row.ended_at, row.ended_by = end.at, end.by
    row.end_code, row.end_reason = end.code, end.reason
    uow.session.flush()


def due(uow: UnitOfWork, now: datetime, *, limit: int) -> list[Agreement]:
    """Return agreements whose time is up and that nobody has ended yet, earliest first."""
    query = _timed().where(col(AgreementRow.ends_at) <= now).limit(limit).with_for_update()
    return [_from_row(row) for row in uow.session.exec(query)]


def next_end(uow: UnitOfWork) -> datetime | None:
    """Return when the next agreement ends, if any does."""
    row = uow.session.exec(_timed().limit(1)).one_or_none()
    return row.ends_at if row else None


def _timed() -> SelectOfScalar[AgreementRow]:
    return (
        select(AgreementRow)
        .where(col(AgreementRow.ended_at).is_(None), col(AgreementRow.ends_at).is_not(None))
        .order_by(col(AgreementRow.ends_at))
    )


def datasets_in_use(uow: UnitOfWork, side: Side, *, now: datetime) -> set[DatasetId]:
    """Return the datasets that running agreements of one side are about."""
    ends_at = col(AgreementRow.ends_at)
    query = (
        select(AgreementRow.dataset_id)
        .distinct()
        .where(
            AgreementRow.side == side.value,
            col(AgreementRow.ended_at).is_(None),
            or_(ends_at.is_(None), ends_at > now),
        )
    )
    return {DatasetId(found) for found in uow.session.exec(query)}


def newest(uow: UnitOfWork, *, limit: int) -> list[Agreement]:
    """Return at most ``limit`` agreements, newest first."""
    query = select(AgreementRow).order_by(
        col(AgreementRow.agreed_at).desc(), col(AgreementRow.agreement_id)
    )
    return [_from_row(row) for row in uow.session.exec(query.limit(limit))]


def remember(uow: UnitOfWork, known: KnownDataset) -> None:
    """Keep what is known of a dataset, without its sample."""
    dataset = known.dataset.model_copy(update={"sample": (), "sample_columns": ()})
    uow.session.merge(
        KnownDatasetRow(
            provider_id=known.provider_id,
            dataset_id=dataset.id,
            provider_handle=known.provider_handle,
            provider_name=known.provider_name,
            name=dataset.name,
            dataset_json=json.dumps(dataset.to_json(), ensure_ascii=False),
        )
    )
    uow.session.flush()


def known(
    uow: UnitOfWork, provider_id: ParticipantId, dataset_id: DatasetId
) -> KnownDataset | None:
    """Return what was kept of a dataset."""
    row = uow.session.get(KnownDatasetRow, (provider_id, dataset_id))
    return _known(row) if row else None


def bought_as(
    uow: UnitOfWork, handle: str, name: str, *, now: datetime
) -> list[tuple[Agreement, KnownDataset]]:
    """Return the running agreements that we hold for the dataset of this name, newest first."""
    ends_at = col(AgreementRow.ends_at)
    query = (
        select(AgreementRow, KnownDatasetRow)
        .join(
            KnownDatasetRow,
            and_(
                col(KnownDatasetRow.provider_id) == col(AgreementRow.provider_id),
                col(KnownDatasetRow.dataset_id) == col(AgreementRow.dataset_id),
            ),
        )
        .where(
            KnownDatasetRow.provider_handle == handle,
            KnownDatasetRow.name == name,
            AgreementRow.side == Side.CONSUMER.value,
            col(AgreementRow.ended_at).is_(None),
            or_(ends_at.is_(None), ends_at > now),
        )
        .order_by(col(AgreementRow.agreed_at).desc(), col(AgreementRow.agreement_id))
    )
    return [(_from_row(row), _known(dataset)) for row, dataset in uow.session.exec(query)]


def _known(row: KnownDatasetRow) -> KnownDataset:
    return KnownDataset(
        provider_id=ParticipantId(row.provider_id),
        provider_handle=row.provider_handle,
        provider_name=row.provider_name,
        dataset=Dataset.model_validate_json(row.dataset_json),
    )
