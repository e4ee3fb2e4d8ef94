"""What every service's web application has in common.

Problems become ``application/problem+json``, bodies are bounded, requests carry an id,
callers are authenticated, and one request is one transaction.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

import anyio.to_thread
import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from databank.kit.clock import Clock, new_urn
from databank.kit.db import Database, DataError, UnitOfWork
from databank.kit.directory import Directory
from databank.kit.store import remember_token, was_used
from schemas.dcp.did import DidDocument
from schemas.ids import ParticipantId
from schemas.participant import Participant, Status
from schemas.problem import InvalidRequestError, NotAuthenticatedError, ProblemError
from schemas.signature import PublicKey, peek_header
from schemas.token import Claims, TokenError, check, claimed_issuer

PROBLEM: Final = "application/problem+json"
REQUESTS_MAX: Final = 128  # at once, each with a thread of its own; the others wait their turn
NESTED: Final = "/dcp/"  # asked while the asker holds a place of another's: has its own places
NESTED_MAX: Final = 32
ASIDE_MAX: Final = 2048  # requests that wait for an event and hold nothing meanwhile
PLACE: Final = "databank.place"
THREADS_SPARE: Final = 8  # for work that is not a request's
ALWAYS_ANSWERED: Final = frozenset({"/healthz"})
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Context:
    """What requests of one service need; stands in ``app.state.context``.

    ``document`` is the service's DID document where it says more than one key.
    """

    did: ParticipantId
    key: PublicKey
    database: Database
    directory: Directory
    clock: Clock
    admin_token: str
    document: Callable[[], DidDocument] | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated participant, inside the transaction that consumed its token."""

    participant: Participant
    uow: UnitOfWork
    access_token: str | None = None


def create_base_app(
    title: str,
    context: Context,
    *,
    body_bytes_max: int,
    lifespan: Callable[[], AbstractAsyncContextManager[None]] | None = None,
) -> FastAPI:
    """Return an application with health, version, DID document and error handling.

    ``lifespan`` starts and stops the service's background threads.
    """

    @asynccontextmanager
    async def run(_: FastAPI) -> AsyncIterator[None]:
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = REQUESTS_MAX + NESTED_MAX + THREADS_SPARE
        if lifespan is None:
            yield
            return
        async with lifespan():
            yield

    app = FastAPI(
        title=title,
        lifespan=run,
        redirect_slashes=False,
        max_body_size=body_bytes_max,
        separate_input_output_schemas=False,
    )
    app.state.context = context
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(DataError, _on_unstorable)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_bug)
    app.add_middleware(_Admission)
    app.add_middleware(_RequestId)
    _add_common_routes(app, context)
    return app


def _add_common_routes(app: FastAPI, context: Context) -> None:
    @app.get("/healthz", tags=["operation"], summary="Whether the process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz", tags=["operation"], summary="Whether the database answers")
    def readyz() -> dict[str, str]:
        with context.database.engine.connect():
            return {"status": "ok"}

    @app.get("/.well-known/did.json", tags=["identity"], summary="This service's DID document")
    async def did_document() -> dict[str, Any]:
        if context.document is not None:
            return context.document().to_json()
        return DidDocument.of(context.did, [context.key]).to_json()


def problem_response(problem: ProblemError) -> JSONResponse:
    """Return a problem as an answer."""
    headers = {"Retry-After": "1"} if problem.members.get("retryable") else None
    return JSONResponse(
        problem.to_json(), status_code=problem.status, media_type=PROBLEM, headers=headers
    )


# Asynchronous, so that no answer passes through a thread for what only writes it.
async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return problem_response(error)


async def _on_invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    places = [
        {"where": ".".join(str(part) for part in e["loc"]), "what": str(e["msg"])}
        for e in error.errors()[:20]
    ]
    said = "; ".join(f"{place['where']}: {place['what']}" for place in places)
    return problem_response(
        InvalidRequestError(
            ko=f"요청을 고쳐서 다시 보내세요. {said}",
            en=f"Correct the request and send it again. {said}",
            errors=places,
        )
    )


async def _on_unstorable(request: Request, error: Exception) -> Response:
    log.warning("value_refused", path=request.url.path, error=type(error.__cause__).__name__)
    return problem_response(
        InvalidRequestError(
            ko="데이터베이스에 담을 수 없는 값이 있습니다. 제어 문자와 큰 수를 확인하세요.",
            en="A value cannot be stored. Check for control characters and large numbers.",
        )
    )


async def _on_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    body = {
        "type": "about:blank",
        "title": error.detail,
        "status": error.status_code,
        "detail": error.detail,
    }
    return JSONResponse(body, error.status_code, media_type=PROBLEM, headers=error.headers)


async def _on_disconnect(request: Request, _: Exception) -> Response:
    log.info("client_went_away", path=request.url.path)
    return Response(status_code=499)


async def _on_bug(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, exc_info=error)
    body = {
        "type": "urn:idb:problem:internal",
        "title": "내부 오류입니다",
        "title_en": "Internal error",
        "status": 500,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }
    return JSONResponse(body, status_code=500, media_type=PROBLEM)


