"""Self-issued ID tokens of anybody (DCP 1.0.1, 4.3) and access tokens of our own.

An ID token says who calls; its ``token`` claim lets the receiver ask the caller's credential
service once it has verified the caller. That access token is ours alone to read: a JWT from
us to ourselves that names the verifier and the scopes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.dcp.did import DidDocument, Relationship
from schemas.dcp.error import DcpError
from schemas.dcp.jose import Jwt, audience_of, read_jwt, sign_jwt, verify_jwt
from schemas.ids import ParticipantId
from schemas.signature import PublicKey, SigningKey
from schemas.token import JTI_CHARS_MAX, JTI_CHARS_MIN, TYPE, Claims

LIFE_MAX: Final = timedelta(minutes=15)  # of a stranger's token; our own live a minute
SKEW: Final = timedelta(seconds=30)
ACCESS_LIFE: Final = timedelta(minutes=5)
ACCESS_TYPE: Final = "dcp-access+jwt"
_ID_TYPES: Final = frozenset({None, "JWT", "jwt", TYPE})
_OF_OTHER_KINDS: Final = ("vp", "vc")  # a presentation or credential is never an ID token


class TokenRefusedError(DcpError):
    """The token does not identify its sender to us."""


@dataclass(frozen=True, slots=True)
class AccessGrant:
    """What our access token lets its holder ask of our credential service."""

    verifier: str
    scopes: tuple[str, ...]


def read_id_token(token: str) -> tuple[ParticipantId, Jwt]:
    """Return who an ID token says it is from, to find the DID document; trust nothing yet.

    Raises:
        JoseError: Not a JWT.
        TokenRefusedError: ``iss`` and ``sub`` are not the same did:web.
    """
    jwt = read_jwt(token)
    issuer = jwt.claims.get("iss")
    if not isinstance(issuer, str) or not issuer.startswith("did:web:"):
        raise TokenRefusedError("iss is not a did:web")
    if jwt.claims.get("sub") != issuer:
        raise TokenRefusedError("iss and sub differ")
    return ParticipantId(issuer), jwt


def check_id_token(jwt: Jwt, document: DidDocument, *, audience: str, now: datetime) -> Claims:
    """Verify an ID token (DCP 1.0.1, 4.3.3); the caller has to refuse a ``jti`` it has seen.

    Raises:
        DcpError: Wrong audience, key, signature, subject or times, or a claim is missing.
    """
    claims = jwt.claims
    issuer = claims["iss"]
    if audience_of(claims) != audience:
        raise TokenRefusedError(f"aud is not {audience}")
    if document.id != issuer:
        raise TokenRefusedError("the DID document is not the subject's")
    if jwt.header.get("typ") not in _ID_TYPES or any(kind in claims for kind in _OF_OTHER_KINDS):
        raise TokenRefusedError("not an ID token")
    verify_jwt(jwt, document.key(jwt.kid, Relationship.INVOCATION))
    expires = check_times(jwt, now=now, life_max=LIFE_MAX)
    jti, access_token = claims.get("jti"), claims.get("token")
    if not isinstance(jti, str) or not JTI_CHARS_MIN <= len(jti) <= JTI_CHARS_MAX:
        raise TokenRefusedError("jti is missing, too short or too long")
    if access_token is not None and not isinstance(access_token, str):
        raise TokenRefusedError("token must be a text")
    return Claims(ParticipantId(issuer), jti, expires, access_token)


def check_times(jwt: Jwt, *, now: datetime, life_max: timedelta | None = None) -> datetime:
    """Check ``iat``, ``nbf`` and ``exp`` and return when the token ends.

    Raises:
        TokenRefusedError: Not yet valid, over, longer than ``life_max``, or no whole seconds.
    """
    issued, expires = _seconds(jwt, "iat"), _seconds(jwt, "exp")
    seconds, skew = now.timestamp(), SKEW.total_seconds()
    if issued is None or expires is None:
        raise TokenRefusedError("iat and exp must be there")
    if issued > seconds + skew:
        raise TokenRefusedError("issued in the future: check the clocks")
    if (_seconds(jwt, "nbf") or 0) > seconds + skew:
        raise TokenRefusedError("not valid yet")
    if expires <= seconds:
        raise TokenRefusedError("expired")
    if life_max is not None and expires - issued > life_max.total_seconds():
        raise TokenRefusedError(f"lives longer than {life_max}")
    try:
        return datetime.fromtimestamp(expires, UTC)
    except (ValueError, OverflowError, OSError):
        raise TokenRefusedError("exp is outside the calendar") from None


def _seconds(jwt: Jwt, name: str) -> int | None:
    value = jwt.claims.get(name)
    if value is None:
        return None
    if type(value) is not int and type(value) is not float:
        raise TokenRefusedError(f"{name} is not a number of seconds")
    return int(value)


def issue_access_token(
    *, key: SigningKey, own: str, verifier: str, scopes: Sequence[str], now: datetime, jti: str
) -> str:
    """Return a token with which ``verifier`` may ask our credential service for ``scopes``."""
    claims = {
        "iss": own,
        "aud": own,
        "sub": verifier,
        "scope": " ".join(scopes),
        "iat": int(now.timestamp()),
        "exp": int((now + ACCESS_LIFE).timestamp()),
        "jti": jti,
    }
    return sign_jwt(claims, key=key, typ=ACCESS_TYPE)


def check_access_token(
    token: str, *, keys: Sequence[PublicKey], own: str, verifier: str, now: datetime
) -> AccessGrant:
    """Verify a token of our own that ``verifier`` shows.

    Raises:
        DcpError: Not one of ours, over, or made for another verifier.
    """
    jwt = read_jwt(token)
    key = next((one for one in keys if one.kid == jwt.kid), None)
    if key is None or jwt.header.get("typ") != ACCESS_TYPE:
        raise TokenRefusedError("not an access token of ours")
    verify_jwt(jwt, key.jwk)
    check_times(jwt, now=now, life_max=ACCESS_LIFE)
    if jwt.claims.get("iss") != own or audience_of(jwt.claims) != own:
        raise TokenRefusedError("not an access token of ours")
    if jwt.claims.get("sub") != verifier:
        raise TokenRefusedError("the access token was made for another verifier")
    return AccessGrant(verifier, tuple(str(jwt.claims.get("scope", "")).split()))
