"""Rows of what the bank reported. Only ever added: triggers refuse the rest."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column
from sqlmodel import Field, SQLModel, col, select

from clearing.bank.model import Payer
from clearing.billing.store import profiles_of
from clearing.parties.store import PartyRow
from databank.kit.db import SERIAL, UnitOfWork, UtcTime
from schemas.ids import ParticipantId
from schemas.payout import BankMovement, BankOutcome


class MovementRow(SQLModel, table=True):
    """A movement with what was made of it; the last row of a reference and direction counts."""

    __tablename__ = "clearing_bank_movement"
    id: int | None = Field(
        default=None, sa_column=Column(SERIAL, primary_key=True, autoincrement=True)
    )
    reference: str = Field(index=True)
    is_credit: bool
    amount: str
    end_to_end_id: str | None = None
    participant_id: str | None = None
    outcome: str
    remittance: str
    recorded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


def latest(uow: UnitOfWork) -> list[BankMovement]:
    """Return every movement with its last outcome, in the order of first report."""
    found: dict[tuple[str, bool], BankMovement] = {}
    for row in uow.session.exec(select(MovementRow).order_by(col(MovementRow.id))):
        found[row.reference, row.is_credit] = _from_row(row)
    return list(found.values())


def last_movement(uow: UnitOfWork, reference: str, *, is_credit: bool) -> BankMovement | None:
    """Return a movement with what was made of it when it was last reported, if it was."""
    query = (
        select(MovementRow)
        .where(col(MovementRow.reference) == reference, col(MovementRow.is_credit) == is_credit)
        .order_by(col(MovementRow.id).desc())
        .limit(1)
    )
    row = uow.session.exec(query).first()
    return None if row is None else _from_row(row)


def has_deposit_like(uow: UnitOfWork, likeness: str, *, besides: str) -> bool:
    """Whether a credit of this likeness became a deposit, in another report than ``besides``."""
    query = (
        select(MovementRow.id)
        .where(col(MovementRow.reference).startswith(likeness, autoescape=True))
        .where(~col(MovementRow.reference).startswith(besides, autoescape=True))
        .where(col(MovementRow.outcome) == BankOutcome.DEPOSITED.value)
        .limit(1)
    )
    return uow.session.exec(query).first() is not None


def add_movement(uow: UnitOfWork, movement: BankMovement, *, now: datetime) -> None:
    """Store an outcome for good."""
    uow.session.add(
        MovementRow(
            **movement.model_dump(exclude={"outcome"}),
            outcome=movement.outcome.value,
            recorded_at=now,
        )
    )
    uow.session.flush()


def _from_row(row: MovementRow) -> BankMovement:
    return BankMovement(
        reference=row.reference,
        is_credit=row.is_credit,
        amount=row.amount,
        end_to_end_id=row.end_to_end_id,
        remittance=row.remittance,
        outcome=BankOutcome(row.outcome),
        participant_id=None if row.participant_id is None else ParticipantId(row.participant_id),
    )


def payers(uow: UnitOfWork) -> list[Payer]:
    """Return every participant known here, with what a credit may name it by."""
    rows = list(uow.session.exec(select(PartyRow).order_by(col(PartyRow.id))))
    profiles = profiles_of(uow, (ParticipantId(row.id) for row in rows))
    return [
        Payer(id_, row.name, row.brn, profiles[id_].profile.account)
        for row in rows
        for id_ in [ParticipantId(row.id)]
    ]
