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
from schemas.ids import ParticipantId


class Refusal(NamedTuple):
    """Why an offer is refused; the buyer sees both."""

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


class Decider(Protocol):
    """Decides in the name of one company."""

    def next_move(self, negotiation: Negotiation, situation: Situation) -> Move | None:
        """Return our answer to what the counterparty has just said, or None to wait.

        The transaction that received the message is open: no calls to others from here.
        """


class AutomaticDecider:
    """Takes the published offer as it stands, and on the other side nothing but what was asked."""

    def next_move(self, negotiation: Negotiation, situation: Situation) -> Move | None:
        """Return the next message of an exchange without haggling, or a termination."""
        match negotiation.side, negotiation.state:
            case Side.PROVIDER, State.REQUESTED | State.ACCEPTED:
                refusal = refusal_of(
                    situation.published,
                    negotiation.offer,
                    consumer_id=negotiation.counterparty_id,
                    now=situation.now,
                )
                return _unless(refusal, Message.AGREE)
            case Side.PROVIDER, State.VERIFIED:
                return Move(Message.FINALIZE)
            case Side.CONSUMER, State.OFFERED:
                is_same = rules_of(negotiation.offer) == rules_of(situation.earlier_offer)
                return _unless(None if is_same else _OTHER_TERMS, Message.ACCEPT)
            case Side.CONSUMER, State.AGREED:
                return Move(Message.VERIFY)
        return None


_OTHER_TERMS = Refusal(
    "terms-differ", "조건이 요청한 제안과 다릅니다 (not the terms that were asked for)"
)


def _unless(refusal: Refusal | None, message: Message) -> Move:
    return Move(message) if refusal is None else Move(Message.TERMINATE, refusal=refusal)


def refusal_of(
    published: Published | None,
    offer: dict[str, Any],
    *,
    consumer_id: ParticipantId,
    now: datetime,
) -> Refusal | None:
    """Return why the requested ``offer`` is refused, or None to agree.

    A listing that the consumer may not see is refused as one that does not exist.
    """
    if published is None or not published.is_visible_to(consumer_id):
        return Refusal("unknown-dataset", "제안을 찾을 수 없습니다 (no such offer)")
    if published.is_withdrawn:
        return Refusal("withdrawn", "공급기업이 등록을 거두었습니다 (the listing was withdrawn)")
    if offer.get("@id") != published.offer_id:
        return Refusal("unknown-offer", "제안을 찾을 수 없습니다 (no such offer)")
    if rules_of(offer) != rules_of(published.offer()):
        return Refusal(
            "terms-differ", "등록된 조건과 다릅니다 (the terms are not those of the listing)"
        )
    until = published.terms.valid_until
    if until is not None and until <= now:
        return Refusal("expired", "이용 기간이 지났습니다 (the offer's period is over)")
    return None
