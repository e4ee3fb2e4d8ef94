"""Royalty lines of both parties' statements; what is taken back names the original statement."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clearing.parties.store import find_parties
from clearing.settlement.store import documents
from clearing.shares.model import Key, Royalty, lines_of
from databank.kit.db import UnitOfWork
from schemas.bank import Statement
from schemas.ids import ParticipantId
from schemas.shares import RoyaltyLine


@dataclass(slots=True)
class Told:
    """What one party's statement says of royalties."""

    paid: list[RoyaltyLine] = field(default_factory=list)
    received: list[RoyaltyLine] = field(default_factory=list)


def royalty_lines(
    uow: UnitOfWork, royalties: Iterable[Royalty], *, stated_in: str
) -> Mapping[ParticipantId, Told]:
    """Return what the statements of a month say of royalties, by party."""
    made = list(royalties)
    owners = {
        id_ for each in made for id_ in (each.key.product.owner_id, each.key.upstream.owner_id)
    }
    names = {id_: party.name for id_, party in find_parties(uow, owners).items()}
    originals: dict[tuple[ParticipantId, str], dict[Key, str]] = {}
    found: dict[ParticipantId, Told] = defaultdict(Told)
    for each in made:
        payer, payee = each.key.product.owner_id, each.key.upstream.owner_id
        for party, other in ((payer, payee), (payee, payer)):
            original = None
            if each.is_taken_back:
                place = party, each.period
                if place not in originals:
                    originals[place] = _first_statements(uow, *place)
                original = originals[place][each.key]
            line = each.line_for(party, names[other], stated_in=stated_in, original=original)
            (found[party].paid if party == payer else found[party].received).append(line)
    return found


def _first_statements(uow: UnitOfWork, party: ParticipantId, period: str) -> dict[Key, str]:
    """Return the statement with the first line of each key of a month: one of that month."""
    found: dict[Key, str] = {}
    for document in documents(uow, period, participant_id=party):
        statement = Statement.model_validate_json(document.json)
        for key, month, _ in lines_of(statement):
            if month == period:
                found.setdefault(key, statement.statement_id)
    return found
