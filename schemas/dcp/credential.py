"""Verifiable credentials as JWT: VC 1.1 with StatusList2021, VC 2.0 with BitstringStatusList.

Reading makes one ``Credential`` of both forms. What a verifier has to check beyond the
signature is here; keys and status lists are brought by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import Field, StrictStr, ValidationError

from schemas.dcp.error import DcpError
from schemas.dcp.jose import Jwt, read_jwt, sign_jwt
from schemas.dcp.message import Profile
from schemas.dcp.status_list import StatusListKind, decode_list, encode_list, is_set
from schemas.dcp.token import SKEW
from schemas.signature import SigningKey
from schemas.wire import PeerWire, format_time, parse_time

VC11_CONTEXT: Final = "https://www.w3.org/2018/credentials/v1"
VC20_CONTEXT: Final = "https://www.w3.org/ns/credentials/v2"
VC20_TYPE: Final = "vc+jwt"
MEMBERSHIP: Final = "MembershipCredential"
MEMBERSHIP_SCHEMA: Final = "urn:databank:schema:membership:1"
REVOCATION: Final = "revocation"
STATUS_LIST_LIFE: Final = timedelta(days=1)  # a copy older than this says nothing any more
_STATUS_TYPES: Final = {
    "StatusList2021Entry": StatusListKind.SL2021,
    "BitstringStatusListEntry": StatusListKind.BITSTRING,
}
_ENTRY_TYPES: Final = {kind: name for name, kind in _STATUS_TYPES.items()}
KIND_OF: Final = {Profile.VC11: StatusListKind.SL2021, Profile.VC20: StatusListKind.BITSTRING}


class CredentialError(DcpError):
    """Not a credential that we can rely on."""


class MembershipSubject(PeerWire):
    """What the operator says of a member: the schema behind ``MEMBERSHIP_SCHEMA``."""

    id: StrictStr
    handle: StrictStr = Field(min_length=1)
    name: StrictStr = Field(min_length=1)
    member_of: StrictStr = Field(alias="memberOf", min_length=1)
    groups: list[StrictStr] = Field(default_factory=list)
    claims: dict[StrictStr, StrictStr] = Field(default_factory=dict)


KNOWN_SCHEMAS: Final[Mapping[str, type[PeerWire]]] = {MEMBERSHIP_SCHEMA: MembershipSubject}


@dataclass(frozen=True, slots=True)
class StatusRef:
    """Where a credential's bit stands."""

    kind: StatusListKind
    purpose: str
    list_url: str
    index: int


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential, whichever form it came in."""

    id: str
    issuer: str
    types: tuple[str, ...]
    subject: dict[str, Any]
    valid_from: datetime
    valid_until: datetime | None
    profile: Profile
    statuses: tuple[StatusRef, ...] = ()
    schemas: tuple[str, ...] = field(default=())

    @property
    def subject_id(self) -> str:
        """Whom the credential is about."""
        return str(self.subject["id"])


def issue_credential(credential: Credential, *, key: SigningKey, now: datetime) -> str:
    """Return a credential as a JWT signed with the issuer's key."""
    body: dict[str, Any] = {
        "id": credential.id,
        "type": list(credential.types),
        "issuer": credential.issuer,
        "credentialSubject": credential.subject,
    }
    if credential.statuses:
        body["credentialStatus"] = _written(credential.statuses[0])
    if credential.schemas:
        body["credentialSchema"] = {"id": credential.schemas[0], "type": "JsonSchema"}
    until = credential.valid_until
    claims: dict[str, Any] = {
        "iss": credential.issuer,
        "sub": credential.subject_id,
        "jti": credential.id,
        "iat": int(now.timestamp()),
        "nbf": int(credential.valid_from.timestamp()),
        **({} if until is None else {"exp": int(until.timestamp())}),
    }
    begins, ends = format_time(credential.valid_from), None if until is None else format_time(until)
    if credential.profile is Profile.VC20:
        body |= {"@context": [VC20_CONTEXT], "validFrom": begins}
        body |= {} if ends is None else {"validUntil": ends}
        return sign_jwt({**body, **claims}, key=key, typ=VC20_TYPE)
    body |= {"@context": [VC11_CONTEXT], "issuanceDate": begins}
    body |= {} if ends is None else {"expirationDate": ends}
    return sign_jwt({**claims, "vc": body}, key=key)


def _written(status: StatusRef) -> dict[str, str]:
    return {
        "id": f"{status.list_url}#{status.index}",
        "type": _ENTRY_TYPES[status.kind],
        "statusPurpose": status.purpose,
        "statusListIndex": str(status.index),
        "statusListCredential": status.list_url,
    }


