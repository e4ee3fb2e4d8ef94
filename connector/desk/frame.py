"""What every page of the desk needs: who is signed in, the form that was sent, errors as pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from connector.desk import labels, view
from connector.desk.session import Session, Sessions
from connector.desk.view import DESK
from connector.runtime import Runtime, get_runtime, runtime_of
from databank.kit.app import get_context, is_same_secret
from databank.kit.db import DataError
from databank.kit.pages import Pages, address
from schemas.approval import approval_text
from schemas.ids import ParticipantId
from schemas.money import format_won
from schemas.price import price_sentence
from schemas.problem import ForbiddenError, InvalidRequestError, ProblemError
from schemas.shown import clean_text
from schemas.wire import Text

SIGN_IN: Final = f"{DESK}/sign-in"
FORM_TYPE: Final = "application/x-www-form-urlencoded"
FORM_FIELDS_MAX: Final = 1000
FOREIGN: Final = frozenset({"cross-site", "same-site"})  # of Sec-Fetch-Site: another page sent it
SEE_OTHER: Final = 303
PAGES: Final = Pages(
    Path(__file__).parent,
    labels.WORDS,
    headers={"Cache-Control": "no-store"},
    static=f"{DESK}/static",
    style="desk.css",
    home=DESK,
    labels=labels,
    view=view,
    price_sentence=price_sentence,
    approval_text=approval_text,
    format_won=format_won,
)


class SignInNeededError(Exception):
    """Nobody is signed in."""


class ForeignFormError(ForbiddenError):
    """A form that does not come from a page of ours in this session."""

    slug = "foreign-form"
    title = Text(ko="이 창구의 양식이 아닙니다", en="Not a form of this desk")


def get_sessions(request: Request) -> Sessions:
    """Return the sessions of the connector that serves this request."""
    sessions: Sessions = request.app.state.desk_sessions
    return sessions


def cookie_name(did: ParticipantId) -> str:
    """Return the session cookie's name: browsers share cookies among the ports of one host."""
    return f"desk_{hashlib.sha256(did.encode()).hexdigest()[:12]}"


def session_secret(request: Request) -> str | None:
    """Return what the session cookie holds."""
    return request.cookies.get(cookie_name(get_context(request).did))


def find_session(request: Request) -> Session | None:
    """Return the session of this browser, if there is one."""
    return get_sessions(request).find(session_secret(request))


def get_session(request: Request) -> Session:
    """Return the session of this browser, and show it to the page.

    Raises:
        SignInNeededError: There is none.
    """
    session = find_session(request)
    if session is None:
        raise SignInNeededError
    request.state.session = session
    return session


