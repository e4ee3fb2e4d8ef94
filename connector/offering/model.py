"""What a connector offers: a dataset, its terms and price, and the offer that states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.approval import Approval
from schemas.attested import Attested
from schemas.dataset import Dataset
from schemas.ids import OfferId, ParticipantId
from schemas.price import PricePlan
from schemas.terms import Terms, to_policy


@dataclass(frozen=True, slots=True)
class Published:
    """A published dataset. ``file_name`` is ``<sha256>.arrow`` in the data folder."""

    dataset: Dataset
    offer_id: OfferId
    terms: Terms
    plan: PricePlan
    file_name: str
    approval: Approval = Approval.AUTOMATIC
    skipped_rows_count: int = 0
    is_withdrawn: bool = False

    def offer(self) -> dict[str, Any]:
        """Return the ODRL offer as it stands in the catalog (no target, DSP 2025-1)."""
        return make_offer(self.offer_id, self.terms, self.plan)

    def is_visible_to(self, participant_id: ParticipantId, attested: Attested | None) -> bool:
        """Whether the listing may be shown: restricted offers are shown to their recipients."""
        return is_visible(self.terms, participant_id, attested)


def make_offer(offer_id: OfferId, terms: Terms, plan: PricePlan) -> dict[str, Any]:
    """Return the ODRL offer that states terms and price."""
    return {"@id": offer_id, "@type": "Offer", **to_policy(terms, plan)}


def is_visible(terms: Terms, participant_id: ParticipantId, attested: Attested | None) -> bool:
    """Whether a listing on these terms may be shown to a participant.

    ``attested`` is of its verified credential; None: there is none, and so no group or claim.
    """
    known = attested or Attested()
    groups = set(terms.recipient_groups)
    return (
        (not terms.recipients or participant_id in terms.recipients)
        and (not groups or not groups.isdisjoint(known.groups))
        and known.claims.issuperset(terms.recipient_claims)
    )
