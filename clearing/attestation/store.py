"""Rows of what buyers have signed: their streams and batches, kept whole, and contradictions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, LargeBinary, Text, func
from sqlalchemy import select as select_columns
from sqlmodel import Field, SQLModel, col, select

from clearing.metering.stream import Position
from databank.kit.db import SERIAL, UnitOfWork, UtcTime, table_of
from databank.kit.statements import among
from schemas.ids import AgreementId, ParticipantId
from schemas.usage import FIRST_PREVIOUS_SHA256, BatchHeader

EVIDENCE_ROWS_MAX: Final = 16  # for each stream, as for suppliers


class AckStreamRow(SQLModel, table=True):
    """A buyer's watermark."""

    __tablename__ = "clearing_ack_stream"
    consumer_id: str = Field(primary_key=True)
    epoch: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    next_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_body_sha256: str


class AckBatchRow(SQLModel, table=True):
    """One batch of what a buyer received; ``contradicts`` is a number that it signs anew."""

    __tablename__ = "clearing_ack_batch"
    id: int | None = Field(
        default=None, sa_column=Column(SERIAL, primary_key=True, autoincrement=True)
    )
    consumer_id: str = Field(index=True)
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    first_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    records_count: int
    body_sha256: str
    header: str = Field(sa_column=Column(Text, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    receipt: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    contradicts: int | None = Field(default=None, sa_column=Column(BigInteger, nullable=True))
    received_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class AckAgreementRow(SQLModel, table=True):
    """Which agreements a batch is about."""

    __tablename__ = "clearing_ack_agreement"
    batch_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    agreement_id: str = Field(primary_key=True, index=True)


@dataclass(frozen=True, slots=True)
class AckBatch:
    """A batch as it was taken; ``receipt`` is none where it only contradicts one that was."""

    header: BatchHeader
    jws: str
    body: bytes
    receipt: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch that was taken, its serial number and when."""

    serial: int
    batch: AckBatch
    received_at: datetime


def lock_position(uow: UnitOfWork, consumer_id: ParticipantId, epoch: int) -> Position:
    """Return where a buyer's stream stands; locked until the transaction ends."""
    query = (
        select(AckStreamRow)
        .where(col(AckStreamRow.consumer_id) == consumer_id, col(AckStreamRow.epoch) == epoch)
        .with_for_update()
    )
    row = uow.session.exec(query).one_or_none()
    if row is None:
        start = Position()
        row = AckStreamRow(
            consumer_id=consumer_id,
            epoch=epoch,
            next_seq=start.next_seq,
            last_body_sha256=start.last_body_sha256,
        )
        uow.session.add(row)
        uow.session.flush()
    return Position(row.next_seq, row.last_body_sha256)


def position(uow: UnitOfWork, consumer_id: ParticipantId, epoch: int) -> Position:
    """Return where a buyer's stream stands."""
    row = uow.session.get(AckStreamRow, (consumer_id, epoch))
    return Position() if row is None else Position(row.next_seq, row.last_body_sha256)


def put(
    uow: UnitOfWork,
    batch: AckBatch,
    agreements: Iterable[AgreementId],
    *,
    after: Position | None,
    contradicts: int | None = None,
    now: datetime,
) -> None:
    """Store a batch; ``after`` is where its stream stands then, if it was taken."""
    header = batch.header
    if after is not None:
        stream = uow.session.get(AckStreamRow, (header.provider_id, header.epoch))
        assert stream is not None
        stream.next_seq, stream.last_body_sha256 = after.next_seq, after.last_body_sha256
    row = AckBatchRow(
        consumer_id=header.provider_id,
        epoch=header.epoch,
        first_seq=header.first_seq,
        records_count=header.records_count,
        body_sha256=header.body_sha256,
        header=batch.jws,
        body=batch.body,
        receipt=batch.receipt,
        contradicts=contradicts,
        received_at=now,
    )
    uow.session.add(row)
    uow.session.flush()
    assert row.id is not None
    for agreement_id in agreements:
        uow.session.add(AckAgreementRow(batch_id=row.id, agreement_id=agreement_id))
    uow.session.flush()


def overlapping(uow: UnitOfWork, header: BatchHeader) -> list[AckBatch]:
    """Return the taken batches that share a number with this one, in order."""
    end = col(AckBatchRow.first_seq) + col(AckBatchRow.records_count)
    query = (
        select(AckBatchRow)
        .where(
            col(AckBatchRow.consumer_id) == header.provider_id,
            col(AckBatchRow.epoch) == header.epoch,
            col(AckBatchRow.contradicts).is_(None),
            col(AckBatchRow.first_seq) < header.first_seq + header.records_count,
            end > header.first_seq,
        )
        .order_by(col(AckBatchRow.first_seq))
    )
    return [_from_row(row) for row in uow.session.exec(query)]


def has_room_for_evidence(uow: UnitOfWork, header: BatchHeader) -> bool:
    """Whether a contradiction would be new, and not one too many for its stream."""
    same = (
        col(AckBatchRow.consumer_id) == header.provider_id,
        col(AckBatchRow.epoch) == header.epoch,
        col(AckBatchRow.contradicts).is_not(None),
    )
    count = uow.session.exec(select(func.count()).where(*same)).one()
    is_known = uow.session.exec(
        select(func.count()).where(*same, col(AckBatchRow.body_sha256) == header.body_sha256)
    ).one()
    return count < EVIDENCE_ROWS_MAX and not is_known


def evidence_count(uow: UnitOfWork, consumer_id: ParticipantId) -> int:
    """Return how many contradictions are kept against a buyer."""
    query = select(func.count()).where(
        col(AckBatchRow.consumer_id) == consumer_id, col(AckBatchRow.contradicts).is_not(None)
    )
    return uow.session.exec(query).one()


def batches_of(
    uow: UnitOfWork, agreement_id: AgreementId, *, after: int, limit: int
) -> list[Taken]:
    """Return taken batches that hold acts of an agreement, in the order of taking.

    Args:
        uow: The transaction.
        agreement_id: The agreement.
        after: The serial number of the batch before the first; 0: from the beginning.
        limit: How many at most.
    """
    query = (
        select(AckBatchRow)
        .join(AckAgreementRow, col(AckAgreementRow.batch_id) == col(AckBatchRow.id))
        .where(
            col(AckAgreementRow.agreement_id) == agreement_id,
            col(AckAgreementRow.batch_id) > after,
            col(AckBatchRow.contradicts).is_(None),
        )
        .order_by(col(AckAgreementRow.batch_id))
        .limit(limit)
    )
    return [Taken(row.id or 0, _from_row(row), row.received_at) for row in uow.session.exec(query)]


_ACK: Final = table_of(AckAgreementRow)
_ACKNOWLEDGED: Final = (
    select_columns(_ACK.c.agreement_id).where(among(_ACK.c.agreement_id, "ids")).distinct()
)


def acknowledged(uow: UnitOfWork, agreements: Iterable[AgreementId]) -> set[AgreementId]:
    """Return those of these agreements of which a buyer has signed anything."""
    found = uow.run(_ACKNOWLEDGED, ids=sorted(set(agreements))).scalars()
    return {AgreementId(id_) for id_ in found}


def _from_row(row: AckBatchRow) -> AckBatch:
    header = BatchHeader(
        provider_id=ParticipantId(row.consumer_id),
        epoch=row.epoch,
        first_seq=row.first_seq,
        records_count=row.records_count,
        body_sha256=row.body_sha256,
        previous_sha256=FIRST_PREVIOUS_SHA256,
        slices_root=FIRST_PREVIOUS_SHA256,
        slices_count=1,
    )
    return AckBatch(header, row.header, row.body, row.receipt)
