"""What we say next in a negotiation: the seam where a company decides, and the default.

A decider is asked once after each message of the counterparty. It answers at once, or not
at all: then the negotiation waits, and whoever decides later calls ``service.act``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from connector.negotiation.machine import Message, State
from connector.negotiation.model import Negotiation, rules_of
from connector.offering.model import Published
from connector.side import Side
from schemas.approval import Approval
from schemas.attested import Attested
from schemas.refusal import RefusalCode, said_in_both
from schemas.terms import UnknownTermError, from_policy


class Refusal(NamedTuple):
    """Why a negotiation is ended; the other side sees both."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Move:
    """A message of ours. ``offer`` goes with a request or an offer, ``refusal`` with an end."""

    message: Message
    offer: dict[str, Any] | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision rests on besides the negotiation.

    ``published`` is our listing if we are the provider; ``earlier_offer`` the offer as it
    stood before the message that is to be answered.
    """

    published: Published | None
    earlier_offer: dict[str, Any]
    now: datetime
    attested: Attested | None = None  # of the consumer, if we are the provider


class Decider(Protocol):
    """Decides in the name of one company."""

    def next_move(self, negotiation: Negotiation, situation: Situation) -> Move | None:
        """Return our answer to what the counterparty has just said, or None to wait.

        The transaction that received the message is open: no calls to others from here.
        """


class CompanyDecider:
    """Does what the company has published of itself, and leaves the rest to its people."""

    def next_move(self, negotiation: Negotiation, situation: Situation) -> Move | None:
        """Return the next message where it follows from a rule; a termination may be one."""
        match negotiation.side, negotiation.state:
            case Side.PROVIDER, State.REQUESTED:
                return _answer_to_request(negotiation, situation)
            case Side.PROVIDER, State.ACCEPTED:  # of what we ourselves have offered
                refusal = _hindrance(negotiation, situation)
                return _unless(refusal, Message.AGREE)
            case Side.PROVIDER, State.VERIFIED:
                return Move(Message.FINALIZE)
            case Side.CONSUMER, State.OFFERED:
                is_same = rules_of(negotiation.offer) == rules_of(situation.earlier_offer)
                return Move(Message.ACCEPT) if is_same else None
            case Side.CONSUMER, State.AGREED:
                return Move(Message.VERIFY)
        return None


def refusal_for(code: RefusalCode, reason: str | None = None) -> Refusal:
    """Return a refusal with the code's own sentence, or with somebody's words."""
    return Refusal(code.value, reason or said_in_both(code))


def _unless(refusal: Refusal | None, message: Message) -> Move:
    return Move(message) if refusal is None else Move(Message.TERMINATE, refusal=refusal)


def _answer_to_request(negotiation: Negotiation, situation: Situation) -> Move | None:
    """Refuse what cannot be, agree to what stands in the catalog, leave the rest to people.

    A listing that the consumer may not see is refused as one that does not exist.
    """
    published = situation.published
    consumer_id, attested = negotiation.counterparty_id, situation.attested
    if published is None or not published.is_visible_to(consumer_id, attested):
        return _refuse(RefusalCode.UNKNOWN_DATASET)
    if published.is_withdrawn:
        return _refuse(RefusalCode.WITHDRAWN)
    is_as_listed = rules_of(negotiation.offer) == rules_of(published.offer())
    is_about_listing = negotiation.offer.get("@id") == published.offer_id
    if negotiation.is_first_request and not is_about_listing:
        return _refuse(RefusalCode.UNKNOWN_OFFER)
    if not is_as_listed and published.approval is Approval.AUTOMATIC:
        return _refuse(RefusalCode.TERMS_DIFFER)
    refusal = _hindrance(negotiation, situation)
    if refusal is not None:
        return Move(Message.TERMINATE, refusal=refusal)
    is_agreed = is_as_listed and published.approval is not Approval.MANUAL
    return Move(Message.AGREE) if is_agreed else None


def _hindrance(negotiation: Negotiation, situation: Situation) -> Refusal | None:
    """Return why nobody, and no rule, may agree to the offer on the table as provider."""
    if situation.published is None:
        return refusal_for(RefusalCode.UNKNOWN_DATASET)
    return hindrance(negotiation.offer, situation.now)


def hindrance(offer: dict[str, Any], now: datetime) -> Refusal | None:
    """Return why a provider may not agree to an offer: unknown terms, or its time is over."""
    try:
        terms, _ = from_policy(offer)
    except UnknownTermError as error:
        code = RefusalCode.UNKNOWN_TERM
        return refusal_for(code, f"{said_in_both(code)}: {error}")
    is_over = terms.valid_until is not None and terms.valid_until <= now
    return refusal_for(RefusalCode.EXPIRED) if is_over else None


def _refuse(code: RefusalCode) -> Move:
    return Move(Message.TERMINATE, refusal=refusal_for(code))
