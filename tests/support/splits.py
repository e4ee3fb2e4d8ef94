"""Split plans for tests: edges between products, as kept, without a service."""

from __future__ import annotations

from typing import Any, Final

from clearing.shares.model import Plan, Product
from schemas.bank import AgreementRecord
from schemas.ids import AgreementId, DatasetId, ParticipantId
from schemas.shares import (
    Basis,
    EdgeRole,
    PlanEdge,
    SealedPlan,
    SplitEdge,
    SplitPlanRequest,
    Unit,
)
from tests.support.bank import NOON

NO_HASH: Final = "0" * 64
PERIOD: Final = "2026-11"


def product(name: str, owner: str | None = None) -> Product:
    """Return a dataset of the party with the same name, or another's."""
    return Product(ParticipantId(owner or name), DatasetId(f"urn:dataset:{name}"))


def edge(
    upstream: Product,
    basis: Basis,
    share: int,
    *,
    unit: Unit | None = None,
    role: EdgeRole = EdgeRole.PRINCIPAL,
    floor: int | None = None,
    cap: int | None = None,
) -> PlanEdge:
    """Return an edge to an upstream dataset."""
    return PlanEdge(
        agreement_id=AgreementId(f"urn:agreement:{upstream.dataset_id}"),
        basis=basis,
        share=share,
        unit=unit,
        floor_micro=floor,
        cap_micro=cap,
        role=role,
        party_id=upstream.owner_id,
        upstream_id=upstream.dataset_id,
        upstream_title=upstream.dataset_id,
        salt="salt",
    )


def request(
    of: AgreementRecord, *edges: SplitEdge, request_id: str = "r1", from_period: str = PERIOD
) -> SplitPlanRequest:
    """Return what a curator tells of the product that an agreement sells."""
    return SplitPlanRequest(
        request_id=request_id,
        product_id=of.dataset_id,
        product_title=of.dataset_title,
        from_period=from_period,
        edges=edges,
    )


def told_edge(under: AgreementRecord, basis: Basis, share: int, **further: Any) -> SplitEdge:
    """Return an edge for the dataset that is used under an agreement."""
    return SplitEdge(agreement_id=under.agreement_id, basis=basis, share=share, **further)


def split_plan(of: Product, *edges: PlanEdge, fee_bps: int = 0, **further: Any) -> Plan:
    """Return a plan of a product."""
    sealed = SealedPlan(
        curator_id=of.owner_id,
        product_id=of.dataset_id,
        product_title=of.dataset_id,
        number=further.get("number", 1),
        from_period=further.get("from_period", PERIOD),
        fee_bps=fee_bps,
        registered_at=NOON,
        edges_sha256=tuple(each.sha256 for each in edges),
        weights_sha256=NO_HASH,
    )
    return Plan(sealed, sealed.sha256, edges)
