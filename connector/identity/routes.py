"""Our credential service (DCP 1.0.1, 5.4, 6.5, 6.6)."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from connector.identity import service
from connector.runtime import Runtime, get_runtime, runtime_of
from connector.settings import DCP_PATH
from databank.kit.app import UowDep, bearer, consume_token
from databank.kit.holder import malformed
from schemas.dcp.message import (
    CredentialMessage,
    CredentialOfferMessage,
    PresentationQueryMessage,
)
from schemas.dsp.parse import MalformedMessageError, parse_message
from schemas.token import Claims

router: Final = APIRouter(prefix=DCP_PATH, tags=["credentials"])
MessageT = TypeVar("MessageT", PresentationQueryMessage, CredentialMessage, CredentialOfferMessage)


async def _body(request: Request) -> bytes:
    return await request.body()


def _caller(request: Request) -> Claims:
    """Verify the caller's ID token; the route consumes it."""
    return runtime_of(request).verifier.check_token(bearer(request))


BodyDep = Annotated[bytes, Depends(_body)]
CallerDep = Annotated[Claims, Depends(_caller)]
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]


def _read(body: bytes, model: type[MessageT]) -> MessageT:
    try:
        return model.from_wire(parse_message(body))
    except (MalformedMessageError, ValidationError) as error:
        raise malformed(error) from None


@router.post("/presentations/query", summary="Show credentials to a verifier")
def query(body: BodyDep, caller: CallerDep, runtime: RuntimeDep, uow: UowDep) -> dict[str, Any]:
    """Answer a `PresentationQueryMessage` with a `PresentationResponseMessage`."""
    consume_token(uow, caller)
    message = _read(body, PresentationQueryMessage)
    return service.present(uow, runtime, caller, message).to_json()


@router.post("/credentials", summary="Take issued credentials")
def credentials(
    body: BodyDep, caller: CallerDep, runtime: RuntimeDep, uow: UowDep
) -> dict[str, str]:
    """Keep the credentials of a `CredentialMessage` that we asked for."""
    consume_token(uow, caller)
    service.take_credentials(uow, runtime, caller.issuer, _read(body, CredentialMessage))
    return {"status": "ok"}


@router.post("/offers", summary="Take an issuer's offer")
def offers(body: BodyDep, caller: CallerDep, runtime: RuntimeDep, uow: UowDep) -> dict[str, str]:
    """Ask for what a `CredentialOfferMessage` offers, if we need it."""
    consume_token(uow, caller)
    service.take_offer(uow, runtime, caller.issuer, _read(body, CredentialOfferMessage))
    return {"status": "ok"}
