"""Table of logs that we witness: the newest checkpoint of each that we cosigned."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Executable, Text, bindparam, update
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import InsertNew, UnitOfWork, UtcTime


class WitnessedLogRow(SQLModel, table=True):
    """One log. ``note`` is its checkpoint as it signed it; empty before the first."""

    __tablename__ = "connector_witnessed_log"
    origin: str = Field(primary_key=True)
    note: str = Field(sa_column=Column(Text, nullable=False))
    cosigned_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))
    contradicted_note: str | None = Field(default=None, sa_column=Column(Text))
    contradicting_note: str | None = Field(default=None, sa_column=Column(Text))


@dataclass(frozen=True, slots=True)
class Seen:
    """What we have seen of a log; ``contradiction`` is two notes that cannot both be true."""

    note: str
    cosigned_at: datetime
    contradiction: tuple[str, str] | None


_NEW: Final = InsertNew(WitnessedLogRow)
_OF: Final = select(WitnessedLogRow).where(col(WitnessedLogRow.origin) == bindparam("of"))
_LOCKED: Final = _OF.with_for_update()
_PUT: Final = (
    update(WitnessedLogRow)
    .where(col(WitnessedLogRow.origin) == bindparam("of"))
    .values(note=bindparam("signed"), cosigned_at=bindparam("at"))
)
_CONTRADICT: Final = (
    update(WitnessedLogRow)
    .where(
        col(WitnessedLogRow.origin) == bindparam("of"),
        col(WitnessedLogRow.contradicting_note).is_(None),
    )
    .values(contradicted_note=bindparam("held"), contradicting_note=bindparam("told"))
)


def seen(uow: UnitOfWork, origin: str) -> Seen | None:
    """Return what we have seen of a log, or None if it is nothing."""
    return _read(uow, _OF, origin)


def seen_for_change(uow: UnitOfWork, origin: str, *, now: datetime) -> Seen | None:
    """Return what we have seen of a log; nobody else changes it until the transaction ends."""
    _NEW.run(uow, origin=origin, note="", cosigned_at=now)
    return _read(uow, _LOCKED, origin)


def put_seen(uow: UnitOfWork, origin: str, note: str, *, now: datetime) -> None:
    """Remember the newest checkpoint that we cosign."""
    uow.run(_PUT, of=origin, signed=note, at=now)


def put_contradiction(uow: UnitOfWork, origin: str, held: str, told: str) -> None:
    """Keep the first two notes of a log that cannot both be true."""
    uow.run(_CONTRADICT, of=origin, held=held, told=told)


def _read(uow: UnitOfWork, query: Executable, origin: str) -> Seen | None:
    row = uow.run(query, of=origin).mapping_or_none()
    if row is None or not row["note"]:
        return None
    held, told = row["contradicted_note"], row["contradicting_note"]
    return Seen(row["note"], row["cosigned_at"], None if told is None else (held, told))