class SentForm:
    """What a browser has sent; texts are without characters that nobody types."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self.values = {
            name: [clean_text(text.replace("\r\n", "\n")) for text in texts]
            for name, texts in values.items()
        }

    def text(self, name: str) -> str:
        """Return a field without spaces around it; empty if it was not sent."""
        return self.values.get(name, [""])[0].strip()

    def number(self, name: str) -> int:
        """Return a field that our page has filled.

        Raises:
            InvalidRequestError: It holds no number.
        """
        text = self.text(name)
        if not text.isascii() or not text.isdigit() or len(text) > 9:  # noqa: PLR2004 - int32
            raise InvalidRequestError(
                ko=f"양식의 {name}이(가) 없습니다. 페이지를 다시 열어 보내세요.",
                en=f"The form's {name} is missing. Open the page again and send it.",
            )
        return int(text)


async def read_form(request: Request) -> SentForm:
    """Read the form in the body.

    Raises:
        ForeignFormError: Another site's page has sent it.
        InvalidRequestError: Not a form, or one with too many fields.
    """
    if request.headers.get("sec-fetch-site") in FOREIGN:
        raise _foreign()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM_TYPE:
        raise InvalidRequestError(
            ko=f"양식({FORM_TYPE})으로 보내세요.", en=f"Send a form ({FORM_TYPE})."
        )
    body = await request.body()
    try:
        values = parse_qs(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            max_num_fields=FORM_FIELDS_MAX,
        )
    except ValueError:
        raise InvalidRequestError(
            ko="양식의 항목이 너무 많습니다.", en="The form has too many fields."
        ) from None
    return SentForm(values)


def check_form(
    session: Annotated[Session, Depends(get_session)], sent: Annotated[SentForm, Depends(read_form)]
) -> SentForm:
    """Let a form pass that a page of this session has sent.

    Raises:
        ForeignFormError: It does not carry the session's token.
    """
    if not is_same_secret(sent.text("csrf_token"), session.csrf_token):
        raise _foreign()
    return sent


def _foreign() -> ForeignFormError:
    return ForeignFormError(
        ko="보낸 내용은 처리되지 않았습니다. 창구의 페이지를 다시 열어 거기에서 보내세요.",
        en="What was sent has not been acted on. Open the desk's page again and send it there.",
    )


SessionDep = Annotated[Session, Depends(get_session)]
FormDep = Annotated[SentForm, Depends(check_form)]
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]


def render(
    request: Request,
    name: str,
    *,
    status: int = 200,
    here: str | None = None,
    **values: Any,  # noqa: ANN401 - whatever the template shows
) -> HTMLResponse:
    """Return a page; ``session`` is None on pages for everybody.

    ``here`` is the address to open it again, where that is not the request's.
    """
    session: Session | None = getattr(request.state, "session", None)
    said = labels.SAID.get(request.query_params.get("said", ""))
    path = request.url.path
    host = urlsplit(runtime_of(request).settings.url).netloc
    return PAGES.render(
        request,
        name,
        status=status,
        here=here,
        session=session,
        said=said,
        path=path,
        host=host,
        **values,
    )


def see(path: str, said: str | None = None) -> RedirectResponse:
    """Send the browser to a page of ours, after something was done."""
    return RedirectResponse(f"{path}?said={said}" if said else path, SEE_OTHER)


def safe_target(path: str) -> str:
    """Return where to go after the sign-in: a page of the desk, or its first one."""
    parts = urlsplit(path)
    is_ours = path.startswith(f"{DESK}/") and not parts.scheme and not parts.netloc
    return quote(path, safe="/:?=&%") if is_ours and path != SIGN_IN else DESK


class DeskRoute(APIRoute):
    """A route whose errors are pages: people read them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler with an eye on what it raises."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await answer(request)
            except SignInNeededError:
                return _sign_in_first(request)
            except ProblemError as problem:
                return problem_page(request, problem)
            except (RequestValidationError, DataError):
                return problem_page(
                    request,
                    InvalidRequestError(
                        ko="주소나 양식에 쓸 수 없는 값이 있습니다. 창구의 페이지에서 다시 여세요.",
                        en="The address or form holds a value that cannot be used. "
                        "Open it again from a page of the desk.",
                    ),
                )
            except HTTPException as error:
                if error.status_code != 413:  # noqa: PLR2004 - a body over the limit
                    raise
                return problem_page(
                    request,
                    InvalidRequestError(ko="양식이 너무 큽니다.", en="The form is too large."),
                    status=413,
                )

        return handle


def _sign_in_first(request: Request) -> Response:
    """Return the sign-in: by a detour for a page, at once for a form that would be lost."""
    if request.method == "GET":
        params = {"to": request.url.path, "lang": request.query_params.get("lang")}
        return RedirectResponse(address(SIGN_IN, params), SEE_OTHER)
    message = labels.WORDS["session_over"]
    return render(request, "sign_in.html", status=401, here=SIGN_IN, message=message, to=DESK)


def problem_page(
    request: Request, problem: ProblemError, *, status: int | None = None
) -> HTMLResponse:
    """Return a page that says what is wrong, where, and what to do next."""
    return render(
        request,
        "problem.html",
        status=status or problem.status,
        here=DESK,
        title=problem.title,
        detail=problem.detail,
    )
