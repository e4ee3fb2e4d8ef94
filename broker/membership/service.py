"""Issuing: requests are taken, answered later, and their status is the requester's only."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from broker.membership import store
from broker.membership.model import SUPPORTED, Issuer, Request
from broker.registry import store as registry_store
from databank.kit.db import UnitOfWork
from databank.kit.holder import MalformedDcpMessageError
from databank.kit.http import Identity
from schemas.dcp.credential import KIND_OF, issue_credential, status_list_credential
from schemas.dcp.message import CredentialRequestMessage, Profile, RequestStatus
from schemas.dcp.status_list import BITS_MIN
from schemas.ids import ParticipantId
from schemas.participant import Role, Status
from schemas.problem import ForbiddenError, NotFoundError

LISTS_MAX: Final = 1_000


def request(
    uow: UnitOfWork,
    holder_id: ParticipantId,
    message: CredentialRequestMessage,
    *,
    request_id: str,
    now: datetime,
) -> Request:
    """Take a request for credentials.

    Raises:
        ForbiddenError: The holder is not an active company.
        MalformedDcpMessageError: We do not issue what it asks for.
    """
    participant = registry_store.find(uow, holder_id)
    is_member = participant is not None and participant.status is Status.ACTIVE
    if participant is None or not is_member or participant.role is not Role.COMPANY:
        raise ForbiddenError(
            ko="참여 중인 기업에만 참여 증명서를 발급합니다.",
            en="Membership credentials are issued to active companies only.",
        )
    asked = tuple(ref.id for ref in message.credentials)
    if unknown := sorted(set(asked) - set(SUPPORTED)):
        said = ", ".join(unknown)[:200]
        raise MalformedDcpMessageError(
            ko=f"발급하지 않는 증명서입니다: {said}. GET /issuer/metadata에서 확인하세요.",
            en=f"Not issued here: {said}. See GET /issuer/metadata.",
        )
    taken = Request(
        id=request_id,
        holder_id=holder_id,
        holder_pid=message.holder_pid,
        object_ids=asked,
        status=RequestStatus.RECEIVED,
        attempts_count=0,
        next_at=now,
    )
    store.add_request(uow, taken, now)
    return taken


def find_request(uow: UnitOfWork, request_id: str, holder_id: ParticipantId) -> Request:
    """Return a request of the holder.

    Raises:
        NotFoundError: There is none, or it is another holder's.
    """
    found = store.find_request(uow, request_id)
    if found is None or found.holder_id != holder_id:
        raise NotFoundError(ko="그런 발급 요청이 없습니다.", en="There is no such request.")
    return found


def signed_status_list(
    uow: UnitOfWork,
    issuer: Issuer,
    identity: Identity,
    profile: Profile,
    number: int,
    *,
    now: datetime,
) -> str:
    """Return a status list as it is now, signed.

    Raises:
        NotFoundError: There is no list of this number.
    """
    if not 0 <= number < LISTS_MAX:
        raise NotFoundError(ko="그런 상태 목록이 없습니다.", en="There is no such status list.")
    first = number * BITS_MIN
    revoked = store.revoked_between(uow, first, first + BITS_MIN)
    listed = status_list_credential(
        issuer=issuer.did,
        url=issuer.list_url(profile, number),
        kind=KIND_OF[profile],
        revoked=(index - first for index in revoked),
        now=now,
    )
    return issue_credential(listed, key=identity.key, now=now)
