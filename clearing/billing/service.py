"""Telling and reading billing profiles."""

from __future__ import annotations

from datetime import datetime

from clearing.billing import store
from databank.kit.db import UnitOfWork
from schemas.billing import BillingProfile, StoredProfile
from schemas.ids import ParticipantId


def profile_of(uow: UnitOfWork, participant_id: ParticipantId) -> StoredProfile:
    """Return a participant's profile; an empty one, number 0, if none was told."""
    return store.profiles_of(uow, [participant_id])[participant_id]


def tell(
    uow: UnitOfWork, participant_id: ParticipantId, profile: BillingProfile, *, now: datetime
) -> StoredProfile:
    """Replace a participant's profile; the same again changes nothing."""
    present = profile_of(uow, participant_id)
    if present.number and present.profile == profile:
        return present
    stored = StoredProfile(
        participant_id=participant_id,
        number=present.number + 1,
        recorded_at=now,
        profile=profile,
    )
    store.add_profile(uow, stored, now=now)
    return stored
