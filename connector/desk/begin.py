"""The desk's pages to begin a negotiation: find a dataset, see its terms, ask for it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from connector.desk import form, labels, view
from connector.desk.form import CounterForm
from connector.desk.frame import (
    DeskRoute,
    FormDep,
    RuntimeDep,
    SentForm,
    SessionDep,
    render,
    see,
)
from connector.desk.negotiations import UNPROCESSABLE, UnreadableTermsError
from connector.desk.view import DESK, page_of
from connector.management import agreements as agreeing
from connector.management import listings
from connector.management import negotiations as negotiating
from connector.runtime import Runtime
from schemas.dataset import Listing
from schemas.ids import ProcessId
from schemas.management import NegotiateRequest
from schemas.problem import ConflictError, ProblemError
from schemas.proposal import Proposal, changes_between
from schemas.shown import clean_text
from schemas.wire import Text

BEGIN: Final = f"{DESK}/begin"
EARLIER_MAX: Final = 1000
TITLE_CHARS_MAX: Final = 300
router = APIRouter(
    prefix=BEGIN, tags=["desk"], route_class=DeskRoute, default_response_class=HTMLResponse
)
WantedDep = Annotated[str, Query(max_length=listings.WANTED_CHARS_MAX)]


class ListingChangedError(ConflictError):
    """The listing is not any more what was seen when somebody asked for it."""

    slug = "listing-changed"
    title = Text(ko="등록된 조건이 바뀌었습니다", en="The listed terms have changed")


@router.get("", summary="The desk: find a dataset to negotiate about")
def begin_page(
    request: Request, runtime: RuntimeDep, _: SessionDep, ref: WantedDep = ""
) -> HTMLResponse:
    """Return the dataset of this name with its terms, or what a search for these words finds."""
    wanted = clean_text(ref).strip()
    if not wanted:
        return _search(request, runtime, "")
    try:
        if not listings.is_name(wanted):
            return _search(request, runtime, wanted)
        return _show(request, runtime, listings.find(runtime, wanted))
    except ProblemError as problem:
        return _search(request, runtime, wanted, problem)


@router.get("/confirmation", summary="The desk: ask for an offer as it stands, asked once more")
def confirmation_page(
    request: Request, runtime: RuntimeDep, _: SessionDep, ref: WantedDep
) -> HTMLResponse:
    """Return the listed price and terms again, and ask."""
    listing = listings.find(runtime, clean_text(ref).strip())
    return _confirm(request, runtime, listing, None)


@router.post("/confirmation", summary="The desk: propose other terms, asked once more")
def confirm_proposal(request: Request, runtime: RuntimeDep, sent: FormDep) -> HTMLResponse:
    """Return the price and terms that were typed, and ask; faults come back in their form.

    So does what somebody wants to change after all.
    """
    listing = listings.find(runtime, sent.text("ref"))
    proposal, typed = form.read(sent.values, _readable(listing))
    if proposal is None or sent.text("edit"):
        return _show(request, runtime, listing, typed=typed)
    return _confirm(request, runtime, listing, (proposal, typed))


@router.post("", summary="The desk: begin a negotiation")
def begin(request: Request, runtime: RuntimeDep, sent: FormDep) -> Response:
    """Ask the supplier for what the confirmation showed; once, however often it is sent."""
    listing = listings.find(runtime, sent.text("ref"))
    listed = _readable(listing)
    proposal, typed = None, None
    if sent.text("kind") == "proposal":
        proposal, typed = form.read(sent.values, listed)
        if proposal is None:
            return _show(request, runtime, listing, typed=typed)
    try:
        _check_seen(listing, sent)
        asked = NegotiateRequest(
            provider_id=listing.provider_id,
            dataset_id=listing.dataset.id,
            offer_id=listing.offer_id,
            policy=listing.policy,
            proposal=proposal,
            dataset_title=listing.dataset.title.ko[:TITLE_CHARS_MAX],
            dataset=listing.dataset,
        )
        pid = negotiating.as_own_pid(sent.text("pid"))
        started = negotiating.negotiate(runtime, asked, pid=pid)
    except ProblemError as problem:
        return _show(request, runtime, listing, typed=typed, problem=problem)
    return see(page_of("negotiations", started.pid), "asked")


def _check_seen(listing: Listing, sent: SentForm) -> None:
    if sent.text("seen") != view.seen_of(listing):
        raise ListingChangedError(
            ko="확인하는 사이에 공급기업이 조건이나 요금을 바꾸었습니다. 요청하지 않았습니다. 지금 "
            "조건을 보고 다시 요청하세요.",
            en="Meanwhile the supplier has changed the terms or the price. Nothing was asked for. "
            "Look at them as they are now, and ask again.",
        )


def _readable(listing: Listing) -> Proposal:
    proposal = view.listed_proposal(listing)
    if proposal is None:
        said = labels.WORDS["unreadable"]
        raise UnreadableTermsError(ko=said.ko, en=said.en)
    return proposal


def _search(
    request: Request, runtime: Runtime, wanted: str, problem: ProblemError | None = None
) -> HTMLResponse:
    found = listings.search(runtime, wanted) if wanted and problem is None else None
    return render(
        request,
        "begin.html",
        status=problem.status if problem else 200,
        here=view.begin_address(wanted) if wanted else None,
        wanted=wanted,
        found=found,
        portal=runtime.settings.catalog_url,
        problem=problem,
    )


def _show(
    request: Request,
    runtime: Runtime,
    listing: Listing,
    *,
    typed: CounterForm | None = None,
    problem: ProblemError | None = None,
) -> HTMLResponse:
    """Return the page of a listing, with what was typed and what is wrong with it."""
    proposal = view.listed_proposal(listing)
    is_faulty = typed is not None and typed.is_faulty
    dataset_id = listing.dataset.id
    agreements = agreeing.agreement_list(runtime, EARLIER_MAX).agreements
    open_ones = negotiating.negotiations(runtime, EARLIER_MAX).negotiations
    return render(
        request,
        "listing.html",
        status=problem.status if problem else UNPROCESSABLE if is_faulty else 200,
        here=view.begin_address(view.ref_of(listing)),
        listing=listing,
        table=view.in_words(proposal) if proposal else None,
        counter=typed or (form.filled(proposal) if proposal else None),
        is_counter_open=typed is not None,
        is_own=listing.provider_id == runtime.did,
        agreements=[a for a in agreements if view.lets_us_use(a, dataset_id)],
        negotiations=[n for n in open_ones if view.is_asked_by_us(n, dataset_id)],
        problem=problem,
    )


def _confirm(
    request: Request,
    runtime: Runtime,
    listing: Listing,
    wanted: tuple[Proposal, CounterForm] | None,
) -> HTMLResponse:
    """Return the price and terms again that would be asked for, and ask."""
    listed = _readable(listing)
    proposal, typed = wanted or (listed, None)
    changes = changes_between(listed, proposal)
    if wanted and not changes:
        problem = ConflictError(
            ko="등록된 조건과 같습니다. 바꿀 것을 바꾸거나 그대로 요청하세요.",
            en="These are the listed terms. Change something, or ask for them as they stand.",
        )
        return _show(request, runtime, listing, typed=typed, problem=problem)
    return render(
        request,
        "asking.html",
        here=view.begin_address(view.ref_of(listing)),
        listing=listing,
        table=view.in_words(proposal),
        changes=changes,
        typed=typed,
        seen=view.seen_of(listing),
        pid=ProcessId(runtime.make_id()),
    )
