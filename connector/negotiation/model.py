"""A negotiation as one side holds it, and when an agreement is what was offered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from connector.negotiation.machine import State
from connector.side import Side
from schemas.canonical import canonical_bytes
from schemas.ids import DatasetId, ParticipantId, ProcessId
from schemas.wire import format_time

# What an agreement adds to, or changes in, the offer it is made of.
_PARTY_FIELDS: Final = frozenset(
    {"@context", "@id", "@type", "target", "assigner", "assignee", "timestamp"}
)


@dataclass(frozen=True, slots=True)
class Negotiation:
    """One negotiation. ``peer_url`` is the counterparty's DSP base, without a slash at its end.

    ``offer`` is the offer as last proposed; ``agreement`` the one that was sent or received.
    """

    side: Side
    consumer_pid: ProcessId
    provider_pid: ProcessId | None
    counterparty_id: ParticipantId
    peer_url: str
    dataset_id: DatasetId
    dataset_title: str
    offer: dict[str, Any]
    state: State
    updated_at: datetime
    agreement: dict[str, Any] | None = None
    reason: str | None = None

    @property
    def pid(self) -> ProcessId:
        """Our own pid of the negotiation."""
        if self.side is Side.CONSUMER:
            return self.consumer_pid
        assert self.provider_pid is not None
        return self.provider_pid


def rules_of(policy: dict[str, Any]) -> bytes:
    """Return the canonical bytes of what a policy permits, forbids and demands."""
    return canonical_bytes({k: v for k, v in policy.items() if k not in _PARTY_FIELDS})


def make_agreement(
    offer: dict[str, Any],
    *,
    agreement_id: str,
    target: DatasetId,
    assigner: ParticipantId,
    assignee: ParticipantId,
    agreed_at: datetime,
) -> dict[str, Any]:
    """Return the offer as an ODRL agreement: every rule verbatim, in its order."""
    return {
        **{name: value for name, value in offer.items() if name not in _PARTY_FIELDS},
        "@id": agreement_id,
        "@type": "Agreement",
        "target": target,
        "assigner": assigner,
        "assignee": assignee,
        "timestamp": format_time(agreed_at),
    }


def agreement_error(negotiation: Negotiation, agreement: dict[str, Any], us: str) -> str | None:
    """Say what is wrong with an agreement that we received as consumer, or None."""
    if agreement["target"] != negotiation.dataset_id:
        return "the agreement is about another dataset"
    if agreement["assigner"] != negotiation.counterparty_id:
        return "the assigner is not the provider"
    if agreement["assignee"] != us:
        return "the assignee is not the consumer"
    if rules_of(agreement) != rules_of(negotiation.offer):
        return "the agreement's rules are not those of the offer"
    return None
