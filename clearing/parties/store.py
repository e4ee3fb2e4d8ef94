"""Names of participants for passbooks and statements, kept so that reading needs no registry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlmodel import Field, SQLModel

from databank.kit.db import Put, UnitOfWork, table_of
from databank.kit.statements import among
from schemas.ids import ParticipantId
from schemas.participant import Participant


class PartyRow(SQLModel, table=True):
    """A participant that has money or agreements here."""

    __tablename__ = "clearing_party"
    id: str = Field(primary_key=True)
    handle: str
    name: str
    brn: str


@dataclass(frozen=True, slots=True)
class Party:
    """What documents say about a participant."""

    id: ParticipantId
    handle: str
    name: str
    brn: str


_PARTY: Final = table_of(PartyRow)
_PUT: Final = Put(PartyRow)
_BY_IDS: Final = select(_PARTY).where(among(_PARTY.c.id, "ids"))


def remember(uow: UnitOfWork, participant: Participant) -> None:
    """Store what the registry says about a participant."""
    said = {"handle": participant.handle, "name": participant.name, "brn": participant.brn}
    _PUT.run(uow, id=participant.id, **said)


def find_parties(uow: UnitOfWork, ids: Iterable[ParticipantId]) -> dict[ParticipantId, Party]:
    """Return what is known of these participants; an unknown one is named by its id."""
    wanted = set(ids)
    found = {id_: Party(id_, id_, id_, "") for id_ in wanted}
    for row in uow.run(_BY_IDS, ids=sorted(wanted)):
        found[ParticipantId(row.id)] = Party(ParticipantId(row.id), row.handle, row.name, row.brn)
    return found
