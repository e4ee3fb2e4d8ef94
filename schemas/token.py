"""Self-issued identity tokens: who is calling, and for whom the call is meant.

Form: DCP 1.0 self-issued ID token: ``iss`` = ``sub`` = the caller's DID, ``aud`` = the
receiver's DID, ``jti`` usable once, a life of at most five minutes. The receiver looks the
key up in the registry and never takes it from the token. An optional ``token`` claim
carries the access token of a data address.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from schemas.ids import ParticipantId
from schemas.signature import (
    BadSignatureError,
    PublicKey,
    SigningKey,
    peek_payload,
    sign,
    verify,
)

TYPE: Final = "dsp-id+jwt"
LIFE: Final = timedelta(seconds=60)
LIFE_MAX: Final = timedelta(seconds=300)
SKEW: Final = timedelta(seconds=60)
JTI_CHARS_MIN: Final = 22  # 128 bits in base64url
JTI_CHARS_MAX: Final = 128


class TokenError(Exception):
    """The token does not identify its sender to us."""


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified token."""

    issuer: ParticipantId
    jti: str
    expires_at: datetime
    access_token: str | None = None


def issue(
    *,
    key: SigningKey,
    issuer: ParticipantId,
    audience: str,
    now: datetime,
    jti: str,
    access_token: str | None = None,
) -> str:
    """Return a token that identifies ``issuer`` to ``audience`` once, for a minute."""
    claims: dict[str, object] = {
        "iss": issuer,
        "sub": issuer,
        "aud": audience,
        "iat": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
        "jti": jti,
    }
    if access_token is not None:
        claims["token"] = access_token
    return sign(json.dumps(claims).encode(), key=key, typ=TYPE)


def claimed_issuer(token: str) -> ParticipantId:
    """Return who the token says it is from, to look up the key; trust nothing yet.

    Raises:
        TokenError: Not a token that names its issuer.
    """
    try:
        issuer = peek_payload(token).get("iss")
    except BadSignatureError as error:
        raise TokenError(str(error)) from None
    if not isinstance(issuer, str) or not issuer.startswith("did:web:"):
        raise TokenError("iss is not a did:web")
    return ParticipantId(issuer)


def check(token: str, *, key: PublicKey, audience: str, now: datetime) -> Claims:
    """Verify a token; the caller still has to refuse a ``jti`` that it has seen.

    Raises:
        TokenError: Wrong signature, issuer, audience, times, or a field is missing.
    """
    try:
        claims = json.loads(verify(token, key=key, typ=TYPE))
    except (BadSignatureError, ValueError) as error:
        raise TokenError(str(error)) from None
    issuer, jti = claims.get("iss"), claims.get("jti")
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issuer, str) or claims.get("sub") != issuer:
        raise TokenError("iss and sub differ")
    if key.kid.split("#")[0] != issuer:
        raise TokenError("the key is not the issuer's")
    if claims.get("aud") != audience:
        raise TokenError(f"aud is not {audience}")
    if not isinstance(jti, str) or not JTI_CHARS_MIN <= len(jti) <= JTI_CHARS_MAX:
        raise TokenError("jti is missing or too short")
    if type(issued) is not int or type(expires) is not int:
        raise TokenError("iat and exp must be whole seconds")
    _check_times(issued, expires, now)
    access_token = claims.get("token")
    if access_token is not None and not isinstance(access_token, str):
        raise TokenError("token must be a string")
    return Claims(ParticipantId(issuer), jti, datetime.fromtimestamp(expires, UTC), access_token)


def _check_times(issued: int, expires: int, now: datetime) -> None:
    seconds = now.timestamp()
    if issued > seconds + SKEW.total_seconds():
        raise TokenError("issued in the future: check the clocks")
    if expires <= seconds:
        raise TokenError("expired")
    if expires - issued > LIFE_MAX.total_seconds():
        raise TokenError("lives longer than five minutes")
