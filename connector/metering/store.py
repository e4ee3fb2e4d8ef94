"""Tables of the meter: records, totals, the stream's position, covered batches, grants.

Every query and read passes here twice, so statements are built once and run beside the ORM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    UniqueConstraint,
    bindparam,
    delete,
    insert,
    update,
)
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork, UtcTime
from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId
from schemas.price import Run, Usage
from schemas.usage import FIRST_PREVIOUS_SHA256, Act, UsageRecord

FIRST_EPOCH = 1
STREAM_ID = 1


class UsageRow(SQLModel, table=True):
    """One metered act; appended, never changed."""

    __tablename__ = "connector_usage"
    __table_args__ = (UniqueConstraint("agreement_id", "act_id"),)
    seq: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    act_id: str
    act: str
    agreement_id: str = Field(index=True)
    process_id: str
    consumer_id: str
    dataset_id: str
    rows_count: int = Field(sa_column=Column(BigInteger, nullable=False))
    bytes_count: int = Field(sa_column=Column(BigInteger, nullable=False))
    queries_count: int
    result_sha256: str
    occurred_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    sql_sha256: str | None
    charge_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    vat_micro: int = Field(sa_column=Column(BigInteger, nullable=False))


class StreamRow(SQLModel, table=True):
    """Where our one stream stands; ``sealed_seq`` ends the batch that is under way."""

    __tablename__ = "connector_stream"
    id: int = Field(primary_key=True)
    epoch: int = Field(sa_column=Column(BigInteger, nullable=False))
    next_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    acked_seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    last_body_sha256: str
    sealed_seq: int | None = Field(sa_column=Column(BigInteger, nullable=True))


class TotalRow(SQLModel, table=True):
    """What one agreement has used since its beginning."""

    __tablename__ = "connector_usage_total"
    agreement_id: str = Field(primary_key=True)
    acts: int = Field(sa_column=Column(BigInteger, nullable=False))
    queries: int = Field(sa_column=Column(BigInteger, nullable=False))
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    months: int
    last_month: str


class MonthRow(SQLModel, table=True):
    """What one agreement has used in a month, where its plan counts by the month."""

    __tablename__ = "connector_usage_month"
    agreement_id: str = Field(primary_key=True)
    month: str = Field(primary_key=True)
    acts: int = Field(sa_column=Column(BigInteger, nullable=False))
    queries: int = Field(sa_column=Column(BigInteger, nullable=False))
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False))


class CoveredRow(SQLModel, table=True):
    """One record batch of a file that a transfer process has paid for."""

    __tablename__ = "connector_covered_batch"
    process_id: str = Field(primary_key=True)
    batch: int = Field(primary_key=True)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))


class GrantRow(SQLModel, table=True):
    """The latest grant of an agreement; without ``expires_at`` it is still being asked for."""

    __tablename__ = "connector_grant"
    agreement_id: str = Field(primary_key=True)
    grant_id: str
    minimum_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    wanted_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    remaining_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_at: datetime | None = Field(sa_column=Column(UtcTime, nullable=True))


@dataclass(frozen=True, slots=True)
class Stored:
    """A record with what only we keep of it."""

    record: UsageRecord
    sql_sha256: str | None
    charge_micro: int
    vat_micro: int


@dataclass(frozen=True, slots=True)
class Total:
    """Usage so far and the last month (Asia/Seoul) it fell into."""

    usage: Usage = field(default_factory=Usage)
    last_month: str = ""


@dataclass(frozen=True, slots=True)
class Stream:
    """Where the stream stands."""

    epoch: int
    next_seq: int
    acked_seq: int
    last_body_sha256: str
    sealed_seq: int | None


@dataclass(frozen=True, slots=True)
class HeldGrant:
    """A grant, or the wish for one that has not been answered."""

    grant_id: str
    minimum_micro: int
    wanted_micro: int
    remaining_micro: int
    expires_at: datetime | None


_STREAM: Final = select(StreamRow).where(col(StreamRow.id) == STREAM_ID).with_for_update()
_ADD_STREAM: Final = insert(StreamRow)
_SEAL: Final = (
    update(StreamRow).where(col(StreamRow.id) == STREAM_ID).values(sealed_seq=bindparam("seq"))
)
_ACKNOWLEDGE: Final = (
    update(StreamRow)
    .where(col(StreamRow.id) == STREAM_ID)
    .values(acked_seq=bindparam("seq"), last_body_sha256=bindparam("body"), sealed_seq=None)
)
_ADVANCE: Final = (
    update(StreamRow)
    .where(col(StreamRow.id) == STREAM_ID, col(StreamRow.next_seq) == bindparam("seq"))
    .values(next_seq=col(StreamRow.next_seq) + 1)
)


def stream(uow: UnitOfWork) -> Stream:
    """Return where the stream stands; it is locked until the transaction ends."""
    kept: Stream | None = uow.kept.get(_STREAM)
    if kept is not None:
        return kept
    row = uow.run(_STREAM).mapping_or_none()
    if row is None:
        found = Stream(FIRST_EPOCH, 1, 0, FIRST_PREVIOUS_SHA256, None)
        uow.run(_ADD_STREAM, id=STREAM_ID, **asdict(found))
    else:
        found = Stream(
            epoch=row["epoch"],
            next_seq=row["next_seq"],
            acked_seq=row["acked_seq"],
            last_body_sha256=row["last_body_sha256"],
            sealed_seq=row["sealed_seq"],
        )
    uow.kept[_STREAM] = found
    return found


def seal(uow: UnitOfWork, last_seq: int) -> None:
    """Fix where the next batch ends, so that it is the same bytes however often it is sent."""
    uow.run(_SEAL, seq=last_seq)
    uow.kept.pop(_STREAM, None)


def acknowledge(uow: UnitOfWork, last_seq: int, body_sha256: str) -> None:
    """Move the watermark; nothing is under way after it."""
    uow.run(_ACKNOWLEDGE, seq=last_seq, body=body_sha256)
    uow.kept.pop(_STREAM, None)


_APPEND: Final = insert(UsageRow)


def append(uow: UnitOfWork, stored: Stored) -> None:
    """Append a record, whose ``seq`` must be the one that is due."""
    record = stored.record
    is_due = uow.run(_ADVANCE, seq=record.seq).rowcount == 1
    uow.kept.pop(_STREAM, None)
    assert is_due
    uow.run(
        _APPEND,
        seq=record.seq,
        act_id=record.act_id,
        act=record.act.value,
        agreement_id=record.agreement_id,
        process_id=record.process_id,
        consumer_id=record.consumer_id,
        dataset_id=record.dataset_id,
        rows_count=record.rows_count,
        bytes_count=record.bytes_count,
        queries_count=record.queries_count,
        result_sha256=record.result_sha256,
        occurred_at=record.occurred_at,
        sql_sha256=stored.sql_sha256,
        charge_micro=stored.charge_micro,
        vat_micro=stored.vat_micro,
    )


def _from_row(row: Mapping[str, Any]) -> Stored:
    record = UsageRecord(
        seq=row["seq"],
        act_id=row["act_id"],
        act=Act(row["act"]),
        agreement_id=AgreementId(row["agreement_id"]),
        process_id=ProcessId(row["process_id"]),
        consumer_id=ParticipantId(row["consumer_id"]),
        dataset_id=DatasetId(row["dataset_id"]),
        rows_count=row["rows_count"],
        bytes_count=row["bytes_count"],
        queries_count=row["queries_count"],
        result_sha256=row["result_sha256"],
        occurred_at=row["occurred_at"],
    )
    return Stored(record, row["sql_sha256"], row["charge_micro"], row["vat_micro"])


_FIND: Final = select(UsageRow).where(
    col(UsageRow.agreement_id) == bindparam("agreement"), col(UsageRow.act_id) == bindparam("act")
)
_RECORDS: Final = (
    select(UsageRow)
    .where(col(UsageRow.seq) >= bindparam("first"), col(UsageRow.seq) <= bindparam("last"))
    .order_by(col(UsageRow.seq))
)


def find(uow: UnitOfWork, agreement_id: AgreementId, act_id: str) -> Stored | None:
    """Return the record of an act, if it was metered."""
    row = uow.run(_FIND, agreement=agreement_id, act=act_id).mapping_or_none()
    return _from_row(row) if row else None


def records(uow: UnitOfWork, first_seq: int, last_seq: int) -> list[UsageRecord]:
    """Return the records from ``first_seq`` to ``last_seq``, in order."""
    rows = uow.run(_RECORDS, first=first_seq, last=last_seq).mappings()
    return [_from_row(row).record for row in rows]


_TOTAL: Final = (
    select(TotalRow).where(col(TotalRow.agreement_id) == bindparam("agreement")).with_for_update()
)
_ADD_TOTAL: Final = insert(TotalRow)
_CHANGE_TOTAL: Final = update(TotalRow).where(col(TotalRow.agreement_id) == bindparam("agreement"))


_MONTHS: Final = (
    select(MonthRow)
    .where(col(MonthRow.agreement_id) == bindparam("agreement"))
    .order_by(col(MonthRow.month))
)
_ADD_MONTH: Final = insert(MonthRow)
_CHANGE_MONTH: Final = update(MonthRow).where(
    col(MonthRow.agreement_id) == bindparam("agreement"), col(MonthRow.month) == bindparam("of")
)


def total(uow: UnitOfWork, agreement_id: AgreementId, *, by_month: bool = False) -> Total:
    """Return what an agreement has used; locked until the transaction ends.

    ``by_month``: also in each month, which is kept where the plan counts by the month.
    """
    key = (_TOTAL, agreement_id, by_month)
    kept: Total | None = uow.kept.get(key)
    if kept is not None:
        return kept
    row = uow.run(_TOTAL, agreement=agreement_id).mapping_or_none()
    if row is None:  # nothing is locked: another transaction may add it
        return Total()
    months = uow.run(_MONTHS, agreement=agreement_id).mappings() if by_month else ()
    usage = Usage(
        acts=row["acts"],
        queries=row["queries"],
        rows=row["rows"],
        bytes=row["bytes"],
        months=row["months"],
        by_month=tuple(
            Run(m["month"], m["acts"], m["queries"], m["rows"], m["bytes"]) for m in months
        ),
    )
    found = Total(usage, row["last_month"])
    uow.kept[key] = found
    return found


def put_total(uow: UnitOfWork, agreement_id: AgreementId, total: Total) -> None:
    """Store what an agreement has used."""
    for by_month in (False, True):
        uow.kept.pop((_TOTAL, agreement_id, by_month), None)
    usage = total.usage
    values = {
        "acts": usage.acts,
        "queries": usage.queries,
        "rows": usage.rows,
        "bytes": usage.bytes,
        "months": usage.months,
        "last_month": total.last_month,
    }
    if uow.run(_CHANGE_TOTAL, agreement=agreement_id, **values).rowcount == 0:
        uow.run(_ADD_TOTAL, agreement_id=agreement_id, **values)


def put_month(uow: UnitOfWork, agreement_id: AgreementId, total: Total, month: str) -> None:
    """Store what an agreement has used in one of its months."""
    run = next(run for run in total.usage.by_month if run.month == month)
    values = asdict(run)
    del values["month"]
    if uow.run(_CHANGE_MONTH, agreement=agreement_id, of=month, **values).rowcount == 0:
        uow.run(_ADD_MONTH, agreement_id=agreement_id, month=month, **values)


_COVERED: Final = select(CoveredRow.batch).where(col(CoveredRow.process_id) == bindparam("process"))
_COVER: Final = insert(CoveredRow)


def covered(uow: UnitOfWork, process_id: ProcessId) -> set[int]:
    """Return the batches that a transfer process has paid for."""
    return set(uow.run(_COVERED, process=process_id).scalars())


def cover(uow: UnitOfWork, process_id: ProcessId, batches: list[int], seq: int) -> None:
    """Note that record ``seq`` pays for these batches."""
    rows = [{"process_id": process_id, "batch": batch, "seq": seq} for batch in batches]
    uow.run_each(_COVER, rows)


_GRANT: Final = (
    select(GrantRow).where(col(GrantRow.agreement_id) == bindparam("agreement")).with_for_update()
)
_ADD_GRANT: Final = insert(GrantRow)
_CHANGE_GRANT: Final = update(GrantRow).where(col(GrantRow.agreement_id) == bindparam("agreement"))
_SPEND: Final = (
    update(GrantRow)
    .where(
        col(GrantRow.agreement_id) == bindparam("agreement"),
        col(GrantRow.remaining_micro) >= bindparam("charge"),
        col(GrantRow.expires_at) > bindparam("after"),
    )
    .values(remaining_micro=col(GrantRow.remaining_micro) - bindparam("charge"))
)
_DROP_GRANT: Final = delete(GrantRow).where(col(GrantRow.agreement_id) == bindparam("agreement"))


def grant(uow: UnitOfWork, agreement_id: AgreementId) -> HeldGrant | None:
    """Return the agreement's grant; locked until the transaction ends."""
    row = uow.run(_GRANT, agreement=agreement_id).mapping_or_none()
    if row is None:
        return None
    return HeldGrant(
        grant_id=row["grant_id"],
        minimum_micro=row["minimum_micro"],
        wanted_micro=row["wanted_micro"],
        remaining_micro=row["remaining_micro"],
        expires_at=row["expires_at"],
    )


def put_grant(uow: UnitOfWork, agreement_id: AgreementId, held: HeldGrant) -> None:
    """Store the agreement's grant in place of an earlier one."""
    values = asdict(held)
    if uow.run(_CHANGE_GRANT, agreement=agreement_id, **values).rowcount == 0:
        uow.run(_ADD_GRANT, agreement_id=agreement_id, **values)


def spend_grant(
    uow: UnitOfWork, agreement_id: AgreementId, charge: int, *, expires_after: datetime
) -> bool:
    """Count a charge down from the agreement's grant; False if none covers it for that long."""
    values = {"agreement": agreement_id, "charge": charge, "after": expires_after}
    return uow.run(_SPEND, **values).rowcount == 1


def drop_grant(uow: UnitOfWork, agreement_id: AgreementId) -> None:
    """Forget the agreement's grant: it was refused."""
    uow.run(_DROP_GRANT, agreement=agreement_id)
