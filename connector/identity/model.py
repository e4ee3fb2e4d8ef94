"""Our credentials: what we hold, and when a new one is due. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.dcp.credential import MEMBERSHIP, Credential
from schemas.dcp.message import Profile, RequestStatus, scope_covers, type_scope
from schemas.ids import ParticipantId

MEMBERSHIP_SCOPE: Final = type_scope(MEMBERSHIP)
RENEW_AFTER: Final = 0.75  # of a credential's life


@dataclass(frozen=True, slots=True)
class Held:
    """A credential that we hold, as its issuer signed it."""

    id: str
    issuer: ParticipantId
    types: tuple[str, ...]
    profile: Profile
    payload: str
    valid_from: datetime
    valid_until: datetime | None
    renew_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        """Whether the dates allow to show it."""
        return self.valid_from <= now and (self.valid_until is None or now < self.valid_until)

    def is_due(self, now: datetime) -> bool:
        """Whether a new one should be asked for."""
        return self.renew_at is not None and now >= self.renew_at

    def is_asked_by(self, scopes: tuple[str, ...]) -> bool:
        """Whether one of the scopes covers it."""
        return any(scope_covers(s, types=self.types, credential_id=self.id) for s in scopes)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of ours to an issuer."""

    holder_pid: str
    issuer: ParticipantId
    status: RequestStatus
    asked_at: datetime


def held_from(credential: Credential, payload: str) -> Held:
    """Return a verified credential as we keep it."""
    until = credential.valid_until
    renew_at = None
    if until is not None:
        renew_at = credential.valid_from + (until - credential.valid_from) * RENEW_AFTER
    return Held(
        id=credential.id,
        issuer=ParticipantId(credential.issuer),
        types=credential.types,
        profile=credential.profile,
        payload=payload,
        valid_from=credential.valid_from,
        valid_until=until,
        renew_at=renew_at,
    )
