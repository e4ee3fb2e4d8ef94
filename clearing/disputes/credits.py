"""Credit lines: what the next statements of both parties say of refunds, naming the original."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from clearing.agreements.store import find_agreements
from clearing.bundle.credits import credit_line
from clearing.disputes.store import Credit, find_dispute
from clearing.parties.store import find_parties
from clearing.settlement.store import documents
from databank.kit.db import UnitOfWork
from schemas.bank import CreditLine, Statement
from schemas.ids import AgreementId, ParticipantId


def credit_lines(uow: UnitOfWork, made: Iterable[Credit]) -> dict[ParticipantId, list[CreditLine]]:
    """Return what the statements of each party say of these credits."""
    wanted = list(made)
    agreements = find_agreements(uow, {each.agreement_id for each in wanted})
    records = {id_: each.record for id_, each in agreements.items()}
    parties = find_parties(
        uow, (id_ for r in records.values() for id_ in (r.provider_id, r.consumer_id))
    )
    issued: dict[tuple[ParticipantId, str], list[Statement]] = {}
    found: dict[ParticipantId, list[CreditLine]] = defaultdict(list)
    for credit in wanted:
        record = records[credit.agreement_id]
        dispute = find_dispute(uow, credit.dispute_id)
        assert dispute is not None
        for party in (record.provider_id, record.consumer_id):
            key = party, credit.part.period
            if key not in issued:
                issued[key] = _statements(uow, *key)
            other = record.consumer_id if party == record.provider_id else record.provider_id
            found[party].append(
                credit_line(
                    record,
                    party,
                    parties[other].name,
                    dispute_id=credit.dispute_id,
                    reason=dispute.reason,
                    decided_on=credit.decided_on,
                    part=credit.part,
                    amounts=credit.amounts,
                    original=_original(issued[key], credit.agreement_id, credit.part.line),
                )
            )
    return found


def _statements(uow: UnitOfWork, party: ParticipantId, period: str) -> list[Statement]:
    found = documents(uow, period, participant_id=party)
    return [Statement.model_validate_json(each.json) for each in found]


def _original(issued: list[Statement], agreement_id: AgreementId, line: int) -> str:
    """Return the statement that says an agreement's line with this number in its period."""
    said = [
        each.statement_id
        for each in issued
        if any(agreement_id == told.agreement_id for told in (*each.purchases, *each.sales))
    ]
    return said[line - 1]
