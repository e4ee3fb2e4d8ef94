"""The supplier's decision about a requested offer: taken as it stands, or refused with a reason."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from connector.negotiation.model import rules_of
from connector.offering.model import Published
from schemas.ids import ParticipantId


class Refusal(NamedTuple):
    """Why an offer is refused; the buyer sees both."""

    code: str
    reason: str


def decide(
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
