"""Tables of spending: the limit of each agreement, and what each of our acts cost or may cost.

The limit's row is locked while something is reserved, so that acts at the same time take turns.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, bindparam, delete, func, insert, update
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import InsertNew, UnitOfWork
from schemas.ids import AgreementId


class LimitRow(SQLModel, table=True):
    """The most that a month of an agreement may cost us."""

    __tablename__ = "connector_spending_limit"
    agreement_id: str = Field(primary_key=True)
    limit_micro: int | None = Field(sa_column=Column(BigInteger, nullable=True))


class SpentRow(SQLModel, table=True):
    """What one act cost, or, until it is settled, what it may cost and how often it was sent."""

    __tablename__ = "connector_spent"
    agreement_id: str = Field(primary_key=True)
    act_id: str = Field(primary_key=True)
    month: str
    amount_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    is_settled: bool
    sent_count: int


_LIMIT: Final = (
    select(LimitRow.limit_micro)
    .where(col(LimitRow.agreement_id) == bindparam("agreement"))
    .with_for_update()
)
_ADD_LIMIT: Final = InsertNew(LimitRow)
_SET_LIMIT: Final = (
    update(LimitRow)
    .where(col(LimitRow.agreement_id) == bindparam("agreement"))
    .values(limit_micro=bindparam("limit"))
)
_SUMS: Final = (
    select(col(SpentRow.is_settled), func.sum(col(SpentRow.amount_micro)).label("amount_micro"))
    .where(
        col(SpentRow.agreement_id) == bindparam("agreement"),
        col(SpentRow.month) == bindparam("of"),
    )
    .group_by(col(SpentRow.is_settled))
)
_OF_ACT: Final = select(
    col(SpentRow.amount_micro), col(SpentRow.is_settled), col(SpentRow.month)
).where(
    col(SpentRow.agreement_id) == bindparam("agreement"), col(SpentRow.act_id) == bindparam("act")
)
_ADD: Final = insert(SpentRow)
_SETTLE: Final = (
    update(SpentRow)
    .where(
        col(SpentRow.agreement_id) == bindparam("agreement"),
        col(SpentRow.act_id) == bindparam("act"),
        col(SpentRow.is_settled).is_(False),
    )
    .values(amount_micro=bindparam("amount"), month=bindparam("of"), is_settled=True)
)
_ADD_SETTLED: Final = InsertNew(SpentRow)
_RELEASE: Final = delete(SpentRow).where(
    col(SpentRow.agreement_id) == bindparam("agreement"),
    col(SpentRow.act_id) == bindparam("act"),
    col(SpentRow.is_settled).is_(False),
    col(SpentRow.sent_count) == 1,
)
_SEND_AGAIN: Final = (
    update(SpentRow)
    .where(
        col(SpentRow.agreement_id) == bindparam("agreement"),
        col(SpentRow.act_id) == bindparam("act"),
    )
    .values(
        amount_micro=bindparam("amount"),
        month=bindparam("of"),
        sent_count=col(SpentRow.sent_count) + 1,
    )
)
_FORGET: Final = delete(SpentRow).where(
    col(SpentRow.agreement_id) == bindparam("agreement"), col(SpentRow.is_settled).is_(False)
)


def limit(uow: UnitOfWork, agreement_id: AgreementId) -> int | None:
    """Return an agreement's limit; its row is locked until the transaction ends."""
    found: int | None = uow.run(_LIMIT, agreement=agreement_id).scalar_one_or_none()
    return found


def set_limit(uow: UnitOfWork, agreement_id: AgreementId, limit_micro: int | None) -> None:
    """Set, or with None lift, an agreement's limit."""
    _ADD_LIMIT.run(uow, agreement_id=agreement_id, limit_micro=limit_micro)
    uow.run(_SET_LIMIT, agreement=agreement_id, limit=limit_micro)


def sums(uow: UnitOfWork, agreement_id: AgreementId, month: str) -> tuple[int, int]:
    """Return what is spent and what is reserved in a month."""
    rows = uow.run(_SUMS, agreement=agreement_id, of=month).mappings()
    found = {bool(row["is_settled"]): int(row["amount_micro"]) for row in rows}
    return found.get(True, 0), found.get(False, 0)


def of_act(uow: UnitOfWork, agreement_id: AgreementId, act_id: str) -> tuple[int, bool, str] | None:
    """Return an act's amount, whether it is settled, and its month."""
    row = uow.run(_OF_ACT, agreement=agreement_id, act=act_id).mapping_or_none()
    return None if row is None else (row["amount_micro"], bool(row["is_settled"]), row["month"])


def reserve(
    uow: UnitOfWork, agreement_id: AgreementId, act_id: str, month: str, amount_micro: int
) -> None:
    """Set an amount aside for an act."""
    uow.run(
        _ADD,
        agreement_id=agreement_id,
        act_id=act_id,
        month=month,
        amount_micro=amount_micro,
        is_settled=False,
        sent_count=1,
    )


def send_again(
    uow: UnitOfWork, agreement_id: AgreementId, act_id: str, month: str, amount_micro: int
) -> None:
    """Set aside anew for an act that is sent once more: its first answer may have been lost."""
    uow.run(_SEND_AGAIN, agreement=agreement_id, act=act_id, of=month, amount=amount_micro)


def settle(
    uow: UnitOfWork, agreement_id: AgreementId, act_id: str, month: str, amount_micro: int
) -> None:
    """Note what an act has cost, once."""
    changed = uow.run(
        _SETTLE, agreement=agreement_id, act=act_id, of=month, amount=amount_micro
    ).rowcount
    if not changed:
        _ADD_SETTLED.run(
            uow,
            agreement_id=agreement_id,
            act_id=act_id,
            month=month,
            amount_micro=amount_micro,
            is_settled=True,
            sent_count=1,
        )


def release(uow: UnitOfWork, agreement_id: AgreementId, act_id: str) -> None:
    """Give back what was set aside for an act that was sent once only."""
    uow.run(_RELEASE, agreement=agreement_id, act=act_id)


def forget(uow: UnitOfWork, agreement_id: AgreementId) -> None:
    """Give back all that is set aside."""
    uow.run(_FORGET, agreement=agreement_id)
