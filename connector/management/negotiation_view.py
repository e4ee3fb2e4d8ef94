"""A negotiation as its owner sees it: every proposal, and what each changed."""

from __future__ import annotations

from datetime import timedelta

from connector.negotiation.machine import FINAL
from connector.negotiation.model import Negotiation
from schemas.ids import AgreementId
from schemas.management import NegotiationView, ProcessRole, Round
from schemas.proposal import Proposal, changes_between, read_proposal
from schemas.terms import UnknownTermError


def view_negotiation(
    negotiation: Negotiation, *, patience: timedelta, has_rounds: bool
) -> NegotiationView:
    """Return a negotiation for its owner.

    Args:
        negotiation: The negotiation.
        patience: How long it may be silent before it ends.
        has_rounds: Whether to tell its proposals.
    """
    agreement = negotiation.agreement
    is_open = negotiation.state not in FINAL
    return NegotiationView(
        pid=negotiation.pid,
        role=ProcessRole(negotiation.side.value),
        consumer_pid=negotiation.consumer_pid,
        provider_pid=negotiation.provider_pid,
        counterparty_id=negotiation.counterparty_id,
        dataset_id=negotiation.dataset_id,
        dataset_title=negotiation.dataset_title,
        state=negotiation.state.value,
        agreement_id=AgreementId(agreement["@id"]) if agreement else None,
        reason=negotiation.reason,
        reason_code=negotiation.reason_code,
        awaits_us=negotiation.awaits_us,
        expires_at=negotiation.updated_at + patience if is_open else None,
        rounds=_rounds(negotiation) if has_rounds else (),
        updated_at=negotiation.updated_at,
    )


def _rounds(negotiation: Negotiation) -> tuple[Round, ...]:
    """Tell the proposals; one that we cannot read is shown as it came."""
    rounds: list[Round] = []
    before: Proposal | None = None
    for each in negotiation.rounds:
        shown = Round(by=ProcessRole(each.by.value), at=each.at, policy=each.offer)
        try:
            proposal = read_proposal(each.offer)
        except UnknownTermError as error:
            rounds.append(shown.model_copy(update={"unreadable": str(error)}))
            continue
        changes = changes_between(before, proposal) if before else ()
        rounds.append(shown.model_copy(update={"proposal": proposal, "changes": changes}))
        before = proposal
    return tuple(rounds)
