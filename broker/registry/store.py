"""Participants in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork, UtcTime
from schemas.ids import ParticipantId
from schemas.participant import Jwk, Participant, Role, Status

PARTICIPANTS_MAX = 10_000  # of one answer


class ParticipantRow(SQLModel, table=True):
    """One registered party; ``reason`` is of its last change of status."""

    __tablename__ = "broker_participant"
    id: str = Field(primary_key=True)
    handle: str = Field(unique=True)
    name: str
    brn: str
    connector_url: str
    jwk_x: str
    role: str
    status: str
    reason: str = ""
    registered_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))
    changed_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


def find(uow: UnitOfWork, participant_id: ParticipantId) -> Participant | None:
    """Return a participant, whatever its status."""
    row = uow.session.get(ParticipantRow, participant_id)
    return None if row is None else _from_row(row)


def find_by_handle(uow: UnitOfWork, handle: str) -> Participant | None:
    """Return the participant with a handle, whatever its status."""
    query = select(ParticipantRow).where(col(ParticipantRow.handle) == handle)
    row = uow.session.exec(query).one_or_none()
    return None if row is None else _from_row(row)


def has_brn(uow: UnitOfWork, brn: str) -> bool:
    """Whether a company with this business number is registered, whatever its status."""
    query = select(ParticipantRow.id).where(
        col(ParticipantRow.brn) == brn, col(ParticipantRow.role) == Role.COMPANY.value
    )
    return uow.session.exec(query.limit(1)).first() is not None


def list_all(uow: UnitOfWork) -> list[Participant]:
    """Return participants by registration."""
    query = (
        select(ParticipantRow)
        .order_by(col(ParticipantRow.registered_at), col(ParticipantRow.id))
        .limit(PARTICIPANTS_MAX)
    )
    return [_from_row(row) for row in uow.session.exec(query)]


def list_active(uow: UnitOfWork, role: Role | None = None) -> list[Participant]:
    """Return the active participants, of one role if given."""
    query = select(ParticipantRow).where(col(ParticipantRow.status) == Status.ACTIVE.value)
    if role is not None:
        query = query.where(col(ParticipantRow.role) == role.value)
    return [_from_row(row) for row in uow.session.exec(query)]


def add(uow: UnitOfWork, participant: Participant) -> None:
    """Store a new participant.

    Raises:
        IntegrityError: Its id or handle is taken.
    """
    with uow.session.begin_nested():
        uow.session.add(
            ParticipantRow(
                id=participant.id,
                handle=participant.handle,
                name=participant.name,
                brn=participant.brn,
                connector_url=participant.connector_url,
                jwk_x=participant.jwk.x,
                role=participant.role.value,
                status=participant.status.value,
                registered_at=participant.registered_at,
                changed_at=participant.registered_at,
            )
        )


def set_status(
    uow: UnitOfWork, participant_id: ParticipantId, status: Status, *, reason: str, now: datetime
) -> Participant:
    """Change the status of a participant that exists."""
    row = uow.session.get_one(ParticipantRow, participant_id)
    row.status, row.reason, row.changed_at = status.value, reason, now
    uow.session.add(row)
    uow.session.flush()
    return _from_row(row)


def remove(uow: UnitOfWork, participant_id: ParticipantId) -> None:
    """Delete a participant; only for the broker's own entry after its URL changed."""
    if (row := uow.session.get(ParticipantRow, participant_id)) is not None:
        uow.session.delete(row)
        uow.session.flush()


def _from_row(row: ParticipantRow) -> Participant:
    return Participant(
        id=ParticipantId(row.id),
        handle=row.handle,
        name=row.name,
        brn=row.brn,
        connector_url=row.connector_url,
        jwk=Jwk(x=row.jwk_x),
        role=Role(row.role),
        status=Status(row.status),
        registered_at=row.registered_at,
    )
