"""What the catalog answers to a search."""

from __future__ import annotations

from pydantic import Field

from schemas.dataset import Listing
from schemas.wire import OwnWire


class FacetValue(OwnWire):
    """One value of a facet, and how many hits have it."""

    value: str
    count: int = Field(ge=0)


class Facets(OwnWire):
    """How the hits spread; each facet disregards its own filter."""

    domain: tuple[FacetValue, ...] = ()
    industry: tuple[FacetValue, ...] = ()
    provider: tuple[FacetValue, ...] = ()  # handles


class SearchAnswer(OwnWire):
    """One page of hits, best first; ask again with ``next_cursor`` for the next."""

    hits: tuple[Listing, ...]
    total_count: int = Field(ge=0)
    facets: Facets = Facets()
    next_cursor: str | None = None
