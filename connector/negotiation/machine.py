"""Contract negotiation state machine of the Dataspace Protocol 2025-1.

Rule 1: every legal transition stands in ``TRANSITIONS``; nothing else decides what may
follow what.
Rule 2: this module does not know which side we are on. It sees messages with a sender, so
both sides run the same table.

The text lets either side terminate from any state that is not final; the figure draws
fewer edges. We accept what the text allows (docs/decisions/0006).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from connector.side import IllegalTransitionError, Side


class State(StrEnum):
    """The protocol's states, spelled as on the wire."""

    REQUESTED = "REQUESTED"
    OFFERED = "OFFERED"
    ACCEPTED = "ACCEPTED"
    AGREED = "AGREED"
    VERIFIED = "VERIFIED"
    FINALIZED = "FINALIZED"
    TERMINATED = "TERMINATED"


class Message(StrEnum):
    """The protocol's messages; event messages carry their event type."""

    REQUEST = "ContractRequestMessage"
    OFFER = "ContractOfferMessage"
    ACCEPT = "ContractNegotiationEventMessage:ACCEPTED"
    AGREE = "ContractAgreementMessage"
    VERIFY = "ContractAgreementVerificationMessage"
    FINALIZE = "ContractNegotiationEventMessage:FINALIZED"
    TERMINATE = "ContractNegotiationTerminationMessage"


FINAL: Final = frozenset({State.FINALIZED, State.TERMINATED})
# Heard again under another id, these are repetitions; a request or offer is made anew.
SAID_ONCE: Final = frozenset(Message) - {Message.REQUEST, Message.OFFER}

Edges: TypeAlias = dict[tuple[Side, Message], State]
C, P = Side.CONSUMER, Side.PROVIDER

# fmt: off
TRANSITIONS: Final[dict[State | None, Edges]] = {
    None:             {(C, Message.REQUEST): State.REQUESTED, (P, Message.OFFER): State.OFFERED},
    State.REQUESTED:  {(P, Message.OFFER): State.OFFERED, (P, Message.AGREE): State.AGREED},
    State.OFFERED:    {(C, Message.REQUEST): State.REQUESTED, (C, Message.ACCEPT): State.ACCEPTED},
    State.ACCEPTED:   {(P, Message.AGREE): State.AGREED},
    State.AGREED:     {(C, Message.VERIFY): State.VERIFIED},
    State.VERIFIED:   {(P, Message.FINALIZE): State.FINALIZED},
    State.FINALIZED:  {},
    State.TERMINATED: {},
}
# fmt: on


def step(state: State | None, sender: Side, message: Message) -> State:
    """Return the state after ``message`` from ``sender``.

    Raises:
        IllegalTransitionError: The table has no such edge.
    """
    if message is Message.TERMINATE and state is not None and state not in FINAL:
        return State.TERMINATED
    try:
        return TRANSITIONS[state][sender, message]
    except KeyError:
        raise IllegalTransitionError(f"{message} from {sender} in {state}") from None
