"""Routes for billing profiles."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request

from clearing.billing import service
from clearing.parties.store import remember
from databank.kit.app import AdminDep, CallerDep, UowDep, get_context
from schemas.billing import BillingProfile, StoredProfile
from schemas.ids import ParticipantId
from schemas.problem import NotFoundError

router: Final = APIRouter(tags=["billing"])


@router.get("/billing-profile")
def get_profile(caller: CallerDep) -> StoredProfile:
    """The caller's billing profile."""
    return service.profile_of(caller.uow, caller.participant.id)


@router.post("/billing-profile")
def put_profile(profile: BillingProfile, request: Request, caller: CallerDep) -> StoredProfile:
    """Tell the caller's billing profile; it replaces the one before."""
    remember(caller.uow, caller.participant)
    now = get_context(request).clock()
    return service.tell(caller.uow, caller.participant.id, profile, now=now)


@router.get("/admin/billing-profile", dependencies=[AdminDep])
def get_any_profile(participant_id: ParticipantId, uow: UowDep) -> StoredProfile:
    """A participant's billing profile."""
    return service.profile_of(uow, participant_id)


@router.post("/admin/billing-profile", dependencies=[AdminDep])
def put_any_profile(
    participant_id: ParticipantId, profile: BillingProfile, request: Request
) -> StoredProfile:
    """Tell a participant's billing profile, or the operator's own (this service's id)."""
    context = get_context(request)
    is_own = participant_id == context.did
    participant = None if is_own else context.directory.find(participant_id)
    if participant is None and not is_own:
        raise NotFoundError(
            ko=f"등록되지 않은 참여자입니다: {participant_id}. 먼저 가입해야 합니다.",
            en=f"Not a registered participant: {participant_id}. It must join first.",
        )
    with context.database.unit_of_work() as uow:
        if participant is not None:
            remember(uow, participant)
        return service.tell(uow, participant_id, profile, now=context.clock())
