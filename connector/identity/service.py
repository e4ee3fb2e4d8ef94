"""The credential service: what we show to whom, and what we take from issuers."""

from __future__ import annotations

from typing import Final

import structlog

from connector.identity import store
from connector.identity.model import Held, held_from
from connector.identity.rotation import own_keys
from connector.runtime import Runtime
from databank.kit.clock import new_secret
from databank.kit.db import UnitOfWork
from databank.kit.holder import malformed, refused
from databank.kit.resolver import UnreachableError, fetch, unavailable
from schemas.dcp.credential import MEMBERSHIP
from schemas.dcp.did import ServiceType
from schemas.dcp.error import DcpError
from schemas.dcp.message import (
    CredentialMessage,
    CredentialObject,
    CredentialOfferMessage,
    IssuerMetadata,
    PresentationQueryMessage,
    PresentationResponseMessage,
    Profile,
    RequestStatus,
)
from schemas.dcp.presentation import issue_presentation
from schemas.dcp.token import check_access_token
from schemas.dsp.parse import parse_message
from schemas.ids import ParticipantId
from schemas.problem import ForbiddenError, NotFoundError, ProblemError
from schemas.token import Claims
from schemas.wire import Text

METADATA_BYTES_MAX: Final = 262_144
log = structlog.get_logger()


class PresentationDefinitionError(ProblemError):
    """A presentation definition, which DCP lets a credential service refuse."""

    slug = "presentation-definition"
    title = Text(
        ko="presentationDefinition은 지원하지 않습니다",
        en="A presentationDefinition is not supported",
    )
    status = 501


def present(
    uow: UnitOfWork, runtime: Runtime, caller: Claims, message: PresentationQueryMessage
) -> PresentationResponseMessage:
    """Show a verifier what it asks for, as far as the access token allows it.

    Raises:
        NotAuthenticatedError: It brings no access token of ours, made for it.
        PresentationDefinitionError: It asks in the way that we do not know.
    """
    now = runtime.clock()
    try:
        grant = check_access_token(
            caller.access_token or "",
            keys=own_keys(runtime),
            own=runtime.did,
            verifier=caller.issuer,
            now=now,
        )
    except DcpError as error:
        raise refused(str(error)) from None
    if message.scope is None:
        raise PresentationDefinitionError(
            ko="scope으로 요청하세요.", en="Ask by scope: this service knows no other way."
        )
    scopes = message.scope
    chosen = [
        one
        for one in store.held(uow)
        if one.is_valid(now) and one.is_asked_by(scopes) and one.is_asked_by(grant.scopes)
    ]
    presentations = [
        _presentation(runtime, profile, chosen, caller.issuer)
        for profile in Profile
        if any(one.profile is profile for one in chosen)
    ]
    return PresentationResponseMessage(presentation=tuple(presentations))


def _presentation(
    runtime: Runtime, profile: Profile, chosen: list[Held], verifier: ParticipantId
) -> str:
    return issue_presentation(
        [one.payload for one in chosen if one.profile is profile],
        profile=profile,
        key=runtime.identity.key,
        holder=runtime.did,
        verifier=verifier,
        now=runtime.clock(),
        jti=new_secret(),
    )


def _check_issuer(runtime: Runtime, issuer: ParticipantId) -> None:
    if issuer not in runtime.verifier.trusted:
        raise ForbiddenError(
            ko=f"{issuer}은(는) 신뢰하는 발급자가 아닙니다.",
            en=f"{issuer} is not an issuer that we trust.",
        )


def take_credentials(
    uow: UnitOfWork, runtime: Runtime, issuer: ParticipantId, message: CredentialMessage
) -> None:
    """Keep the credentials that we asked an issuer for.

    Raises:
        ForbiddenError: We do not trust the sender.
        NotFoundError: We did not ask it for this.
        MalformedDcpMessageError: One of the credentials does not verify.
    """
    _check_issuer(runtime, issuer)
    asked = store.find_request(uow, message.holder_pid)
    if asked is None or asked.issuer != issuer:
        raise NotFoundError(ko="그런 요청을 한 적이 없습니다.", en="We have not asked for this.")
    store.set_request_status(uow, asked.holder_pid, RequestStatus(message.status))
    if message.status == RequestStatus.REJECTED.value:
        log.warning("credential_rejected", issuer_id=issuer, reason=message.rejection_reason)
        return
    for container in message.credentials:
        try:
            credential = runtime.verifier.verify_credential(container.payload, holder=runtime.did)
        except UnreachableError as error:
            raise unavailable(error) from None
        except DcpError as error:
            raise malformed(error) from None
        if credential.issuer != issuer or container.credential_type not in credential.types:
            raise malformed(ValueError("a credential of another issuer or type than it says"))
        store.put(uow, held_from(credential, container.payload))
        log.info("credential_received", issuer_id=issuer, types=list(credential.types))
    uow.after_commit(runtime.credentials.give)


def take_offer(
    uow: UnitOfWork, runtime: Runtime, issuer: ParticipantId, message: CredentialOfferMessage
) -> None:
    """Ask anew for what an issuer offers, if it is our membership.

    Raises:
        ForbiddenError: We do not trust the issuer, or another one is named.
        MalformedDcpMessageError: It refers to something that it does not issue.
    """
    _check_issuer(runtime, issuer)
    if message.issuer != issuer:
        raise ForbiddenError(
            ko="다른 발급자의 제안입니다.", en="The offer names another issuer than its sender."
        )
    offered = [one for one in message.credentials if isinstance(one, CredentialObject)]
    if wanted := {one.id for one in message.credentials} - {one.id for one in offered}:
        known = {one.id: one for one in metadata_of(runtime, issuer).credentials_supported}
        if missing := sorted(wanted - set(known)):
            raise malformed(ValueError(f"{issuer} does not issue {missing[0]}"))
        offered += [known[one] for one in wanted]
    if any(one.credential_type == MEMBERSHIP for one in offered):
        store.renew_now(uow, issuer, runtime.clock())
        uow.after_commit(runtime.standing.give)


def metadata_of(runtime: Runtime, issuer: ParticipantId) -> IssuerMetadata:
    """Return what an issuer can issue.

    Raises:
        RemoteUnavailableError: It does not say now.
        MalformedDcpMessageError: It says nonsense.
    """
    try:
        url = f"{runtime.resolver.endpoint(issuer, ServiceType.ISSUER)}/metadata"
        http = runtime.resolver.http_at(issuer, url)
        raw = fetch(http, url, bytes_max=METADATA_BYTES_MAX)
        return IssuerMetadata.from_wire(parse_message(raw))
    except UnreachableError as error:
        raise unavailable(error) from None
    except ValueError as error:  # DcpError, MalformedMessageError, ValidationError
        raise malformed(error) from None
