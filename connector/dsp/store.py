"""Table of protocol messages that were acted on: the same body again changes nothing."""

from __future__ import annotations

from typing import Final

from sqlmodel import Field, SQLModel

from databank.kit.db import InsertNew, UnitOfWork
from schemas.ids import ProcessId


class ReceivedRow(SQLModel, table=True):
    """One message that a process has received."""

    __tablename__ = "connector_received"
    pid: str = Field(primary_key=True)
    body_sha256: str = Field(primary_key=True)


_NOTE: Final = InsertNew(ReceivedRow)


def note_received(uow: UnitOfWork, pid: ProcessId, body_sha256: str) -> bool:
    """Note a message; return False if this very message was acted on before."""
    return _NOTE.run(uow, pid=pid, body_sha256=body_sha256)
