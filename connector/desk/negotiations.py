"""The desk's pages about negotiations: what waits, what was proposed, and our answers."""

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
    SessionDep,
    render,
    see,
)
from connector.desk.reason import ReasonError, ReasonForm, read_reason
from connector.desk.view import DESK, page_of
from connector.management import negotiations as negotiating
from connector.runtime import Runtime
from schemas.ids import ProcessId
from schemas.management import AnswerKind, EndRequest, NegotiationAnswer, NegotiationView
from schemas.problem import ConflictError, ProblemError
from schemas.refusal import said_in_both
from schemas.wire import Text

SHOWN: Final = 50
SHOWN_MAX: Final = 1000
AGREE_SECONDS: Final = 3.0  # an acceptance is mostly concluded within that
UNPROCESSABLE: Final = 422
LimitDep = Annotated[int, Query(ge=1, le=SHOWN_MAX)]
router = APIRouter(
    prefix=DESK, tags=["desk"], route_class=DeskRoute, default_response_class=HTMLResponse
)


class UnreadableTermsError(ConflictError):
    """The proposal holds terms that cannot be put in words, so nobody can know what it says."""

    slug = "unreadable-terms"
    title = Text(ko="읽을 수 없는 조건입니다", en="Terms that cannot be read")


@router.get("", summary="The desk: what waits for our answer")
def inbox_page(
    request: Request, runtime: RuntimeDep, _: SessionDep, limit: LimitDep = SHOWN
) -> HTMLResponse:
    """Return the inbox."""
    found = negotiating.inbox(runtime, limit).negotiations
    return render(request, "inbox.html", negotiations=found, more=_more(found, limit))


@router.get("/negotiations", summary="The desk: all negotiations")
def negotiations_page(
    request: Request, runtime: RuntimeDep, _: SessionDep, limit: LimitDep = SHOWN
) -> HTMLResponse:
    """Return all negotiations, latest change first."""
    found = negotiating.negotiations(runtime, limit).negotiations
    return render(request, "negotiations.html", negotiations=found, more=_more(found, limit))


def _more(found: tuple[object, ...], limit: int) -> int | None:
    """Return how many to ask for next, if there may be more."""
    return min(limit * 4, SHOWN_MAX) if len(found) == limit < SHOWN_MAX else None


@router.get("/negotiations/{pid}", summary="The desk: one negotiation")
async def negotiation_page(
    request: Request, runtime: RuntimeDep, _: SessionDep, pid: str
) -> HTMLResponse:
    """Return a negotiation: its rounds, what is on the table, and the forms to answer."""
    is_just_accepted = request.query_params.get("said") == "accepted"
    seconds = AGREE_SECONDS if is_just_accepted else 0
    shown = await negotiating.wait_for_negotiation(request, runtime, ProcessId(pid), seconds)
    return _show(request, shown)


@router.get("/negotiations/{pid}/acceptance", summary="The desk: accept, asked once more")
def confirmation_page(
    request: Request, runtime: RuntimeDep, _: SessionDep, pid: str
) -> HTMLResponse:
    """Return the price and terms again that would be agreed to, and ask."""
    return _confirm(request, _find(runtime, pid))


@router.post("/negotiations/{pid}/acceptance", summary="The desk: accept")
def accept(request: Request, runtime: RuntimeDep, sent: FormDep, pid: str) -> Response:
    """Accept the proposal that the confirmation showed."""
    shown = _find(runtime, pid)
    if shown.awaits_us and not view.can_accept(shown):
        raise UnreadableTermsError(
            ko=labels.WORDS["unreadable"].ko, en=labels.WORDS["unreadable"].en
        )
    said = NegotiationAnswer(kind=AnswerKind.ACCEPT, rounds_count=sent.number("rounds_count"))
    try:
        negotiating.answer(runtime, shown.pid, said)
    except ProblemError as problem:
        return _show(request, _find(runtime, pid), problem=problem)
    return see(page_of("negotiations", pid), "accepted")


