"""The credentials that we hold and the requests for them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import JSON, Column, Row, Text
from sqlmodel import Field, SQLModel, col, delete, select

from connector.identity.model import Asked, Held
from databank.kit.db import UnitOfWork, UtcTime
from schemas.dcp.credential import MEMBERSHIP
from schemas.dcp.message import Profile, RequestStatus
from schemas.ids import ParticipantId

HELD_MAX: Final = 100
REQUESTS_KEPT: Final = 20


class CredentialRow(SQLModel, table=True):
    """One credential; a newer one of the same issuer, types and profile takes its place."""

    __tablename__ = "connector_credential"
    id: str = Field(primary_key=True)
    issuer: str
    types: list[str] = Field(sa_column=Column(JSON, nullable=False))
    profile: str
    payload: str = Field(sa_column=Column(Text, nullable=False))
    valid_from: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    valid_until: datetime | None = Field(default=None, sa_column=Column(UtcTime))
    renew_at: datetime | None = Field(default=None, sa_column=Column(UtcTime))


class CredentialRequestRow(SQLModel, table=True):
    """One request of ours."""

    __tablename__ = "connector_credential_request"
    holder_pid: str = Field(primary_key=True)
    issuer: str
    status: str
    asked_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))


def put(uow: UnitOfWork, held: Held) -> None:
    """Keep a credential instead of an older one for the same purpose."""
    for row in uow.session.exec(select(CredentialRow)):
        is_same = (row.issuer, row.profile) == (held.issuer, held.profile.value)
        if row.id == held.id or (is_same and sorted(row.types) == sorted(held.types)):
            uow.session.delete(row)
    uow.session.flush()
    uow.session.add(
        CredentialRow(
            id=held.id,
            issuer=held.issuer,
            types=list(held.types),
            profile=held.profile.value,
            payload=held.payload,
            valid_from=held.valid_from,
            valid_until=held.valid_until,
            renew_at=held.renew_at,
        )
    )
    uow.session.flush()


_HELD: Final = select(CredentialRow).order_by(col(CredentialRow.id)).limit(HELD_MAX)


def held(uow: UnitOfWork) -> list[Held]:
    """Return the credentials that we hold, valid or not."""
    return [_from_row(row) for row in uow.run(_HELD)]


def membership(uow: UnitOfWork, issuer: ParticipantId, now: datetime) -> Held | None:
    """Return our valid membership credential by an issuer."""
    for one in held(uow):
        if one.issuer == issuer and MEMBERSHIP in one.types and one.is_valid(now):
            return one
    return None


def renew_now(uow: UnitOfWork, issuer: ParticipantId, now: datetime) -> None:
    """Make the credentials of an issuer due for renewal."""
    for row in uow.session.exec(select(CredentialRow).where(col(CredentialRow.issuer) == issuer)):
        row.renew_at = now
        uow.session.add(row)
    uow.session.flush()


def note_request(uow: UnitOfWork, asked: Asked) -> None:
    """Note that we ask, and forget the oldest requests."""
    uow.session.add(
        CredentialRequestRow(
            holder_pid=asked.holder_pid,
            issuer=asked.issuer,
            status=asked.status.value,
            asked_at=asked.asked_at,
        )
    )
    uow.session.flush()
    kept = (
        select(CredentialRequestRow.holder_pid)
        .order_by(col(CredentialRequestRow.asked_at).desc())
        .limit(REQUESTS_KEPT)
    )
    ids = list(uow.session.exec(kept))
    uow.session.exec(
        delete(CredentialRequestRow).where(col(CredentialRequestRow.holder_pid).not_in(ids))
    )


def find_request(uow: UnitOfWork, holder_pid: str) -> Asked | None:
    """Return a request of ours."""
    row = uow.session.get(CredentialRequestRow, holder_pid)
    return None if row is None else _asked(row)


def latest_request(uow: UnitOfWork) -> Asked | None:
    """Return our latest request."""
    query = select(CredentialRequestRow).order_by(col(CredentialRequestRow.asked_at).desc())
    row = uow.session.exec(query.limit(1)).first()
    return None if row is None else _asked(row)


def set_request_status(uow: UnitOfWork, holder_pid: str, status: RequestStatus) -> None:
    """Note how a request of ours that exists ended."""
    row = uow.session.get_one(CredentialRequestRow, holder_pid)
    row.status = status.value
    uow.session.add(row)
    uow.session.flush()


def _asked(row: CredentialRequestRow) -> Asked:
    status = RequestStatus(row.status)
    return Asked(row.holder_pid, ParticipantId(row.issuer), status, row.asked_at)


def _from_row(row: CredentialRow | Row[Any]) -> Held:
    return Held(
        id=row.id,
        issuer=ParticipantId(row.issuer),
        types=tuple(row.types),
        profile=Profile(row.profile),
        payload=row.payload,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        renew_at=row.renew_at,
    )
