"""What the catalog answers to a search."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from schemas.dataset import Listing
from schemas.wire import OwnWire, Text

SEARCH_LIMIT_MAX: Final = 100


class FacetValue(OwnWire):
    """One value to filter by, and how many hits choosing it would leave."""

    value: str
    label: Text
    count: int = Field(ge=1)


class Facets(OwnWire):
    """Values to filter by; those of one facet are counted under the other facets' filters."""

    domain: tuple[FacetValue, ...] = ()
    industry: tuple[FacetValue, ...] = ()
    provider: tuple[FacetValue, ...] = ()  # handles
    price: tuple[FacetValue, ...] = ()
    generated: tuple[FacetValue, ...] = ()


class SearchAnswer(OwnWire):
    """One page of hits, best first; ask again with ``next_cursor`` for the next.

    ``is_widened`` says that no dataset has all words, so that these have some of them.
    """

    hits: tuple[Listing, ...]
    total_count: int = Field(ge=0)
    facets: Facets = Facets()
    is_widened: bool = False
    next_cursor: str | None = None
