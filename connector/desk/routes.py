"""The company's desk in the browser: sign in, begin and answer negotiations, end agreements.

Server-rendered pages without scripts, which call what the management API calls. They are for
the people who hold the connector's admin token.
"""

from __future__ import annotations

from typing import Annotated, Final
from urllib.parse import quote

import structlog
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from connector.desk import labels
from connector.desk.agreements import router as agreements_router
from connector.desk.begin import router as begin_router
from connector.desk.datasets import router as datasets_router
from connector.desk.frame import (
    PAGES,
    SEE_OTHER,
    SIGN_IN,
    DeskRoute,
    FormDep,
    RuntimeDep,
    SentForm,
    cookie_name,
    find_session,
    get_sessions,
    problem_page,
    read_form,
    render,
    safe_target,
    session_secret,
)
from connector.desk.negotiations import router as negotiations_router
from connector.desk.passbook import router as passbook_router
from connector.desk.session import SESSION_SECONDS, Sessions, TooManyAttemptsError
from connector.desk.view import DESK
from databank.kit.app import get_context, is_same_secret
from databank.kit.clock import Clock, new_secret

router = APIRouter(
    prefix=DESK, tags=["desk"], route_class=DeskRoute, default_response_class=HTMLResponse
)
UNAUTHENTICATED: Final = 401
log = structlog.get_logger()


@router.get("/sign-in", summary="The desk: sign in")
def sign_in_page(request: Request, to: str = "", done: str = "", out: str = "") -> Response:
    """Ask for the admin token; whoever is signed in goes on."""
    target = safe_target(to)
    if find_session(request) is not None:
        return RedirectResponse(target, SEE_OTHER)
    message = labels.WORDS["no_cookie" if done else "signed_out"] if done or out else None
    return render(request, "sign_in.html", message=message, to=target)


@router.post("/sign-in", summary="The desk: sign in with the admin token")
def sign_in(
    request: Request, runtime: RuntimeDep, sent: Annotated[SentForm, Depends(read_form)]
) -> Response:
    """Open a session for who knows the admin token."""
    sessions = get_sessions(request)
    address = request.client.host if request.client else ""
    target = safe_target(sent.text("to"))
    try:
        sessions.check_attempts(address)
    except TooManyAttemptsError as problem:
        page = problem_page(request, problem)
        page.headers["Retry-After"] = "60"
        return page
    if not is_same_secret(sent.text("token"), get_context(request).admin_token):
        sessions.note_failure(address)
        log.warning("desk_sign_in_refused", address=address)
        message = labels.WORDS["wrong_token"]
        return render(request, "sign_in.html", status=UNAUTHENTICATED, message=message, to=target)
    log.info("desk_signed_in", address=address)
    response = RedirectResponse(f"{SIGN_IN}?done=1&to={quote(target, safe='/:')}", SEE_OTHER)
    response.set_cookie(
        cookie_name(runtime.did),
        sessions.open(),
        max_age=SESSION_SECONDS,
        path=DESK,
        secure=not runtime.settings.is_loopback,
        httponly=True,
        samesite="strict",
    )
    return response


@router.post("/sign-out", summary="The desk: sign out")
def sign_out(request: Request, runtime: RuntimeDep, _: FormDep) -> Response:
    """End the session."""
    get_sessions(request).close(session_secret(request))
    response = RedirectResponse(f"{SIGN_IN}?out=1", SEE_OTHER)
    response.delete_cookie(cookie_name(runtime.did), path=DESK)
    return response


def missing_page(request: Request) -> Response:
    """Return a page for addresses that lead nowhere."""
    return render(request, "missing.html", status=404, here=DESK)


def add_desk(app: FastAPI, clock: Clock) -> None:
    """Add the desk's pages and style sheets to a connector."""
    app.state.desk_sessions = Sessions(clock, new_secret)
    for each in (
        router,
        begin_router,
        negotiations_router,
        agreements_router,
        datasets_router,
        passbook_router,
    ):
        app.include_router(each)
    app.mount(f"{DESK}/static", PAGES.static_files(), name="desk-static")
    app.add_api_route(f"{DESK}/{{path:path}}", missing_page, include_in_schema=False)
