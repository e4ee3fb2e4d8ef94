"""The registry over HTTP."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from broker.parts import Parts, get_parts
from broker.registry import service, store
from broker.registry.client import notify
from broker.registry.model import OperatorSecretError, UnreachableUrlError
from broker.settings import Admission
from databank.kit.app import (
    AdminDep,
    CallerDep,
    UowDep,
    bearer,
    consume_token,
    get_context,
    verify_claims,
)
from databank.kit.db import UnitOfWork
from databank.kit.guard import is_callable, resolve
from databank.kit.settings import Environment
from schemas.attested import Attestation
from schemas.ids import ParticipantId
from schemas.participant import (
    JoinRequest,
    KeyChange,
    Participant,
    ParticipantList,
    Role,
    StatusChange,
)
from schemas.signature import PublicKey, peek_header

router = APIRouter(tags=["registry"])


@router.post("/participants", status_code=201, summary="Join", response_model_exclude_none=True)
def join(
    request: Request,
    body: JoinRequest,
    response: Response,
    uow: UowDep,
    databank_operator: Annotated[str, Header()] = "",
) -> Participant:
    """Register the sender, whose token must verify under the key in the body."""
    context, parts = get_context(request), get_parts(request)
    key = PublicKey(f"{body.participant_id}#{body.key_fragment}", body.jwk.to_json())
    claims = verify_claims(context, bearer(request), key)
    consume_token(uow, claims)
    if body.role is Role.OPERATOR:
        _check_operator(parts, databank_operator)
    _check_url(parts, body.connector_url)
    participant, is_new = service.join(
        uow,
        body,
        needs_approval=parts.settings.admission is Admission.APPROVAL,
        now=context.clock(),
    )
    uow.after_commit(parts.crawler.wake)
    if not is_new:
        response.status_code = 200
    return participant


def _check_operator(parts: Parts, shown: str) -> None:
    settings = parts.settings
    if parts.operator_secret:
        if hmac.compare_digest(shown.encode(), parts.operator_secret.encode()):
            return
    elif settings.env is not Environment.PRODUCTION and settings.is_loopback:
        return
    raise OperatorSecretError(
        ko="운영기관 비밀값(Databank-Operator)이 없거나 맞지 않습니다. 설정의 operator_secret을 "
        "확인하세요.",
        en="The operator secret (Databank-Operator) is missing or wrong. See the setting "
        "operator_secret.",
    )


def _check_url(parts: Parts, url: str) -> None:
    settings = parts.settings
    if settings.env is not Environment.PRODUCTION or settings.allow_private_networks:
        return
    if not is_callable(url, resolve=resolve):
        raise UnreachableUrlError(
            ko=f"{url}: 인터넷에서 https로 닿는 주소여야 합니다. 공개 주소로 다시 신청하세요.",
            en=f"{url} must be an https URL on the open internet. Join again with a public URL.",
            field="connector_url",
        )


@router.get("/participants", summary="Who is registered", response_model_exclude_none=True)
def list_participants(
    uow: UowDep,
    participant_id: Annotated[str | None, Query(alias="id", max_length=400)] = None,
    handle: Annotated[str | None, Query(max_length=40)] = None,
) -> ParticipantList:
    """Return participants by registration; ``id`` and ``handle`` select one."""
    if participant_id is not None:
        found = [store.find(uow, ParticipantId(participant_id))]
    elif handle is not None:
        found = [store.find_by_handle(uow, handle)]
    else:
        return ParticipantList(participants=tuple(store.list_all(uow)))
    matching = [p for p in found if p is not None and handle in (None, p.handle)]
    return ParticipantList(participants=tuple(matching))


@router.post("/participants/key", summary="Replace a key", response_model_exclude_none=True)
def change_key(request: Request, body: KeyChange, caller: CallerDep) -> Participant:
    """Take a participant's new key, when the call is signed by its old one; tell everyone."""
    context, parts = get_context(request), get_parts(request)
    kid = str(peek_header(bearer(request)).get("kid"))
    changed, is_new = service.change_key(
        caller.uow, caller.participant, body, caller_kid=kid, now=context.clock()
    )
    if is_new:
        receivers = [
            one
            for one in store.list_active(caller.uow)
            if one.id not in {context.did, caller.participant.id}
        ]
        caller.uow.after_commit(lambda: notify(parts.notices, receivers, changed.id))
    return changed


@router.post(
    "/participants/approval",
    summary="Make active",
    dependencies=[AdminDep],
    response_model_exclude_none=True,
)
def approve(request: Request, body: StatusChange, uow: UowDep) -> Participant:
    """Approve a pending participant, or take a revocation back; tell it and every process."""
    context, parts = get_context(request), get_parts(request)
    uow.after_commit(parts.crawler.wake)
    approved = service.approve(uow, body.participant_id, reason=body.reason, now=context.clock())
    _tell_all(uow, context.did, parts, approved)
    return approved


@router.post(
    "/participants/revocation",
    summary="Revoke",
    dependencies=[AdminDep],
    response_model_exclude_none=True,
)
def revoke(request: Request, body: StatusChange, uow: UowDep) -> Participant:
    """Refuse a participant from now on; tell it and every process."""
    context, parts = get_context(request), get_parts(request)
    revoked = service.revoke(
        uow, body.participant_id, own_id=context.did, reason=body.reason, now=context.clock()
    )
    _tell_all(uow, context.did, parts, revoked)
    return revoked


@router.post("/participants/attestation", summary="Attest", dependencies=[AdminDep])
def attest(request: Request, body: Attestation, uow: UowDep) -> Attestation:
    """Attest groups and claims of a participant, instead of those before; tell every process."""
    context, parts = get_context(request), get_parts(request)
    if service.attest(uow, body, now=context.clock()):
        participant = store.find(uow, body.participant_id)
        assert participant is not None  # service.attest has found it
        _tell_all(uow, context.did, parts, participant)
    return service.attestation(uow, body.participant_id)


@router.get("/participants/attestation", summary="What is attested", dependencies=[AdminDep])
def show_attestation(
    uow: UowDep, participant_id: Annotated[str, Query(alias="id", max_length=400)]
) -> Attestation:
    """Return what the operator attests of a participant."""
    return service.attestation(uow, ParticipantId(participant_id))


def _tell_all(uow: UnitOfWork, own_id: str, parts: Parts, changed: Participant) -> None:
    others = [one for one in store.list_active(uow) if one.id not in {own_id, changed.id}]
    uow.after_commit(lambda: notify(parts.notices, [*others, changed], changed.id))