def read_credential(token: str) -> tuple[Jwt, Credential]:
    """Read a credential; its signature is not verified yet.

    Raises:
        DcpError: Not a JWT, or not a credential in one of the two forms.
    """
    jwt = read_jwt(token)
    claims = jwt.claims
    enclosed = claims.get("vc")
    is_vc11 = isinstance(enclosed, dict)
    body: dict[str, Any] = enclosed if isinstance(enclosed, dict) else claims
    profile = Profile.VC11 if is_vc11 else Profile.VC20
    contexts = body.get("@context")
    if not is_vc11 and (not isinstance(contexts, list) or contexts[:1] != [VC20_CONTEXT]):
        raise CredentialError("neither a vc claim nor a credential of version 2.0")
    subject = body.get("credentialSubject")
    if not isinstance(subject, dict) or not isinstance(subject.get("id"), str):
        raise CredentialError("a credential about nobody")
    credential = Credential(
        id=str(body.get("id") or claims.get("jti") or ""),
        issuer=_issuer(body, claims),
        types=_texts(body.get("type"), "type"),
        subject=subject,
        valid_from=_begin(body, claims),
        valid_until=_end(body, claims),
        profile=profile,
        statuses=tuple(_status(one) for one in _objects(body.get("credentialStatus"))),
        schemas=tuple(str(one.get("id")) for one in _objects(body.get("credentialSchema"))),
    )
    if claims.get("sub", credential.subject_id) != credential.subject_id:
        raise CredentialError("sub is not the credential's subject")
    return jwt, credential


def _issuer(body: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    said = body.get("issuer", claims.get("iss"))
    issuer = said.get("id") if isinstance(said, dict) else said
    if not isinstance(issuer, str) or claims.get("iss", issuer) != issuer:
        raise CredentialError("the credential's issuer is missing or not iss")
    return issuer


def _texts(value: object, name: str) -> tuple[str, ...]:
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, str) for item in items):
        raise CredentialError(f"{name} is not a list of texts")
    return tuple(map(str, items))


def _objects(value: object) -> list[dict[str, Any]]:
    items = [] if value is None else value if isinstance(value, list) else [value]
    found = [item for item in items if isinstance(item, dict)]
    if len(found) != len(items):
        raise CredentialError("status and schema are objects")
    return found


def _status(raw: Mapping[str, Any]) -> StatusRef:
    kind, index = _STATUS_TYPES.get(str(raw.get("type"))), str(raw.get("statusListIndex"))
    url = raw.get("statusListCredential")
    if kind is None or not isinstance(url, str) or not index.isdecimal() or not index.isascii():
        raise CredentialError("a status that we cannot look up")
    return StatusRef(kind, str(raw.get("statusPurpose", REVOCATION)), url, int(index[:12]))


def _moments(
    body: Mapping[str, Any], claims: Mapping[str, Any], names: tuple[str, ...], claim: str
) -> list[datetime]:
    try:
        found = [parse_time(str(body[name])) for name in names if name in body]
        if claim in claims:
            found.append(datetime.fromtimestamp(float(claims[claim]), UTC))
    except (ValueError, TypeError, OverflowError, OSError) as error:
        raise CredentialError(f"a time that is none: {error}") from None
    return found


def _begin(body: Mapping[str, Any], claims: Mapping[str, Any]) -> datetime:
    if not (found := _moments(body, claims, ("issuanceDate", "validFrom"), "nbf")):
        raise CredentialError("a credential without a beginning")
    return max(found)


def _end(body: Mapping[str, Any], claims: Mapping[str, Any]) -> datetime | None:
    return min(_moments(body, claims, ("expirationDate", "validUntil"), "exp"), default=None)


def check_credential(credential: Credential, *, holder: str, now: datetime) -> None:
    """Check what needs neither key nor status list (DCP 1.0.1, 5.4.3).

    Raises:
        CredentialError: About another holder, not valid now, or against its schema.
    """
    if credential.subject_id != holder:
        raise CredentialError(f"a credential of {credential.subject_id}, shown by {holder}"[:300])
    check_dates(credential, now=now)
    for schema in credential.schemas:
        model = KNOWN_SCHEMAS.get(schema)
        if model is None:
            raise CredentialError(f"a credential of the unknown schema {schema}"[:300])
        try:
            model.model_validate(credential.subject)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            raise CredentialError(f"the credential violates its schema at {where}") from None


def check_dates(credential: Credential, *, now: datetime) -> None:
    """Check that a credential is valid now.

    Raises:
        CredentialError: Not yet, or not any more.
    """
    if credential.valid_from > now + SKEW:
        raise CredentialError(f"valid from {format_time(credential.valid_from)} only")
    if credential.valid_until is not None and credential.valid_until <= now:
        raise CredentialError(f"expired {format_time(credential.valid_until)}")


def status_list_credential(
    *, issuer: str, url: str, kind: StatusListKind, revoked: Iterable[int], now: datetime
) -> Credential:
    """Return the credential that says which bits of the list at ``url`` are set."""
    return Credential(
        id=url,
        issuer=issuer,
        types=("VerifiableCredential", f"{kind.value}Credential"),
        subject={
            "id": f"{url}#list",
            "type": kind.value,
            "statusPurpose": REVOCATION,
            "encodedList": encode_list(revoked, kind=kind),
        },
        valid_from=now,
        valid_until=now + STATUS_LIST_LIFE,
        profile=next(profile for profile, one in KIND_OF.items() if one is kind),
    )


def is_revoked(status: StatusRef, listed: Credential) -> bool:
    """Return whether a credential's bit is set; signature and dates of the list are checked.

    Raises:
        DcpError: It is another list, or the bit is not in it.
    """
    said = (listed.subject.get("type"), listed.subject.get("statusPurpose", REVOCATION))
    if said != (status.kind.value, status.purpose):
        raise CredentialError(f"{status.list_url} is not the credential's status list"[:300])
    content = decode_list(str(listed.subject.get("encodedList")), kind=status.kind)
    return is_set(content, status.index)
