"""One search: hits, facets, and the wider search when nothing has all words."""

from __future__ import annotations

from catalog.index import store as index_store
from catalog.search import store
from catalog.search.model import FACET_NAMES, Filters, Match, read_cursor, write_cursor
from catalog.search.query import parse
from catalog.web.labels import DOMAINS, INDUSTRIES, ORIGINS, PRICES
from databank.kit.db import UnitOfWork
from schemas.dataset import Listing
from schemas.problem import NotFoundError
from schemas.search import Facets, FacetValue, SearchAnswer
from schemas.wire import Text

_LABELS = {"domain": DOMAINS, "industry": INDUSTRIES, "price": PRICES, "generated": ORIGINS}


def search(
    uow: UnitOfWork, q: str, filters: Filters, *, limit: int, cursor: str | None
) -> SearchAnswer:
    """Return one page of hits with facets.

    All words must match; only if no dataset at all has them, any of them counts. Filters
    never widen a search.

    Raises:
        InvalidRequestError: The cursor is not one of ours.
    """
    after = None if cursor is None else read_cursor(cursor)
    match = _choose_match(uow, q)
    places = store.page(uow, match, filters, after=after, limit=limit + 1)
    more = len(places) > limit
    places = places[:limit]
    listings = index_store.list_numbered(uow, [place.number for place in places])
    return SearchAnswer(
        total_count=store.count(uow, match, filters),
        hits=tuple(listings),
        facets=_facets(uow, match, filters),
        is_widened=match.is_widened,
        next_cursor=write_cursor(places[-1]) if more else None,
    )


def _choose_match(uow: UnitOfWork, q: str) -> Match:
    match = Match(parse(q))
    if match.query.groups and store.count(uow, match, Filters()) == 0:
        return Match(match.query, is_widened=True)
    return match


def _facets(uow: UnitOfWork, match: Match, filters: Filters) -> Facets:
    found = {
        name: tuple(
            FacetValue(value=value, label=_label(name, value, shown), count=count)
            for value, shown, count in store.facet(uow, match, filters, name)
        )
        for name in FACET_NAMES
    }
    return Facets(**found)


def _label(name: str, value: str, shown: str) -> Text:
    return _LABELS.get(name, {}).get(value) or Text(ko=shown, en=shown)


def get_dataset(uow: UnitOfWork, dataset_id: str) -> Listing:
    """Return a listed dataset.

    Raises:
        NotFoundError: It is not listed.
    """
    if (listing := index_store.find(uow, dataset_id)) is None:
        raise _not_listed(dataset_id)
    return listing


def resolve(uow: UnitOfWork, ref: str) -> Listing:
    """Return the dataset that is called ``handle.name``.

    Raises:
        NotFoundError: None is called so.
    """
    handle, _, name = ref.partition(".")
    if (listing := index_store.find_by_ref(uow, handle, name)) is None:
        raise _not_listed(ref)
    return listing


def _not_listed(what: str) -> NotFoundError:
    return NotFoundError(
        ko=f"데이터셋 {what}이(가) 카탈로그에 없습니다. GET /search로 찾아보세요.",
        en=f"The dataset {what} is not in the catalog. Look for it with GET /search.",
    )
