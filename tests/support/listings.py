"""Listings to search, and DSP catalogs that carry them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from schemas.dataset import (
    Column,
    ColumnType,
    Dataset,
    DatasetSchema,
    Domain,
    Industry,
    Listing,
    Sensitivity,
)
from schemas.ids import DatasetId, OfferId, ParticipantId
from schemas.money import parse_won
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.terms import Terms, to_policy
from schemas.wire import Text

NOON: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
FREE: Final = PricePlan()
PER_QUERY: Final = PricePlan(
    components=(PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=parse_won("100")),)
)


def make_dataset(number: int, title: str = "다이캐스팅 공정 탄소배출", **changes: Any) -> Dataset:
    """Return a dataset; ``number`` makes its id and name."""
    schema = DatasetSchema(
        columns=(
            Column(
                name="kg_co2e",
                type=ColumnType.NUMBER,
                label=Text(ko="온실가스 배출량", en="Greenhouse gas emissions"),
                unit="kgCO2e",
                sensitivity=Sensitivity.PUBLIC,
            ),
        )
    )
    values: dict[str, Any] = {
        "id": DatasetId(f"urn:uuid:00000000-0000-7000-8000-{number:012d}"),
        "name": f"dataset_{number}",
        "title": Text(ko=title, en=f"Dataset {number}"),
        "description": Text(ko="", en=""),
        "domain": Domain.CARBON,
        "industry": Industry.STEEL_ALUMINIUM,
        "schema": schema,
        "rows_count": 1000 + number,
        "file_bytes": 65_536,
        "data_sha256": f"{number:064x}",
        "issued_at": NOON,
        "modified_at": NOON,
        "sample_columns": ("kg_co2e",),
        "sample": ((1.5,), (2.25,)),
    }
    return Dataset.model_validate(values | changes)


def make_listing(
    number: int,
    title: str = "다이캐스팅 공정 탄소배출",
    *,
    handle: str = "hanbit",
    plan: PricePlan = PER_QUERY,
    **changes: Any,
) -> Listing:
    """Return a listing of a company with ``handle``."""
    return Listing(
        dataset=make_dataset(number, title, **changes),
        provider_id=ParticipantId(f"did:web:{handle}.example"),
        provider_name=f"주식회사 {handle}",
        provider_handle=handle,
        dsp_url=f"https://{handle}.example/dsp/2025-1",
        offer_id=OfferId(f"urn:uuid:offer-{number}"),
        policy=make_offer(number, plan),
        plan=plan,
    )


def make_offer(number: int, plan: PricePlan = PER_QUERY) -> dict[str, Any]:
    """Return an ODRL offer as catalogs carry it."""
    terms = Terms(purposes=("탄소 신고",), valid_days=365, queries_max=1000)
    return {"@id": f"urn:uuid:offer-{number}", "@type": "Offer", **to_policy(terms, plan)}
