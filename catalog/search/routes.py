"""The catalog's JSON API."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query

from catalog.search import service
from catalog.search.model import CURSOR_CHARS_MAX, Filters
from catalog.search.query import QUERY_CHARS_MAX
from catalog.web.labels import PRICES
from databank.kit.app import UowDep
from schemas.dataset import Domain, Industry, Listing
from schemas.search import SEARCH_LIMIT_MAX, SearchAnswer

REF_CHARS_MAX: Final = 120
PRICE_PATTERN: Final = f"^({'|'.join(PRICES)})$"
router = APIRouter(tags=["search"])


@router.get("/search", summary="Search the federated catalog")
def search(  # noqa: PLR0917 - FastAPI passes them by name
    uow: UowDep,
    q: Annotated[str, Query(max_length=QUERY_CHARS_MAX)] = "",
    domain: Domain | None = None,
    industry: Industry | None = None,
    provider: Annotated[str | None, Query(max_length=100)] = None,
    price: Annotated[str | None, Query(pattern=PRICE_PATTERN)] = None,
    generated: Annotated[str | None, Query(pattern="^(yes|no)$")] = None,
    limit: Annotated[int, Query(ge=1, le=SEARCH_LIMIT_MAX)] = 20,
    cursor: Annotated[str | None, Query(max_length=CURSOR_CHARS_MAX)] = None,
) -> SearchAnswer:
    """Return hits for all words of ``q``, best first; without words, the newest first."""
    filters = Filters(domain, industry, provider, price, generated)
    return service.search(uow, q, filters, limit=limit, cursor=cursor)


@router.get("/datasets", summary="The dataset that is called handle.name")
def resolve(
    uow: UowDep, ref: Annotated[str, Query(max_length=REF_CHARS_MAX, pattern=r"^[^.]+\.[^.]+$")]
) -> Listing:
    """Return a listing by its name in SQL, such as ``hanbit.carbon``."""
    return service.resolve(uow, ref)


@router.get("/datasets/{dataset_id}", summary="One dataset with its offer")
def get_dataset(uow: UowDep, dataset_id: str) -> Listing:
    """Return a listing by the dataset's id."""
    return service.get_dataset(uow, dataset_id)
