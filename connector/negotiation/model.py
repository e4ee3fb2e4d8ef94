"""A negotiation as one side holds it, and when an agreement is what was offered."""

from __future__ import annotations

from dataclasses import dataclass, replace
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

OURS_TO_ANSWER: Final = frozenset(
    {(Side.PROVIDER, State.REQUESTED), (Side.CONSUMER, State.OFFERED)}
)


@dataclass(frozen=True, slots=True)
class Round:
    """One proposal: whose it is, and the ODRL offer as it stood on the wire."""

    by: Side
    offer: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Negotiation:
    """One negotiation. ``peer_url`` is the counterparty's DSP base, without a slash at its end.

    ``offer`` is the offer as last proposed; ``agreement`` the one that was sent or received.
    ``rounds`` are all proposals in their order, the listing first where we know it.
    ``starts_transfer``: we ask for a transfer process as soon as it is final (consumer).
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
    reason_code: str | None = None
    rounds: tuple[Round, ...] = ()
    starts_transfer: bool = False

    @property
    def pid(self) -> ProcessId:
        """Our own pid of the negotiation."""
        if self.side is Side.CONSUMER:
            return self.consumer_pid
        assert self.provider_pid is not None
        return self.provider_pid

    @property
    def awaits_us(self) -> bool:
        """Whether the counterparty's proposal waits for our answer."""
        return (self.side, self.state) in OURS_TO_ANSWER

    @property
    def is_first_request(self) -> bool:
        """Whether the consumer has asked once, so that its offer names the listing's."""
        return sum(each.by is Side.CONSUMER for each in self.rounds) <= 1

    def proposed(self, by: Side, offer: dict[str, Any], at: datetime) -> Negotiation:
        """Return the negotiation with one more proposal on the table."""
        return replace(self, offer=offer, rounds=(*self.rounds, Round(by, offer, at)))


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
