"""Use cases of the management API that concern our membership, and who is active."""

from __future__ import annotations

from typing import Final

from connector.identity.keeper import wait_for_membership
from connector.runtime import Runtime
from databank.kit.http import RemoteRefusedError
from schemas.ids import ParticipantId, did_web
from schemas.management import Joining
from schemas.participant import JoinRequest, Jwk, Participant, Status
from schemas.problem import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RemoteUnavailableError,
)
from schemas.wire import Text

MEMBERSHIP_SECONDS_MAX: Final = 10.0  # from asking the broker to holding the credential


class MembershipPendingError(ConflictError):
    """We cannot show others yet that we are a member."""

    slug = "membership-pending"
    title = Text(ko="참여 증명서를 기다리고 있습니다", en="Waiting for the membership credential")


class NotJoinedError(ForbiddenError):
    """We are not an active participant, so nobody answers us."""

    slug = "not-joined"
    title = Text(ko="참여 중인 기업이 아닙니다", en="This company is not an active participant")


class SupplierSuspendedError(ForbiddenError):
    """The supplier's participation is suspended or not approved yet."""

    slug = "supplier-suspended"
    title = Text(ko="정지된 공급기업입니다", en="The supplier is suspended")


def join(runtime: Runtime, joining: Joining) -> Participant:
    """Register at the broker.

    Raises:
        RemoteRefusedError: The broker says why not.
    """
    request = JoinRequest(
        handle=joining.handle,
        name=joining.name,
        brn=joining.brn,
        connector_url=runtime.settings.url,
        jwk=Jwk.model_validate(runtime.identity.key.public.jwk),
        key_fragment=runtime.identity.key.kid.rpartition("#")[2],
    )
    broker = runtime.settings.broker_url.rstrip("/")
    answer = runtime.client.call_json(
        "POST", f"{broker}/participants", audience=did_web(broker), json=request.to_json()
    )
    runtime.directory.forget(runtime.did)
    runtime.standing.give()
    participant = Participant.model_validate(answer)
    if participant.status is Status.ACTIVE:
        wait_for_membership(runtime, MEMBERSHIP_SECONDS_MAX)
    return participant


def own_participant(runtime: Runtime) -> Participant:
    """Return how the registry knows us.

    Raises:
        NotFoundError: We have not joined.
    """
    participant = runtime.directory.find(runtime.did)
    if participant is None:
        raise NotFoundError(
            ko="아직 가입하지 않았습니다. `databank join`으로 가입하세요.",
            en="Not registered yet. Join with `databank join`.",
        )
    return participant


def check_joined(runtime: Runtime) -> None:
    """Let an active participant pass, and one of whom the registry says nothing now.

    Raises:
        NotJoinedError: We have not joined, are not approved yet, or were revoked.
    """
    try:
        participant = runtime.directory.find(runtime.did)
    except (RemoteUnavailableError, RemoteRefusedError):
        return
    if participant is None:
        raise NotJoinedError(
            ko="아직 가입하지 않았습니다. `databank join`으로 가입하세요.",
            en="Not registered yet. Join with `databank join`.",
        )
    if participant.status is Status.PENDING:
        raise NotJoinedError(
            ko="가입 승인을 기다리고 있습니다. 운영기관에 문의하세요.",
            en="Waiting for approval. Ask the operator.",
        )
    if participant.status is Status.REVOKED:
        raise NotJoinedError(
            ko="우리 회사의 참여가 정지되었습니다. 운영기관에 문의하세요.",
            en="Our participation is suspended. Ask the operator.",
        )


def active_supplier(runtime: Runtime, participant_id: ParticipantId) -> Participant:
    """Return a participant that may supply now.

    Raises:
        NotFoundError: It is not registered.
        SupplierSuspendedError: It is not active.
    """
    participant = runtime.directory.find(participant_id)
    if participant is None:
        raise NotFoundError(
            ko=f"{participant_id}: 등록된 참여자가 아닙니다.",
            en=f"{participant_id} is not a registered participant.",
        )
    if participant.status is not Status.ACTIVE:
        raise SupplierSuspendedError(
            ko=f"{participant.name}: 정지된 공급기업입니다. 다시 참여하면 합의를 이어서 쓸 수 "
            "있습니다. 운영기관에 문의하세요.",
            en=f"{participant.name} is a suspended supplier. Agreements go on once it is "
            "readmitted. Ask the operator.",
            participant_id=participant_id,
        )
    return participant


def require_membership(runtime: Runtime) -> None:
    """Let us pass once we can show that we are a member.

    Raises:
        MembershipPendingError: Not within ``MEMBERSHIP_SECONDS_MAX``.
    """
    if not wait_for_membership(runtime, MEMBERSHIP_SECONDS_MAX):
        runtime.standing.give()
        raise MembershipPendingError(
            ko="참여 증명서를 아직 받지 못했습니다. 운영기관의 승인을 확인하고 "
            "잠시 뒤 다시 시도하세요.",
            en="The membership credential has not arrived yet. Check that the operator has "
            "approved you, and try again later.",
            retryable=True,
        )


def known_participants(
    runtime: Runtime, ids: set[ParticipantId]
) -> dict[ParticipantId, Participant]:
    """Return who is who as far as the registry answers; a list needs no more."""
    found: dict[ParticipantId, Participant] = {}
    for id_ in sorted(ids):
        try:
            participant = runtime.directory.find(id_)
        except (RemoteUnavailableError, RemoteRefusedError):
            break  # it would not answer for the others either
        if participant is not None:
            found[id_] = participant
    return found
