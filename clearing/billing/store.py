"""Rows of billing profiles: every change is a row of its own, the last one counts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Text, func
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork, UtcTime, table_of
from databank.kit.statements import among
from schemas.billing import BankAccount, BillingProfile, StoredProfile
from schemas.ids import ParticipantId

CHANGES_MAX: Final = 50  # of a profile, that are looked at


class BillingRow(SQLModel, table=True):
    """One change of a profile."""

    __tablename__ = "clearing_billing"
    participant_id: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    profile: str = Field(sa_column=Column(Text, nullable=False))
    recorded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


_BILLING: Final = table_of(BillingRow)
_NEWEST: Final = (
    select(_BILLING.c.participant_id, func.max(_BILLING.c.number).label("number"))
    .where(among(_BILLING.c.participant_id, "ids"))
    .group_by(_BILLING.c.participant_id)
    .subquery()
)
_PRESENT: Final = select(_BILLING).join(
    _NEWEST,
    (_NEWEST.c.participant_id == _BILLING.c.participant_id)
    & (_NEWEST.c.number == _BILLING.c.number),
)


def profiles_of(
    uow: UnitOfWork, ids: Iterable[ParticipantId]
) -> dict[ParticipantId, StoredProfile]:
    """Return the present profile of each of these participants, an empty one if none was told."""
    wanted = sorted(set(ids))
    found = {
        id_: StoredProfile(participant_id=id_, number=0, profile=BillingProfile()) for id_ in wanted
    }
    for row in uow.run(_PRESENT, ids=wanted):
        found[ParticipantId(row.participant_id)] = _from_row(row)
    return found


def accounts_since(
    uow: UnitOfWork, participant_id: ParticipantId, since: datetime
) -> list[BankAccount | None] | None:
    """Return the accounts that a participant had since then, the first it had at that time.

    None if there are more than anybody has reason to tell.
    """
    of_participant = col(BillingRow.participant_id) == participant_id
    query = (
        select(BillingRow)
        .where(of_participant)
        .order_by(col(BillingRow.number).desc())
        .limit(CHANGES_MAX)
    )
    found: list[BankAccount | None] = []
    for row in uow.session.exec(query):
        found.append(_from_row(row).profile.account)
        if row.recorded_at <= since:
            return found[::-1]
    return found[::-1] if len(found) < CHANGES_MAX else None


def _from_row(row: Any) -> StoredProfile:  # noqa: ANN401 - a BillingRow or a row of its table
    return StoredProfile(
        participant_id=ParticipantId(row.participant_id),
        number=row.number,
        recorded_at=row.recorded_at,
        profile=BillingProfile.model_validate_json(row.profile),
    )


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
