"""Memberships with their bits, and requests for credentials."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel, col, delete, select
from sqlmodel.sql.expression import SelectOfScalar

from broker.membership.model import Membership, Request
from broker.registry.store import ParticipantRow
from databank.kit.db import UnitOfWork, UtcTime
from schemas.attested import Attested
from schemas.dcp.message import RequestStatus
from schemas.ids import ParticipantId

REQUESTS_KEPT: Final = 20  # of one holder


class MembershipRow(SQLModel, table=True):
    """One grant of membership; the key is its place in the status lists, never used twice."""

    __tablename__ = "broker_membership"
    index: int | None = Field(default=None, primary_key=True)
    participant_id: str = Field(index=True)
    granted_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    revoked_at: datetime | None = Field(default=None, sa_column=Column(UtcTime))


class AttestationRow(SQLModel, table=True):
    """What the operator attests of a participant beyond its membership."""

    __tablename__ = "broker_attestation"
    participant_id: str = Field(primary_key=True)
    groups: list[str] = Field(sa_column=Column(JSON, nullable=False))
    claims: list[str] = Field(sa_column=Column(JSON, nullable=False))
    changed_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class CredentialRequestRow(SQLModel, table=True):
    """One request of a holder; ``next_at`` is of the next try to deliver."""

    __tablename__ = "broker_credential_request"
    id: str = Field(primary_key=True)
    holder_id: str = Field(index=True)
    holder_pid: str
    object_ids: list[str] = Field(sa_column=Column(JSON, nullable=False))
    status: str = Field(index=True)
    attempts_count: int = 0
    next_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    created_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


def grant(uow: UnitOfWork, participant_id: ParticipantId, now: datetime) -> Membership:
    """Return the membership of a participant that is not revoked; make one if there is none."""
    _lock(uow, participant_id)
    row = uow.session.exec(_valid(participant_id)).first()
    if row is None:
        row = MembershipRow(participant_id=participant_id, granted_at=now)
        uow.session.add(row)
        uow.session.flush()
    assert row.index is not None
    return Membership(row.index, participant_id, attested(uow, participant_id))


def attested(uow: UnitOfWork, participant_id: ParticipantId) -> Attested:
    """Return what is attested of a participant; nothing if nobody has said anything."""
    row = uow.session.get(AttestationRow, participant_id)
    return Attested() if row is None else Attested(frozenset(row.groups), frozenset(row.claims))


def attest(uow: UnitOfWork, participant_id: ParticipantId, said: Attested, now: datetime) -> None:
    """Attest this of a participant from now on."""
    _lock(uow, participant_id)
    row = AttestationRow(
        participant_id=participant_id,
        groups=sorted(said.groups),
        claims=sorted(said.claims),
        changed_at=now,
    )
    uow.session.merge(row)
    uow.session.flush()


def revoke(uow: UnitOfWork, participant_id: ParticipantId, now: datetime) -> None:
    """Set the bits of all memberships of a participant."""
    _lock(uow, participant_id)
    for row in uow.session.exec(_valid(participant_id)):
        row.revoked_at = now
        uow.session.add(row)
    uow.session.flush()


def _lock(uow: UnitOfWork, participant_id: ParticipantId) -> None:
    """Let nobody else grant, attest or revoke for a participant until the transaction ends.

    Else a credential could leave with what its bearer is just ceasing to be.
    """
    query = select(ParticipantRow.id).where(col(ParticipantRow.id) == participant_id)
    uow.session.exec(query.with_for_update()).first()


def _valid(participant_id: ParticipantId) -> SelectOfScalar[MembershipRow]:
    return (
        select(MembershipRow)
        .where(col(MembershipRow.participant_id) == participant_id)
        .where(col(MembershipRow.revoked_at).is_(None))
    )


def revoked_between(uow: UnitOfWork, first: int, end: int) -> list[int]:
    """Return the revoked indexes from ``first`` up to and without ``end``."""
    query = (
        select(MembershipRow.index)
        .where(col(MembershipRow.index) >= first, col(MembershipRow.index) < end)
        .where(col(MembershipRow.revoked_at).is_not(None))
    )
    return [index for index in uow.session.exec(query) if index is not None]


def add_request(uow: UnitOfWork, request: Request, now: datetime) -> None:
    """Store a new request, and forget the holder's oldest ones."""
    uow.session.add(
        CredentialRequestRow(
            id=request.id,
            holder_id=request.holder_id,
            holder_pid=request.holder_pid,
            object_ids=list(request.object_ids),
            status=request.status.value,
            next_at=request.next_at,
            created_at=now,
        )
    )
    uow.session.flush()
    kept = (
        select(CredentialRequestRow.id)
        .where(col(CredentialRequestRow.holder_id) == request.holder_id)
        .order_by(col(CredentialRequestRow.created_at).desc(), col(CredentialRequestRow.id).desc())
        .limit(REQUESTS_KEPT)
    )
    ids = list(uow.session.exec(kept))
    uow.session.exec(
        delete(CredentialRequestRow)
        .where(col(CredentialRequestRow.holder_id) == request.holder_id)
        .where(col(CredentialRequestRow.id).not_in(ids))
    )


def find_request(uow: UnitOfWork, request_id: str) -> Request | None:
    """Return a request."""
    row = uow.session.get(CredentialRequestRow, request_id)
    return None if row is None else _from_row(row)


def due_requests(uow: UnitOfWork, now: datetime, *, limit: int) -> Sequence[Request]:
    """Return requests that are to be answered now, oldest first."""
    query = (
        select(CredentialRequestRow)
        .where(col(CredentialRequestRow.status) == RequestStatus.RECEIVED.value)
        .where(col(CredentialRequestRow.next_at) <= now)
        .order_by(col(CredentialRequestRow.created_at))
        .limit(limit)
    )
    return [_from_row(row) for row in uow.session.exec(query)]


def settle(uow: UnitOfWork, request_id: str, status: RequestStatus, *, next_at: datetime) -> None:
    """Note a try to deliver; the request may have been forgotten meanwhile."""
    row = uow.session.get(CredentialRequestRow, request_id)
    if row is not None:
        row.status, row.next_at = status.value, next_at
        row.attempts_count += 1
        uow.session.add(row)
        uow.session.flush()


def _from_row(row: CredentialRequestRow) -> Request:
    return Request(
        id=row.id,
        holder_id=ParticipantId(row.holder_id),
        holder_pid=row.holder_pid,
        object_ids=tuple(row.object_ids),
        status=RequestStatus(row.status),
        attempts_count=row.attempts_count,
        next_at=row.next_at,
    )
