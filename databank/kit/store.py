"""Tokens that were seen: a token counts once, across workers and restarts."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Column
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel, col, delete

from databank.kit.db import UnitOfWork, UtcTime
from schemas.token import Claims


class SeenTokenRow(SQLModel, table=True):
    """One token that was accepted; kept until it would have expired anyway."""

    __tablename__ = "seen_token"
    issuer: str = Field(primary_key=True)
    jti: str = Field(primary_key=True)
    expires_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))


_REMEMBER: Final = {
    dialect.dialect.name: dialect.insert(SeenTokenRow)
    .on_conflict_do_nothing()
    .execution_options(preserve_rowcount=True)
    for dialect in (postgresql, sqlite)
}


def remember_token(uow: UnitOfWork, claims: Claims) -> bool:
    """Store that the token was used; return False if it was used before."""
    remember = _REMEMBER["postgresql" if uow.is_postgres else "sqlite"]
    values = {"issuer": claims.issuer, "jti": claims.jti, "expires_at": claims.expires_at}
    return uow.run(remember, **values).rowcount == 1


def was_used(uow: UnitOfWork, claims: Claims) -> bool:
    """Return whether the token was used, without using it up."""
    return uow.session.get(SeenTokenRow, (claims.issuer, claims.jti)) is not None


def forget_expired_tokens(uow: UnitOfWork, now: datetime) -> None:
    """Delete tokens that could not be replayed any more."""
    uow.session.exec(delete(SeenTokenRow).where(col(SeenTokenRow.expires_at) < now))
