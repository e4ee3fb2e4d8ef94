"""Rows of streams and batches. Batches are kept whole: body, signed header, signed receipt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    LargeBinary,
    Text,
    func,
    insert,
    select,
    update,
)
from sqlalchemy import bindparam as bind
from sqlmodel import Field, SQLModel, col
from sqlmodel import select as select_rows

from clearing.metering.stream import Position
from databank.kit.db import SERIAL, InsertNew, UnitOfWork, UtcTime, table_of
from databank.kit.statements import among
from schemas.close import StreamCut
from schemas.ids import AgreementId, ParticipantId
from schemas.usage import FIRST_PREVIOUS_SHA256, BatchHeader

EVIDENCE_ROWS_MAX: Final = 16  # for each stream: enough to prove it, too few to fill a disk


class StreamRow(SQLModel, table=True):
    """A stream's watermark."""

    __tablename__ = "clearing_stream"
    provider_id: str = Field(primary_key=True)
    epoch: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    next_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_body_sha256: str


class BatchRow(SQLModel, table=True):
    """One booked batch."""

    __tablename__ = "clearing_batch"
    provider_id: str = Field(primary_key=True)
    epoch: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    first_seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    records_count: int
    body_sha256: str
    header: str = Field(sa_column=Column(Text, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    receipt: str = Field(sa_column=Column(Text, nullable=False))
    received_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    signer: str | None = None  # the key that the header verified under; none before the log


class BatchAgreementRow(SQLModel, table=True):
    """Which agreements a batch is about, and the entry that it was booked under, if priced."""

    __tablename__ = "clearing_batch_agreement"
    id: int | None = Field(
        default=None, sa_column=Column(SERIAL, primary_key=True, autoincrement=True)
    )
    agreement_id: str = Field(index=True)
    provider_id: str
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    first_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    entry_id: str | None = None


class EvidenceRow(SQLModel, table=True):
    """A signed batch that contradicts one that was booked."""

    __tablename__ = "clearing_evidence"
    provider_id: str = Field(primary_key=True)
    epoch: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    body_sha256: str = Field(primary_key=True)
    contradicted_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    header: str = Field(sa_column=Column(Text, nullable=False))
    body: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    received_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


_STREAM: Final = table_of(StreamRow)
_ADD_BATCH: Final = insert(table_of(BatchRow))
_ADD_LINK: Final = insert(table_of(BatchAgreementRow))


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A batch as it came: the header, its signature and the body."""

    header: BatchHeader
    jws: str
    body: bytes


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as it was booked."""

    provider_id: ParticipantId
    epoch: int
    first_seq: int
    records_count: int
    body_sha256: str
    body: bytes
    jws: str
    receipt: str
    signer: str | None
    received_at: datetime

    def header(self) -> BatchHeader:
        """Return what is needed to decode the body again."""
        return BatchHeader(
            provider_id=self.provider_id,
            epoch=self.epoch,
            first_seq=self.first_seq,
            records_count=self.records_count,
            body_sha256=self.body_sha256,
            previous_sha256=FIRST_PREVIOUS_SHA256,
            slices_root=FIRST_PREVIOUS_SHA256,
            slices_count=1,
        )


def position(uow: UnitOfWork, provider_id: ParticipantId, epoch: int) -> Position:
    """Return where a stream stands."""
    row = uow.session.get(StreamRow, (provider_id, epoch))
    return Position() if row is None else Position(row.next_seq, row.last_body_sha256)


StreamKey = tuple[ParticipantId, int]  # provider and epoch


def stream_cuts(uow: UnitOfWork) -> tuple[StreamCut, ...]:
    """Return where every stream stands, by supplier and epoch."""
    query = select_rows(StreamRow).order_by(col(StreamRow.provider_id), col(StreamRow.epoch))
    return tuple(
        StreamCut(
            provider_id=ParticipantId(row.provider_id), epoch=row.epoch, next_seq=row.next_seq
        )
        for row in uow.session.exec(query)
    )


_NEW_STREAM: Final = InsertNew(StreamRow)
_LOCK_STREAMS: Final = (
    select(_STREAM)
    .where(among(_STREAM.c.provider_id, "providers"))
    .order_by(_STREAM.c.provider_id, _STREAM.c.epoch)
    .with_for_update()
)
_PUT_STREAM: Final = update(_STREAM).where(
    _STREAM.c.provider_id == bind("p"), _STREAM.c.epoch == bind("e")
)


def lock_positions(uow: UnitOfWork, keys: Iterable[StreamKey]) -> dict[StreamKey, Position]:
    """Return where streams stand, locked in one order until the transaction ends."""
    wanted = sorted(set(keys))
    start = Position()
    _NEW_STREAM.run_each(
        uow,
        [
            {
                "provider_id": provider_id,
                "epoch": epoch,
                "next_seq": start.next_seq,
                "last_body_sha256": start.last_body_sha256,
            }
            for provider_id, epoch in wanted
        ],
    )
    found = {
        (ParticipantId(row.provider_id), int(row.epoch)): Position(
            row.next_seq, row.last_body_sha256
        )
        for row in uow.run(_LOCK_STREAMS, providers=sorted({key[0] for key in wanted}))
    }
    return {key: found[key] for key in wanted}


def put_positions(uow: UnitOfWork, positions: Mapping[StreamKey, Position]) -> None:
    """Write where streams stand."""
    uow.run_each(
        _PUT_STREAM,
        [
            {
                "p": key[0],
                "e": key[1],
                "next_seq": at.next_seq,
                "last_body_sha256": at.last_body_sha256,
            }
            for key, at in positions.items()
        ],
    )


@dataclass(frozen=True, slots=True)
class NewBatch:
    """A batch that is being booked: as it came, with its receipt, its signer and its entries."""

    signed: SignedBatch
    receipt: str
    signer: str
    entries: Mapping[AgreementId, str | None]


def put_batches(uow: UnitOfWork, batches: Sequence[NewBatch], *, now: datetime) -> None:
    """Store batches, and which agreements each is about."""
    rows, links = [], []
    for new in batches:
        header = new.signed.header
        key = {
            "provider_id": header.provider_id,
            "epoch": header.epoch,
            "first_seq": header.first_seq,
        }
        rows.append(
            {
                **key,
                "records_count": header.records_count,
                "body_sha256": header.body_sha256,
                "header": new.signed.jws,
                "body": new.signed.body,
                "receipt": new.receipt,
                "received_at": now,
                "signer": new.signer,
            }
        )
        links += [{**key, "agreement_id": a, "entry_id": e} for a, e in new.entries.items()]
    uow.run_each(_ADD_BATCH, rows)
    uow.run_each(_ADD_LINK, links)


def overlapping(uow: UnitOfWork, header: BatchHeader) -> list[StoredBatch]:
    """Return the booked batches that share a sequence number with this one, in order."""
    end = col(BatchRow.first_seq) + col(BatchRow.records_count)
    query = (
        select_rows(BatchRow)
        .where(
            col(BatchRow.provider_id) == header.provider_id,
            col(BatchRow.epoch) == header.epoch,
            col(BatchRow.first_seq) < header.first_seq + header.records_count,
            end > header.first_seq,
        )
        .order_by(col(BatchRow.first_seq))
    )
    return [_from_batch(row) for row in uow.session.exec(query)]


def put_evidence(
    uow: UnitOfWork, batch: SignedBatch, *, contradicted_seq: int, now: datetime
) -> None:
    """Keep a batch that contradicts what was booked, once, up to a bound for each stream."""
    header, table = batch.header, EvidenceRow
    same_stream = (
        col(table.provider_id) == header.provider_id,
        col(table.epoch) == header.epoch,
    )
    count = uow.session.execute(select(func.count()).where(*same_stream)).scalar_one()
    key = (header.provider_id, header.epoch, header.body_sha256)
    if count >= EVIDENCE_ROWS_MAX or uow.session.get(table, key) is not None:
        return
    uow.session.add(
        EvidenceRow(
            provider_id=header.provider_id,
            epoch=header.epoch,
            body_sha256=header.body_sha256,
            contradicted_seq=contradicted_seq,
            header=batch.jws,
            body=batch.body,
            received_at=now,
        )
    )
    uow.session.flush()


def evidence(uow: UnitOfWork, provider_id: ParticipantId) -> list[tuple[int, bytes]]:
    """Return the contradicted sequence numbers and bodies kept against a provider."""
    query = select_rows(EvidenceRow).where(col(EvidenceRow.provider_id) == provider_id)
    return [(row.contradicted_seq, row.body) for row in uow.session.exec(query)]


def batches_of(
    uow: UnitOfWork, agreement_id: AgreementId, *, after: int, limit: int
) -> list[tuple[int, StoredBatch]]:
    """Return batches that hold records of an agreement, in the order of booking."""
    link: Any = BatchAgreementRow
    query = (
        select_rows(link.id, BatchRow)
        .join(
            BatchRow,
            (link.provider_id == BatchRow.provider_id)
            & (link.epoch == BatchRow.epoch)
            & (link.first_seq == BatchRow.first_seq),
        )
        .where(link.agreement_id == agreement_id, link.id > after)
        .order_by(link.id)
        .limit(limit)
    )
    return [(serial, _from_batch(row)) for serial, row in uow.session.exec(query)]


def count_records(uow: UnitOfWork) -> int:
    """Return how many usage records were booked."""
    total = uow.session.execute(select(func.sum(col(BatchRow.records_count)))).scalar_one()
    return int(total or 0)


def _from_batch(row: BatchRow) -> StoredBatch:
    return StoredBatch(
        provider_id=ParticipantId(row.provider_id),
        epoch=row.epoch,
        first_seq=row.first_seq,
        records_count=row.records_count,
        body_sha256=row.body_sha256,
        body=row.body,
        jws=row.header,
        receipt=row.receipt,
        signer=row.signer,
        received_at=row.received_at,
    )
