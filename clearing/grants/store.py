"""Rows of grants: the request and the answer that was given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import BigInteger, Column, bindparam, insert, select
from sqlmodel import Field, SQLModel

from databank.kit.db import UnitOfWork, UtcTime, table_of
from schemas.bank import Grant, GrantRequest
from schemas.ids import AgreementId


class GrantRow(SQLModel, table=True):
    """A grant; the hold behind it has the same id."""

    __tablename__ = "clearing_grant"
    grant_id: str = Field(primary_key=True)
    agreement_id: str = Field(foreign_key="clearing_agreement.agreement_id", index=True)
    minimum_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    wanted_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    amount_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


_GRANT: Final = table_of(GrantRow)
_GET: Final = select(_GRANT).where(_GRANT.c.grant_id == bindparam("id"))
_ADD: Final = insert(_GRANT)


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A grant with the request that it answered."""

    request: GrantRequest
    grant: Grant


def find_grant(uow: UnitOfWork, grant_id: str) -> StoredGrant | None:
    """Return a grant by the id that its caller made."""
    row = uow.run(_GET, id=grant_id).one_or_none()
    if row is None:
        return None
    agreement_id = AgreementId(row.agreement_id)
    request = GrantRequest(
        grant_id=row.grant_id,
        agreement_id=agreement_id,
        minimum_micro=row.minimum_micro,
        wanted_micro=row.wanted_micro,
    )
    grant = Grant(
        grant_id=row.grant_id,
        agreement_id=agreement_id,
        amount_micro=row.amount_micro,
        expires_at=row.expires_at,
    )
    return StoredGrant(request, grant)


def put_grant(uow: UnitOfWork, request: GrantRequest, grant: Grant) -> None:
    """Store a new grant."""
    uow.run(
        _ADD,
        grant_id=request.grant_id,
        agreement_id=request.agreement_id,
        minimum_micro=request.minimum_micro,
        wanted_micro=request.wanted_micro,
        amount_micro=grant.amount_micro,
        expires_at=grant.expires_at,
    )
