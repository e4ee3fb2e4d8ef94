"""Tokens that were seen: a token counts once, across workers and restarts."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Column, bindparam
from sqlmodel import Field, SQLModel, col, delete, select

from databank.kit.db import InsertNew, UnitOfWork, UtcTime
from schemas.token import Claims


class SeenTokenRow(SQLModel, table=True):
    """One token that was accepted; kept until it would have expired anyway."""

    __tablename__ = "seen_token"
    issuer: str = Field(primary_key=True)
    jti: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))


_REMEMBER: Final = InsertNew(SeenTokenRow)
_IS_SEEN: Final = select(SeenTokenRow.jti).where(
    col(SeenTokenRow.issuer) == bindparam("issuer"), col(SeenTokenRow.jti) == bindparam("id")
)


def remember_token(uow: UnitOfWork, claims: Claims) -> bool:
    """Store that the token was used; return False if it was used before."""
    return _REMEMBER.run(uow, issuer=claims.issuer, jti=claims.jti, expires_at=claims.expires_at)


def was_used(uow: UnitOfWork, claims: Claims) -> bool:
    """Return whether the token was used, without using it up."""
    return uow.run(_IS_SEEN, issuer=claims.issuer, id=claims.jti).first() is not None


def forget_expired_tokens(uow: UnitOfWork, now: datetime) -> None:
    """Delete tokens that could not be replayed any more."""
    uow.session.exec(delete(SeenTokenRow).where(col(SeenTokenRow.expires_at) < now))
