"""The desk's pages about agreements: what was agreed, its state, and ending it."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from connector.desk import view
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
from connector.management import agreements as agreeing
from schemas.ids import AgreementId
from schemas.management import AgreementView, EndRequest
from schemas.problem import ProblemError
from schemas.refusal import said_in_both

SHOWN: Final = 50
SHOWN_MAX: Final = 1000
UNPROCESSABLE: Final = 422
LimitDep = Annotated[int, Query(ge=1, le=SHOWN_MAX)]
router = APIRouter(
    prefix=f"{DESK}/agreements",
    tags=["desk"],
    route_class=DeskRoute,
    default_response_class=HTMLResponse,
)


@router.get("", summary="The desk: agreements")
def agreements_page(
    request: Request, runtime: RuntimeDep, _: SessionDep, limit: LimitDep = SHOWN
) -> HTMLResponse:
    """Return the agreements of both sides, newest first."""
    found = agreeing.agreement_list(runtime, limit).agreements
    more = min(limit * 4, SHOWN_MAX) if len(found) == limit < SHOWN_MAX else None
    return render(request, "agreements.html", agreements=found, more=more)


@router.get("/{agreement_id}", summary="The desk: one agreement")
def agreement_page(
    request: Request, runtime: RuntimeDep, _: SessionDep, agreement_id: str
) -> HTMLResponse:
    """Return an agreement: its terms, its end, and the form to end it."""
    return _show(request, agreeing.one_agreement(runtime, AgreementId(agreement_id)))


@router.get("/{agreement_id}/termination", summary="The desk: end an agreement, asked once more")
def end_page(
    request: Request, runtime: RuntimeDep, _: SessionDep, agreement_id: str
) -> HTMLResponse:
    """Say what ending an agreement does, and ask why."""
    agreement = agreeing.one_agreement(runtime, AgreementId(agreement_id))
    return _show(request, agreement) if agreement.is_over else _ask(request, agreement)


@router.post("/{agreement_id}/termination", summary="The desk: end an agreement")
def end(request: Request, runtime: RuntimeDep, sent: FormDep, agreement_id: str) -> Response:
    """End an agreement, with a reason."""
    agreement = agreeing.one_agreement(runtime, AgreementId(agreement_id))
    try:
        reason = read_reason(sent)
        said = EndRequest(code=reason.code, reason=reason.words or said_in_both(reason.code))
        agreeing.end_agreement(runtime, agreement.agreement_id, said)
    except ReasonError as fault:
        return _ask(request, agreement, fault.form)
    except ProblemError as problem:
        agreement = agreeing.one_agreement(runtime, agreement.agreement_id)
        return _show(request, agreement, problem=problem)
    return see(page_of("agreements", agreement_id), "ended")


def _ask(
    request: Request, agreement: AgreementView, reason: ReasonForm | None = None
) -> HTMLResponse:
    return render(
        request,
        "termination.html",
        status=UNPROCESSABLE if reason else 200,
        agreement=agreement,
        address=page_of("agreements", agreement.agreement_id),
        reason=reason or ReasonForm(),
    )


def _show(
    request: Request, agreement: AgreementView, *, problem: ProblemError | None = None
) -> HTMLResponse:
    address = page_of("agreements", agreement.agreement_id)
    return render(
        request,
        "agreement.html",
        status=problem.status if problem else 200,
        here=address if problem else None,
        agreement=agreement,
        address=address,
        table=view.policy_in_words(agreement.policy),
        problem=problem,
    )
