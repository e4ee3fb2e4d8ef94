"""What rules say to a request: never yes to other terms, never a wait where nobody looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connector.negotiation.decide import CompanyDecider, Move, Situation
from connector.negotiation.machine import Message, State
from connector.negotiation.model import Negotiation, Round, rules_of
from connector.offering.model import Published
from connector.side import Side
from schemas.approval import Approval
from schemas.ids import DatasetId, OfferId, ParticipantId, ProcessId
from schemas.proposal import Proposal
from schemas.refusal import RefusalCode
from tests.property.test_proposals import PROPOSALS
from tests.support.listings import make_dataset

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
BUYER = ParticipantId("did:web:buyer.example")
OFFER = "urn:uuid:offer"


def listing(proposal: Proposal, approval: Approval, *, is_withdrawn: bool = False) -> Published:
    return Published(
        dataset=make_dataset(1),
        offer_id=OfferId(OFFER),
        terms=proposal.terms,
        plan=proposal.plan,
        file_name="0.arrow",
        approval=approval,
        is_withdrawn=is_withdrawn,
    )


def asked(offer: dict[str, Any], state: State = State.REQUESTED) -> Negotiation:
    return Negotiation(
        side=Side.PROVIDER,
        consumer_pid=ProcessId("c"),
        provider_pid=ProcessId("p"),
        counterparty_id=BUYER,
        peer_url="http://buyer.example",
        dataset_id=DatasetId("d"),
        dataset_title="",
        offer=offer,
        state=state,
        updated_at=NOW,
        rounds=(Round(Side.CONSUMER, offer, NOW),),
    )


def decide(negotiation: Negotiation, published: Published | None) -> Move | None:
    situation = Situation(published, negotiation.offer, NOW)
    return CompanyDecider().next_move(negotiation, situation)


def code_of(move: Move | None) -> str | None:
    return move.refusal.code if move and move.refusal else None


@given(PROPOSALS, PROPOSALS, st.sampled_from(Approval))
def test_a_rule_agrees_to_nothing_but_the_listed_offer(
    listed: Proposal, wanted: Proposal, approval: Approval
) -> None:
    published = listing(listed, approval)
    offer = {"@id": OFFER, "@type": "Offer", "target": "d", **wanted.policy()}
    move = decide(asked(offer), published)
    is_same = rules_of(offer) == rules_of(published.offer())
    if move is not None and move.message is Message.AGREE:
        assert is_same
        assert approval is not Approval.MANUAL
        assert published.is_visible_to(BUYER, None)
        assert wanted.terms.valid_until is None or wanted.terms.valid_until > NOW
    if move is None:
        assert approval is Approval.MANUAL or (approval is Approval.NEGOTIABLE and not is_same)
        assert published.is_visible_to(BUYER, None)
    if approval is Approval.AUTOMATIC:
        assert move is not None


@given(PROPOSALS, st.sampled_from(Approval))
def test_what_cannot_be_is_refused_whoever_approves(listed: Proposal, approval: Approval) -> None:
    anybody: dict[str, Any] = {"recipients": (), "recipient_groups": (), "recipient_claims": ()}
    open_ = listed.terms.model_copy(update={**anybody, "valid_until": None})
    listed = listed.model_copy(update={"terms": open_})
    published = listing(listed, approval)
    offer = {**published.offer(), "target": "d"}
    withdrawn = replace(published, is_withdrawn=True)
    assert code_of(decide(asked(offer), None)) == RefusalCode.UNKNOWN_DATASET
    assert code_of(decide(asked(offer), withdrawn)) == RefusalCode.WITHDRAWN
    stale = {**offer, "@id": "urn:uuid:older"}
    assert code_of(decide(asked(stale), published)) == RefusalCode.UNKNOWN_OFFER
    strange = {**offer, "duty": [{"action": "dance"}]}
    wanted = (
        RefusalCode.TERMS_DIFFER if approval is Approval.AUTOMATIC else RefusalCode.UNKNOWN_TERM
    )
    assert code_of(decide(asked(strange), published)) == wanted
    terms = listed.terms.model_copy(update={"valid_until": NOW - timedelta(seconds=1)})
    over = listing(listed.model_copy(update={"terms": terms}), approval)
    late = {**over.offer(), "target": "d"}
    assert code_of(decide(asked(late), over)) == RefusalCode.EXPIRED


@given(PROPOSALS, PROPOSALS)
def test_our_own_offer_that_was_accepted_is_agreed_whatever_is_listed_now(
    listed: Proposal, ours: Proposal
) -> None:
    offer = {"@id": "urn:uuid:ours", "target": "d", **ours.policy()}
    negotiation = asked(offer, State.ACCEPTED)
    move = decide(negotiation, listing(listed, Approval.MANUAL, is_withdrawn=True))
    until = ours.terms.valid_until
    assert move is not None
    assert (move.message is Message.AGREE) == (until is None or until > NOW)
