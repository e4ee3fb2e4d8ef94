"""The operator's membership credentials: what is issued, to whom, under which bit. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from schemas.attested import Attested
from schemas.dcp.credential import (
    KIND_OF,
    MEMBERSHIP,
    MEMBERSHIP_SCHEMA,
    REVOCATION,
    Credential,
    StatusRef,
)
from schemas.dcp.message import CredentialObject, Profile, RequestStatus
from schemas.dcp.status_list import BITS_MIN
from schemas.ids import ParticipantId
from schemas.participant import Participant

PREFIX: Final = "/issuer"
ATTEMPTS_MAX: Final = 12
FIRST_DELAY: Final = timedelta(milliseconds=500)
DELAY_MAX: Final = timedelta(minutes=10)
_SLUGS: Final = {Profile.VC11: "vc11", Profile.VC20: "vc20"}
PROFILES: Final = {slug: profile for profile, slug in _SLUGS.items()}
SUPPORTED: Final = {
    f"membership-{slug}": CredentialObject(
        id=f"membership-{slug}",
        credential_type=MEMBERSHIP,
        offer_reason="issuance",
        binding_methods=("did:web",),
        profile=profile.value,
        credential_schema=MEMBERSHIP_SCHEMA,
    )
    for profile, slug in _SLUGS.items()
}


@dataclass(frozen=True, slots=True)
class Membership:
    """One grant of membership; its credentials all have the bit ``index`` and say the same."""

    index: int
    participant_id: ParticipantId
    attested: Attested


@dataclass(frozen=True, slots=True)
class Request:
    """A holder's request for credentials."""

    id: str
    holder_id: ParticipantId
    holder_pid: str
    object_ids: tuple[str, ...]
    status: RequestStatus
    attempts_count: int
    next_at: datetime


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who issues, where its status lists are, and how long a credential lives."""

    did: ParticipantId
    url: str
    life: timedelta

    def list_url(self, profile: Profile, number: int) -> str:
        """Return where a status list is served."""
        return f"{self.url}{PREFIX}/status-lists/{_SLUGS[profile]}/{number}"


def membership_credential(
    issuer: Issuer,
    participant: Participant,
    membership: Membership,
    profile: Profile,
    now: datetime,
) -> Credential:
    """Return the credential that says that ``participant`` is a member, and what is attested."""
    number, index = divmod(membership.index, BITS_MIN)
    return Credential(
        id=f"{issuer.url}{PREFIX}/memberships/{membership.index}#{_SLUGS[profile]}",
        issuer=issuer.did,
        types=("VerifiableCredential", MEMBERSHIP),
        subject={
            "id": participant.id,
            "handle": participant.handle,
            "name": participant.name,
            "memberOf": issuer.did,
            **membership.attested.to_subject(),
        },
        valid_from=now,
        valid_until=now + issuer.life,
        profile=profile,
        statuses=(
            StatusRef(KIND_OF[profile], REVOCATION, issuer.list_url(profile, number), index),
        ),
        schemas=(MEMBERSHIP_SCHEMA,),
    )


def next_attempt(attempts_count: int, now: datetime) -> datetime:
    """Return when to deliver again after ``attempts_count`` failures: doubling, bounded."""
    doubled: timedelta = FIRST_DELAY * int(2 ** min(attempts_count, 20))
    return now + min(doubled, DELAY_MAX)