class _Admission:
    """Let in no more requests than there are threads for them.

    A request may hold a transaction while it waits for its next thread. If others who wait for
    that transaction had all the threads, nobody would ever go on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._places = asyncio.Semaphore(REQUESTS_MAX)
        self._nested = asyncio.Semaphore(NESTED_MAX)
        self._aside = asyncio.Semaphore(ASIDE_MAX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        is_nested = scope["path"].startswith(NESTED)
        places = self._nested if is_nested else self._places
        async with _Place(places, self._aside) as place:
            scope[PLACE] = place
            await self._app(scope, receive, send)


class _Place:
    """A request's place, which it may leave to others while it only waits for an event."""

    def __init__(self, places: asyncio.Semaphore, aside: asyncio.Semaphore) -> None:
        self._places = places
        self._aside = aside
        self._is_taken = False

    async def __aenter__(self) -> Self:
        await self._places.acquire()
        self._is_taken = True
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._is_taken:
            self._places.release()

    @asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        if self._aside.locked():
            yield
            return
        async with self._aside:
            self._is_taken = False
            self._places.release()
            yield
        await self._places.acquire()
        self._is_taken = True


@asynccontextmanager
async def stepping_aside(request: Request) -> AsyncIterator[None]:
    """Let another request have this one's place inside the block, which must use no thread."""
    place: _Place = request.scope[PLACE]
    async with place.left():
        yield


class _RequestId:
    """Give each request an id in logs and answer; plain ASGI, so that streams pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_urn()

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                headers["X-Content-Type-Options"] = "nosniff"
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            await self._app(scope, receive, send_with_id)


def get_context(request: Request) -> Context:
    """Return the service's context."""
    context: Context = request.app.state.context
    return context


def get_uow(request: Request) -> Iterator[UnitOfWork]:
    """Open the request's transaction; commits before the answer is sent."""
    with get_context(request).database.unit_of_work() as uow:
        yield uow


def bearer(request: Request) -> str:
    """Return the request's bearer token.

    Raises:
        NotAuthenticatedError: There is none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotAuthenticatedError(
            ko="Authorization: Bearer 토큰이 없습니다.", en="The Authorization: Bearer is missing."
        )
    return token.strip()


def verify_claims(context: Context, token: str, key: PublicKey) -> Claims:
    """Check a token that is meant for this service.

    Raises:
        NotAuthenticatedError: It does not verify.
    """
    try:
        return check(token, key=key, audience=context.did, now=context.clock())
    except TokenError as error:
        raise _refused(str(error)) from None


def consume_token(uow: UnitOfWork, claims: Claims) -> None:
    """Use a verified token up.

    Raises:
        NotAuthenticatedError: It was used before.
    """
    if not remember_token(uow, claims):
        raise _refused("this token was used before")


def require_unused_token(uow: UnitOfWork, claims: Claims) -> None:
    """Look whether a verified token may still be used, without using it up.

    Raises:
        NotAuthenticatedError: It was used before.
    """
    if was_used(uow, claims):
        raise _refused("this token was used before")


def identify(request: Request) -> tuple[Participant, Claims]:
    """Verify who is calling, without consuming the token yet.

    Raises:
        NotAuthenticatedError: Unknown, revoked or pending participant, or a bad token.
    """
    context, token = get_context(request), bearer(request)
    try:
        issuer = claimed_issuer(token)
    except TokenError as error:
        raise _refused(str(error)) from None
    participant = context.directory.find(issuer)
    if participant is None or participant.status is not Status.ACTIVE:
        raise _refused(f"{issuer} is not an active participant")
    kid, now = peek_header(token).get("kid"), context.clock()
    if participant.key_named(kid, now).kid != kid:  # perhaps replaced since we last asked
        participant = context.directory.find_anew(issuer) or participant
    return participant, verify_claims(context, token, participant.key_named(kid, now))


def get_caller(request: Request) -> Iterator[Caller]:
    """Authenticate a participant and open the request's transaction."""
    participant, claims = identify(request)
    with get_context(request).database.unit_of_work() as uow:
        consume_token(uow, claims)
        yield Caller(participant, uow, claims.access_token)


def get_participant(request: Request) -> Participant:
    """Authenticate a participant in a transaction that ends at once: for work that takes long."""
    participant, claims = identify(request)
    with get_context(request).database.unit_of_work() as uow:
        consume_token(uow, claims)
    return participant


def is_same_secret(given: str, kept: str) -> bool:
    """Compare two secrets in a time that tells nothing about them; any text may be given."""
    return hmac.compare_digest(given.encode(errors="replace"), kept.encode())


async def require_admin(request: Request) -> None:
    """Let only the people in who run this service.

    Raises:
        NotAuthenticatedError: The bearer token is not the admin token.
    """
    if not is_same_secret(bearer(request), get_context(request).admin_token):
        raise NotAuthenticatedError(
            ko="관리 토큰이 맞지 않습니다. 이 서비스의 데이터 폴더에 있는 admin-token 파일이나 "
            "ADMIN_TOKEN_FILE 설정이 가리키는 파일을 보세요.",
            en="Wrong admin token. Look at the file admin-token in this service's data folder, "
            "or the file that the setting ADMIN_TOKEN_FILE names.",
        )


def _refused(reason: str) -> NotAuthenticatedError:
    return NotAuthenticatedError(
        ko=f"신원을 확인할 수 없습니다: {reason}", en=f"The token is refused: {reason}"
    )


# scope="function" ends the dependency, and so commits, before the answer is sent.
CallerDep = Annotated[Caller, Depends(get_caller, scope="function")]
ParticipantDep = Annotated[Participant, Depends(get_participant)]
UowDep = Annotated[UnitOfWork, Depends(get_uow, scope="function")]
AdminDep = Depends(require_admin)
