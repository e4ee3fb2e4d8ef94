"""Joining, approval and revocation."""

from __future__ import annotations

from datetime import datetime

from broker.crawler import store as crawler_store
from broker.federation import store as federation_store
from broker.membership import store as membership_store
from broker.registry import store
from broker.registry.model import check_change, check_repeat, first_status, handle_taken
from databank.kit.db import IntegrityError, UnitOfWork
from schemas.attested import Attestation
from schemas.ids import ParticipantId
from schemas.participant import JoinRequest, KeyChange, Participant, Role, Status
from schemas.problem import ConflictError, NotFoundError
from schemas.token import LIFE_MAX, SKEW


def join(
    uow: UnitOfWork, request: JoinRequest, *, needs_approval: bool, now: datetime
) -> tuple[Participant, bool]:
    """Register a participant; return it and whether it is new.

    A second connector under one business number waits for the operator's approval.

    Raises:
        JoinConflictError: The id is registered with other content, or the handle is taken.
        RevokedError: The operator revoked the participant.
    """
    stored = store.find(uow, request.participant_id)
    if stored is not None:
        check_repeat(stored, request)
        return stored, False
    is_second = request.role is Role.COMPANY and store.has_brn(uow, request.brn)
    status = first_status(request.role, needs_approval=needs_approval or is_second)
    participant = Participant(
        id=request.participant_id,
        **{field: getattr(request, field) for field in JoinRequest.model_fields},
        status=status,
        registered_at=now,
    )
    if store.find_by_handle(uow, request.handle) is not None:
        raise handle_taken(request.handle)
    try:
        store.add(uow, participant)
    except IntegrityError:  # another join was faster
        raise handle_taken(request.handle) from None
    if participant.role is Role.COMPANY:
        crawler_store.add(uow, participant.id)
    return participant, True


def register_self(uow: UnitOfWork, request: JoinRequest, *, now: datetime) -> None:
    """Hold the broker's own entry in its registry, under its present URL and key."""
    stored = store.find_by_handle(uow, request.handle)
    if stored is not None:
        store.remove(uow, stored.id)
    registered_at = now if stored is None else stored.registered_at
    join(uow, request, needs_approval=False, now=registered_at)


def approve(
    uow: UnitOfWork, participant_id: ParticipantId, *, reason: str, now: datetime
) -> Participant:
    """Make a pending or revoked participant active; its catalog is read anew.

    Raises:
        NotFoundError: There is no such participant.
    """
    participant = _require(uow, participant_id)
    if participant.status is Status.ACTIVE:
        return participant
    crawler_store.restart(uow, participant_id, now=now)
    return store.set_status(uow, participant_id, Status.ACTIVE, reason=reason, now=now)


def revoke(
    uow: UnitOfWork, participant_id: ParticipantId, *, own_id: str, reason: str, now: datetime
) -> Participant:
    """Refuse a participant from now on, revoke its credential, take its listings out of the feed.

    Raises:
        NotFoundError: There is no such participant.
        ConflictError: It is the broker itself.
    """
    participant = _require(uow, participant_id)
    if participant_id == own_id:
        raise ConflictError(
            ko="브로커 자신의 참여는 취소할 수 없습니다.", en="The broker cannot revoke itself."
        )
    if participant.status is Status.REVOKED:
        return participant
    federation_store.remove_all(uow, participant_id, now=now)
    membership_store.revoke(uow, participant_id, now)
    return store.set_status(uow, participant_id, Status.REVOKED, reason=reason, now=now)


def attest(uow: UnitOfWork, said: Attestation, *, now: datetime) -> bool:
    """Attest this of a participant from now on; its credential is revoked and made anew.

    Returns:
        Whether that changes anything.

    Raises:
        NotFoundError: There is no such participant.
    """
    participant = _require(uow, said.participant_id)
    if membership_store.attested(uow, participant.id) == said.attested:
        return False
    membership_store.attest(uow, participant.id, said.attested, now)
    membership_store.revoke(uow, participant.id, now)
    return True


def attestation(uow: UnitOfWork, participant_id: ParticipantId) -> Attestation:
    """Return what is attested of a participant.

    Raises:
        NotFoundError: There is no such participant.
    """
    found = membership_store.attested(uow, _require(uow, participant_id).id)
    groups, claims = tuple(sorted(found.groups)), tuple(sorted(found.claims))
    return Attestation(participant_id=participant_id, groups=groups, claims=claims)


def change_key(
    uow: UnitOfWork, caller: Participant, change: KeyChange, *, caller_kid: str, now: datetime
) -> tuple[Participant, bool]:
    """Replace the caller's key; return the participant and whether something changed.

    Raises:
        KeyChangeError: The caller has not proved that it may.
    """
    if not check_change(caller, change, caller_kid=caller_kid):
        return caller, False
    until = now + LIFE_MAX + SKEW
    return store.set_key(uow, caller.id, change.fragment, change.jwk, until=until), True


def _require(uow: UnitOfWork, participant_id: ParticipantId) -> Participant:
    if (participant := store.find(uow, participant_id)) is None:
        raise NotFoundError(
            ko=f"{participant_id} 참여자가 없습니다. GET /participants에서 확인하세요.",
            en=f"There is no participant {participant_id}. See GET /participants.",
        )
    return participant
