"""The issuer service of DCP 1.0.1 (6.4, 6.7, 6.8), and the status lists."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import ValidationError

from broker.membership import service
from broker.membership.model import PREFIX, PROFILES, SUPPORTED
from broker.parts import Parts, get_parts
from databank.kit.app import UowDep, bearer, consume_token, get_context
from databank.kit.clock import new_urn
from databank.kit.holder import malformed
from schemas.dcp.message import CredentialRequestMessage, CredentialStatus, IssuerMetadata
from schemas.dsp.parse import MalformedMessageError, parse_message
from schemas.problem import NotFoundError
from schemas.token import Claims

MEDIA_TYPE = "application/vc+jwt"
router = APIRouter(prefix=PREFIX, tags=["issuer"])


async def _body(request: Request) -> bytes:
    return await request.body()


def _holder(request: Request) -> Claims:
    """Verify the caller's ID token; the route consumes it."""
    return get_parts(request).check_token(bearer(request))


BodyDep = Annotated[bytes, Depends(_body)]
PartsDep = Annotated[Parts, Depends(get_parts)]
HolderDep = Annotated[Claims, Depends(_holder)]


@router.get("/metadata", summary="What is issued")
def metadata(parts: PartsDep) -> dict[str, Any]:
    """Return the credentials that may be asked for (`IssuerMetadata`)."""
    return IssuerMetadata(
        issuer=parts.settings.did, credentials_supported=tuple(SUPPORTED.values())
    ).to_json()


@router.post("/credentials", status_code=201, summary="Ask for credentials")
def request_credentials(
    request: Request, body: BodyDep, holder: HolderDep, parts: PartsDep, uow: UowDep
) -> Response:
    """Take a `CredentialRequestMessage`; the credentials are pushed to the holder's service."""
    consume_token(uow, holder)
    try:
        message = CredentialRequestMessage.from_wire(parse_message(body))
    except (MalformedMessageError, ValidationError) as error:
        raise malformed(error) from None
    taken = service.request(
        uow,
        holder.issuer,
        message,
        request_id=new_urn().rpartition(":")[2],
        now=get_context(request).clock(),
    )
    uow.after_commit(parts.issuing.wake)
    location = f"{parts.settings.url}{PREFIX}/requests/{taken.id}"
    return Response(status_code=201, headers={"Location": location})


@router.get("/requests/{request_id}", summary="Where a request stands")
def request_status(request_id: str, holder: HolderDep, uow: UowDep) -> dict[str, Any]:
    """Return the status of the caller's own request (`CredentialStatus`)."""
    consume_token(uow, holder)
    found = service.find_request(uow, request_id, holder.issuer)
    return CredentialStatus(
        issuer_pid=found.id, holder_pid=found.holder_pid, status=found.status
    ).to_json()


@router.get("/status-lists/{form}/{number}", summary="Which credentials are revoked")
def status_list(request: Request, form: str, number: int, parts: PartsDep, uow: UowDep) -> Response:
    """Return a status list as a signed credential (JWT), as it is now."""
    profile = PROFILES.get(form)
    if profile is None:
        raise NotFoundError(ko="그런 상태 목록이 없습니다.", en="There is no such status list.")
    now = get_context(request).clock()
    signed = service.signed_status_list(
        uow, parts.issuer, parts.notices.identity, profile, number, now=now
    )
    return Response(signed, media_type=MEDIA_TYPE)
