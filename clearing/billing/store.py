"""Rows of billing profiles: every change is a row of its own, the last one counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork, UtcTime
from schemas.billing import BillingProfile, StoredProfile
from schemas.ids import ParticipantId


class BillingRow(SQLModel, table=True):
    """One change of a profile."""

    __tablename__ = "clearing_billing"
    participant_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    profile: str = Field(sa_column=Column(Text, nullable=False))
    recorded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


def profiles_of(
    uow: UnitOfWork, ids: Iterable[ParticipantId]
) -> dict[ParticipantId, StoredProfile]:
    """Return the present profile of each of these participants, an empty one if none was told."""
    wanted = sorted(set(ids))
    found = {
        id_: StoredProfile(participant_id=id_, number=0, profile=BillingProfile()) for id_ in wanted
    }
    query = (
        select(BillingRow)
        .where(col(BillingRow.participant_id).in_(wanted))
        .order_by(col(BillingRow.participant_id), col(BillingRow.number))
    )
    for row in uow.session.exec(query):
        id_ = ParticipantId(row.participant_id)
        found[id_] = StoredProfile(
            participant_id=id_,
            number=row.number,
            recorded_at=row.recorded_at,
            profile=BillingProfile.model_validate_json(row.profile),
        )
    return found


def add_profile(uow: UnitOfWork, stored: StoredProfile, *, now: datetime) -> None:
    """Store a change for good."""
    uow.session.add(
        BillingRow(
            participant_id=stored.participant_id,
            number=stored.number,
            profile=stored.profile.model_dump_json(exclude_none=True),
            recorded_at=now,
        )
    )
    uow.session.flush()