@router.post("/negotiations/{pid}/counter", summary="The desk: propose other terms")
def counter(request: Request, runtime: RuntimeDep, sent: FormDep, pid: str) -> Response:
    """Send a counter-offer; what is wrong with it comes back in its form."""
    shown = _find(runtime, pid)
    proposal, typed = form.read(sent.values, view.to_start_from(shown))
    if proposal is None:
        return _show(request, shown, typed=typed)
    rounds_count = sent.number("rounds_count")
    try:
        said = NegotiationAnswer(
            kind=AnswerKind.COUNTER, proposal=proposal, rounds_count=rounds_count
        )
        negotiating.answer(runtime, shown.pid, said)
    except ProblemError as problem:
        return _show(request, _find(runtime, pid), typed=typed, problem=problem)
    return see(page_of("negotiations", pid), "countered")


@router.post("/negotiations/{pid}/refusal", summary="The desk: refuse")
def refuse(request: Request, runtime: RuntimeDep, sent: FormDep, pid: str) -> Response:
    """Refuse the proposal on the table, with a reason."""
    shown = _find(runtime, pid)
    try:
        reason = read_reason(sent)
        said = NegotiationAnswer(
            kind=AnswerKind.REFUSE,
            code=reason.code,
            reason=reason.words,
            rounds_count=sent.number("rounds_count"),
        )
        negotiating.answer(runtime, shown.pid, said)
    except ReasonError as fault:
        return _show(request, shown, reason=fault.form)
    except ProblemError as problem:
        reason_form = ReasonForm.of(sent)
        return _show(request, _find(runtime, pid), reason=reason_form, problem=problem)
    return see(page_of("negotiations", pid), "refused")


@router.post("/negotiations/{pid}/termination", summary="The desk: end a negotiation")
def withdraw(request: Request, runtime: RuntimeDep, sent: FormDep, pid: str) -> Response:
    """End a negotiation that waits for the counterparty, with a reason."""
    shown = _find(runtime, pid)
    try:
        reason = read_reason(sent)
        said = EndRequest(code=reason.code, reason=reason.words or said_in_both(reason.code))
        negotiating.terminate_negotiation(runtime, shown.pid, said)
    except ReasonError as fault:
        return _show(request, shown, reason=fault.form)
    except ProblemError as problem:
        reason_form = ReasonForm.of(sent)
        return _show(request, _find(runtime, pid), reason=reason_form, problem=problem)
    return see(page_of("negotiations", pid), "withdrawn")


def _find(runtime: Runtime, pid: str) -> NegotiationView:
    return negotiating.show_negotiation(runtime, ProcessId(pid))


def _show(
    request: Request,
    shown: NegotiationView,
    *,
    typed: CounterForm | None = None,
    reason: ReasonForm | None = None,
    problem: ProblemError | None = None,
) -> HTMLResponse:
    """Return the page of a negotiation, with what was typed and what is wrong with it."""
    last = view.last_round(shown)
    is_faulty = (typed is not None and typed.is_faulty) or (reason is not None and reason.error)
    status = problem.status if problem else UNPROCESSABLE if is_faulty else 200
    return render(
        request,
        "negotiation.html",
        status=status,
        here=page_of("negotiations", shown.pid) if request.method == "POST" else None,
        negotiation=shown,
        address=page_of("negotiations", shown.pid),
        table=view.in_words(last.proposal) if last and last.proposal else None,
        counter=typed or form.filled(view.to_start_from(shown)),
        is_counter_open=typed is not None,
        reason=reason or ReasonForm(),
        is_reason_open=reason is not None,
        problem=problem,
    )


def _confirm(request: Request, shown: NegotiationView) -> HTMLResponse:
    last = view.last_round(shown)
    if last is None or last.proposal is None or not view.can_accept(shown):
        return _show(request, shown)
    return render(
        request,
        "acceptance.html",
        negotiation=shown,
        address=page_of("negotiations", shown.pid),
        table=view.in_words(last.proposal),
    )
