"""Our messages of a negotiation, as they stand on the wire, and where they go."""

from __future__ import annotations

from typing import Any

from connector.negotiation.decide import Refusal
from connector.negotiation.machine import Message
from connector.negotiation.model import Negotiation
from connector.side import Side
from schemas.dsp import negotiation as wire
from schemas.dsp.message import Message as WireMessage


def kind_of(body: dict[str, Any]) -> Message:
    """Return which message of ours a body is."""
    event = body.get("eventType")
    return Message(f"{body['@type']}:{event}" if event else body["@type"])


def _peer_pid(negotiation: Negotiation) -> str | None:
    is_consumer = negotiation.side is Side.CONSUMER
    return negotiation.provider_pid if is_consumer else negotiation.consumer_pid


def state_path(negotiation: Negotiation) -> str | None:
    """Return the path at which the counterparty shows the negotiation, if its pid is known."""
    peer_pid = _peer_pid(negotiation)
    return None if peer_pid is None else f"/negotiations/{peer_pid}"


def path_of(negotiation: Negotiation, message: Message) -> str:
    """Return the path behind the counterparty's DSP base; both pids must be known."""
    peer_pid = _peer_pid(negotiation)
    assert peer_pid is not None
    return f"/negotiations/{peer_pid}/{_ENDINGS[message]}"


_ENDINGS = {
    Message.REQUEST: "request",
    Message.OFFER: "offers",
    Message.ACCEPT: "events",
    Message.AGREE: "agreement",
    Message.VERIFY: "agreement/verification",
    Message.FINALIZE: "events",
    Message.TERMINATE: "termination",
}


def initial_request(negotiation: Negotiation, *, callback_address: str) -> WireMessage:
    """Return the message that begins a negotiation.

    Raises:
        ValidationError: The offer is not one that the protocol knows.
    """
    return wire.ContractRequestMessage(
        consumer_pid=negotiation.consumer_pid,
        callback_address=callback_address,
        offer=wire.MessageOffer.model_validate(negotiation.offer),
    )


def message_of(
    negotiation: Negotiation, message: Message, refusal: Refusal | None = None
) -> WireMessage:
    """Return any later message, with the offer or agreement that the negotiation holds now.

    Raises:
        ValidationError: The offer is not one that the protocol knows.
    """
    assert negotiation.provider_pid is not None
    pids: dict[str, Any] = {
        "consumer_pid": negotiation.consumer_pid,
        "provider_pid": negotiation.provider_pid,
    }
    match message:
        case Message.REQUEST:
            offer = wire.MessageOffer.model_validate(negotiation.offer)
            return wire.ContractRequestMessage(**pids, offer=offer)
        case Message.OFFER:
            offer = wire.MessageOffer.model_validate(negotiation.offer)
            return wire.ContractOfferMessage(**pids, offer=offer)
        case Message.AGREE:
            agreement = wire.MessageAgreement.model_validate(negotiation.agreement)
            return wire.ContractAgreementMessage(**pids, agreement=agreement)
        case Message.VERIFY:
            return wire.ContractAgreementVerificationMessage(**pids)
        case Message.ACCEPT:
            return wire.ContractNegotiationEventMessage(**pids, event_type="ACCEPTED")
        case Message.FINALIZE:
            return wire.ContractNegotiationEventMessage(**pids, event_type="FINALIZED")
        case Message.TERMINATE:
            if refusal is None:
                return wire.ContractNegotiationTerminationMessage(**pids)
            return wire.ContractNegotiationTerminationMessage(
                **pids, code=refusal.code, reason=(refusal.reason,)
            )
