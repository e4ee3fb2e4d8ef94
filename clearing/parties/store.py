"""Names of participants for passbooks and statements, kept so that reading needs no registry."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork
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


def remember(uow: UnitOfWork, participant: Participant) -> None:
    """Store what the registry says about a participant."""
    dialect = postgresql if uow.is_postgres else sqlite
    said = {"handle": participant.handle, "name": participant.name, "brn": participant.brn}
    statement = dialect.insert(PartyRow).values(id=participant.id, **said)
    uow.session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=said))


def find_parties(uow: UnitOfWork, ids: Iterable[ParticipantId]) -> dict[ParticipantId, Party]:
    """Return what is known of these participants; an unknown one is named by its id."""
    wanted = set(ids)
    found = {id_: Party(id_, id_, id_, "") for id_ in wanted}
    for row in uow.session.exec(select(PartyRow).where(col(PartyRow.id).in_(wanted))):
        found[ParticipantId(row.id)] = Party(ParticipantId(row.id), row.handle, row.name, row.brn)
    return found
