"""Table of transfer processes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Row, Text, UniqueConstraint, bindparam, insert, update
from sqlmodel import Field, SQLModel, col, select

from connector.side import Side
from connector.transfer.machine import FINAL, State
from connector.transfer.model import TransferProcess
from databank.kit.db import InsertNew, UnitOfWork, UtcTime
from schemas.dcat import FORMAT_QUERY
from schemas.ids import AgreementId, ParticipantId, ProcessId


class TransferRow(SQLModel, table=True):
    """One transfer process, by our own pid."""

    __tablename__ = "connector_transfer"
    __table_args__ = (UniqueConstraint("side", "counterparty_id", "consumer_pid"),)
    pid: str = Field(primary_key=True)
    side: str
    consumer_pid: str = Field(index=True)
    provider_pid: str | None
    counterparty_id: str
    peer_url: str
    agreement_id: str = Field(index=True)
    format: str
    state: str
    updated_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    secret_sha256: str | None
    data_address_json: str | None = Field(sa_column=Column(Text, nullable=True))
    reason: str | None
    reason_code: str | None = None
    suspended_by: str | None
    has_resumed: bool = False


def _values(process: TransferProcess) -> dict[str, Any]:
    address = process.data_address
    return {
        "pid": process.pid,
        "side": process.side.value,
        "consumer_pid": process.consumer_pid,
        "provider_pid": process.provider_pid,
        "counterparty_id": process.counterparty_id,
        "peer_url": process.peer_url,
        "agreement_id": process.agreement_id,
        "format": process.format,
        "state": process.state.value,
        "updated_at": process.updated_at,
        "secret_sha256": process.secret_sha256,
        "data_address_json": None if address is None else json.dumps(address),
        "reason": process.reason,
        "reason_code": process.reason_code,
        "suspended_by": " ".join(sorted(process.suspended_by)) or None,
        "has_resumed": process.has_resumed,
    }


def _from_row(row: TransferRow | Row[Any]) -> TransferProcess:
    return TransferProcess(
        side=Side(row.side),
        consumer_pid=ProcessId(row.consumer_pid),
        provider_pid=None if row.provider_pid is None else ProcessId(row.provider_pid),
        counterparty_id=ParticipantId(row.counterparty_id),
        peer_url=row.peer_url,
        agreement_id=AgreementId(row.agreement_id),
        format=row.format,
        state=State(row.state),
        updated_at=row.updated_at,
        secret_sha256=row.secret_sha256,
        data_address=None if row.data_address_json is None else json.loads(row.data_address_json),
        reason=row.reason,
        reason_code=row.reason_code,
        suspended_by=frozenset(Side(side) for side in (row.suspended_by or "").split()),
        has_resumed=row.has_resumed,
    )


_ADD: Final = InsertNew(TransferRow)
_INSERT: Final = insert(TransferRow)
_CHANGE: Final = update(TransferRow).where(col(TransferRow.pid) == bindparam("key"))
_OF_CONSUMER: Final = select(TransferRow).where(
    TransferRow.consumer_pid == bindparam("consumer_pid"),
    TransferRow.counterparty_id == bindparam("counterparty_id"),
    TransferRow.side == Side.PROVIDER.value,
)
_OPEN: Final = (
    select(TransferRow.pid)
    .where(
        TransferRow.side == Side.PROVIDER.value,
        TransferRow.state == State.STARTED.value,
        TransferRow.format == bindparam("format"),
    )
    .limit(1)
)
_RUNNING: Final = (
    select(TransferRow)
    .where(TransferRow.agreement_id == bindparam("agreement"))
    .where(col(TransferRow.state).not_in([state.value for state in FINAL]))
    .order_by(col(TransferRow.updated_at), col(TransferRow.pid))
)


def add(uow: UnitOfWork, process: TransferProcess) -> bool:
    """Store a new process; return False if its consumer has one under this pid."""
    return _ADD.run(uow, **_values(process))


def put(uow: UnitOfWork, process: TransferProcess) -> None:
    """Store a process, new or changed."""
    values = _values(process)
    if uow.run(_CHANGE, key=process.pid, **values).rowcount == 0:
        uow.run(_INSERT, **values)


_GET: Final = select(TransferRow).where(TransferRow.pid == bindparam("pid")).with_for_update()


def get(uow: UnitOfWork, pid: ProcessId) -> TransferProcess | None:
    """Return the process with this own pid; the row is locked until the transaction ends."""
    row = uow.run(_GET, pid=pid).one_or_none()
    return _from_row(row) if row else None


_STATE: Final = (
    select(TransferRow.state).where(TransferRow.pid == bindparam("pid")).with_for_update()
)


def state(uow: UnitOfWork, pid: ProcessId) -> State | None:
    """Return a process's state alone; the row is locked until the transaction ends."""
    found = uow.run(_STATE, pid=pid).scalar_one_or_none()
    return None if found is None else State(found)


def by_consumer_pid(
    uow: UnitOfWork, consumer_pid: ProcessId, counterparty_id: ParticipantId
) -> TransferProcess | None:
    """Return the process that this consumer has asked for under its pid, as provider."""
    values = {"consumer_pid": consumer_pid, "counterparty_id": counterparty_id}
    row = uow.run(_OF_CONSUMER, **values).one_or_none()
    return _from_row(row) if row else None


def running(uow: UnitOfWork, agreement_id: AgreementId) -> list[TransferProcess]:
    """Return the processes of an agreement that have not ended, oldest change first."""
    return [_from_row(row) for row in uow.run(_RUNNING, agreement=agreement_id)]


def latest(uow: UnitOfWork, agreement_id: AgreementId) -> TransferProcess | None:
    """Return the process of an agreement that changed last, ended or not."""
    query = (
        select(TransferRow)
        .where(col(TransferRow.agreement_id) == agreement_id)
        .order_by(col(TransferRow.updated_at).desc(), col(TransferRow.pid).desc())
    )
    row = uow.session.exec(query.limit(1)).first()
    return None if row is None else _from_row(row)


def has_open_queries(uow: UnitOfWork) -> bool:
    """Return whether a consumer has an address of ours where it may ask with SQL."""
    return uow.run(_OPEN, format=FORMAT_QUERY).first() is not None


def running_of_all(
    uow: UnitOfWork, agreement_ids: list[AgreementId]
) -> dict[AgreementId, TransferProcess]:
    """Return one process that has not ended for each agreement that has one."""
    query = (
        select(TransferRow)
        .where(col(TransferRow.agreement_id).in_(agreement_ids))
        .where(col(TransferRow.state).not_in([state.value for state in FINAL]))
        .order_by(col(TransferRow.updated_at))
    )
    return {AgreementId(row.agreement_id): _from_row(row) for row in uow.session.exec(query)}
