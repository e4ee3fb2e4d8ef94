"""Telling and reading billing profiles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import dropwhile

from clearing.billing import store
from databank.kit.db import UnitOfWork
from schemas.billing import BillingProfile, StoredProfile
from schemas.ids import ParticipantId


def profile_of(uow: UnitOfWork, participant_id: ParticipantId) -> StoredProfile:
    """Return a participant's profile; an empty one, number 0, if none was told."""
    return store.profiles_of(uow, [participant_id])[participant_id]


def changed_accounts(
    uow: UnitOfWork, profiles: Mapping[ParticipantId, StoredProfile], since: datetime
) -> set[ParticipantId]:
    """Return who told another bank account since then, or took one away; a first one is none."""
    found = set()
    for id_, stored in profiles.items():
        if stored.recorded_at is None or stored.recorded_at <= since:
            continue
        accounts = store.accounts_since(uow, id_, since)
        told = list(dropwhile(lambda each: each is None, accounts or ()))
        if accounts is None or any(each != told[0] for each in told):
            found.add(id_)
    return found


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
