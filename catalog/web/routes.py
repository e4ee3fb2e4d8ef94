"""The portal's pages: server-rendered, without scripts, in Korean and English."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse

from catalog.search import service
from catalog.search.model import CURSOR_CHARS_MAX, FACET_NAMES, Filters
from catalog.search.query import QUERY_CHARS_MAX
from catalog.web import labels, view
from databank.kit.app import UowDep
from databank.kit.pages import Pages, address
from schemas.approval import approval_text
from schemas.dataset import Listing
from schemas.price import price_sentence
from schemas.problem import InvalidRequestError, NotFoundError
from schemas.terms import UnknownTermError, from_policy, mask_words, sentences

PAGE_HITS: Final = 20
PARAM_CHARS_MAX: Final = 100
HERE: Final = Path(__file__).parent
Param = Annotated[str, Query(max_length=PARAM_CHARS_MAX)]
router = APIRouter(tags=["portal"], default_response_class=HTMLResponse)


PAGES: Final = Pages(
    HERE,
    labels.WORDS,
    static="/static",
    style="portal.css",
    home="/",
    labels=labels,
    price_sentence=price_sentence,
    approval_text=approval_text,
    mask_words=mask_words,
    dataset_address=view.dataset_address,
)
PAGES.environment.filters.update(size=view.size, cell=view.cell, shorten=view.shorten)
render: Final = PAGES.render


@router.get("/", summary="The portal: search")
def search_page(  # noqa: PLR0917 - FastAPI passes them by name
    request: Request,
    uow: UowDep,
    q: Annotated[str, Query()] = "",
    domain: Param = "",
    industry: Param = "",
    provider: Param = "",
    price: Param = "",
    generated: Param = "",
    cursor: Annotated[str, Query(max_length=CURSOR_CHARS_MAX)] = "",
) -> HTMLResponse:
    """Return the page with the query box, facets and hits."""
    known = {
        "domain": domain if domain in labels.DOMAINS else "",
        "industry": industry if industry in labels.INDUSTRIES else "",
        "provider": provider,
        "price": price if price in labels.PRICES else "",
        "generated": generated if generated in labels.ORIGINS else "",
    }
    q = q[:QUERY_CHARS_MAX]
    filters = Filters(**{name: value or None for name, value in known.items()})
    search = partial(service.search, uow, q, filters, limit=PAGE_HITS)
    try:
        answer = search(cursor=cursor or None)
    except InvalidRequestError:
        answer = search(cursor=None)  # an old or broken link still shows the first page
    params: dict[str, str | None] = {"q": q, **known}
    following = address("/", params, cursor=answer.next_cursor)
    return render(
        request,
        "search.html",
        q=q,
        answer=answer,
        boxes=list(view.facet_boxes(answer, params)),
        hidden=[(name, known[name]) for name in FACET_NAMES if known[name]],
        clear=address("/", {"q": q}),
        following=following if answer.next_cursor else None,
        first=address("/", params) if cursor else None,
    )


@router.get("/d/{dataset_id}", summary="The portal: one dataset")
def dataset_page(request: Request, uow: UowDep, dataset_id: str) -> HTMLResponse:
    """Return the page of one dataset: columns, sample, terms, price, how to use it."""
    try:
        listing = service.get_dataset(uow, dataset_id)
    except NotFoundError:
        return render(request, "missing.html", status=404)
    return render(
        request,
        "dataset.html",
        listing=listing,
        dataset=listing.dataset,
        ref=f"{listing.provider_handle}.{listing.dataset.name}",
        terms=_terms(listing),
        snippets=view.snippets(listing),
    )


def missing_page(request: Request) -> HTMLResponse:
    """Return a page for addresses that lead nowhere, to readers; programs get a problem."""
    if "text/html" not in request.headers.get("accept", ""):
        raise HTTPException(404)
    return render(request, "missing.html", status=404)


def _terms(listing: Listing) -> list[Any]:
    try:
        terms, plan = from_policy(listing.policy)
    except UnknownTermError:  # of a newer connector: say nothing rather than something wrong
        return []
    return list(sentences(terms, plan))


def add_portal(app: FastAPI) -> None:
    """Add the portal's pages and its stylesheet to the catalog."""
    app.include_router(router)
    app.mount("/static", PAGES.static_files(), name="static")
    app.add_api_route(
        "/{path:path}", missing_page, include_in_schema=False, response_class=HTMLResponse
    )
