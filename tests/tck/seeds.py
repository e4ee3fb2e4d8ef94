"""Datasets, offers and agreements that the kit's tests begin with."""

from __future__ import annotations

from typing import Final

from connector.agreement import store as agreements
from connector.agreement.model import Agreement
from connector.runtime import Runtime
from connector.side import Side
from schemas.ids import AgreementId, DatasetId, OfferId, ParticipantId
from schemas.wire import format_time
from tests.support.connectors import NOW, publish
from tests.tck.scripts import (
    CONSUMER_TRANSFERS,
    LISTED,
    PROVIDER_NEGOTIATIONS,
    PROVIDER_TRANSFERS,
    offer_id,
)

RULES: Final = {"permission": [{"action": "use"}]}


def seed(runtime: Runtime, peer: ParticipantId) -> None:
    """Store what the kit's tests find: listings, and agreements with ``peer`` in both roles."""
    for name in (*PROVIDER_NEGOTIATIONS, *LISTED):
        publish(runtime, name.lower(), dataset_id=DatasetId(name), offer_id=OfferId(offer_id(name)))
    for agreement_id in PROVIDER_TRANSFERS:
        _agree(runtime, agreement_id, side=Side.PROVIDER, peer=peer)
    for agreement_id in CONSUMER_TRANSFERS:
        _agree(runtime, agreement_id, side=Side.CONSUMER, peer=peer)


def _agree(runtime: Runtime, agreement_id: str, *, side: Side, peer: ParticipantId) -> None:
    is_provider = side is Side.PROVIDER
    provider, consumer = (runtime.did, peer) if is_provider else (peer, runtime.did)
    dataset_id = DatasetId(LISTED[0])
    policy = {
        **RULES,
        "@id": agreement_id,
        "@type": "Agreement",
        "target": dataset_id,
        "assigner": provider,
        "assignee": consumer,
        "timestamp": format_time(NOW),
    }
    agreement = Agreement(
        id=AgreementId(agreement_id),
        side=side,
        provider_id=provider,
        consumer_id=consumer,
        dataset_id=dataset_id,
        dataset_title=dataset_id,
        policy=policy,
        agreed_at=NOW,
    )
    with runtime.database.unit_of_work() as uow:
        agreements.put(uow, agreement)
