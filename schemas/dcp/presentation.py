"""Verifiable presentations as JWT: a holder shows credentials to one verifier."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.dcp.credential import VC11_CONTEXT, VC20_CONTEXT
from schemas.dcp.did import DidDocument, Relationship
from schemas.dcp.error import DcpError
from schemas.dcp.jose import audience_of, read_jwt, sign_jwt, verify_jwt
from schemas.dcp.message import Profile
from schemas.dcp.token import check_times
from schemas.signature import SigningKey

LIFE: Final = timedelta(minutes=5)
CREDENTIALS_MAX: Final = 20
VP20_TYPE: Final = "vp+jwt"
_ENVELOPE: Final = "data:application/vc+jwt,"


class PresentationError(DcpError):
    """Not a presentation of this holder to this verifier."""


def issue_presentation(
    credentials: Sequence[str],
    *,
    profile: Profile,
    key: SigningKey,
    holder: str,
    verifier: str,
    now: datetime,
    jti: str,
) -> str:
    """Return credentials of one profile as a presentation to ``verifier``."""
    claims: dict[str, Any] = {
        "iss": holder,
        "sub": holder,
        "aud": verifier,
        "jti": jti,
        "iat": int(now.timestamp()),
        "nbf": int(now.timestamp()),
        "exp": int((now + LIFE).timestamp()),
    }
    kind = ["VerifiablePresentation"]
    if profile is Profile.VC11:
        body = {"@context": [VC11_CONTEXT], "type": kind, "verifiableCredential": list(credentials)}
        return sign_jwt({**claims, "vp": body}, key=key)
    enveloped = [
        {
            "@context": VC20_CONTEXT,
            "id": f"{_ENVELOPE}{credential}",
            "type": "EnvelopedVerifiableCredential",
        }
        for credential in credentials
    ]
    body2 = {"@context": [VC20_CONTEXT], "type": kind, "holder": holder}
    return sign_jwt({**body2, "verifiableCredential": enveloped, **claims}, key=key, typ=VP20_TYPE)


def open_presentation(
    token: str, document: DidDocument, *, verifier: str, now: datetime
) -> list[str]:
    """Return the credentials in a presentation by the DID of ``document`` (DCP 1.0.1, 5.4.3).

    Raises:
        DcpError: By somebody else, to somebody else, not valid now, or not a presentation.
    """
    jwt = read_jwt(token)
    claims = jwt.claims
    if claims.get("iss") != document.id or claims.get("sub", document.id) != document.id:
        raise PresentationError("the presentation is not the holder's")
    if audience_of(claims) != verifier:
        raise PresentationError("the presentation is for another verifier")
    verify_jwt(jwt, document.key(jwt.kid, Relationship.AUTHENTICATION))
    check_times(jwt, now=now)
    body = claims.get("vp", claims)
    if not isinstance(body, dict) or body.get("holder", document.id) != document.id:
        raise PresentationError("not a presentation of the holder")
    held = body.get("verifiableCredential", [])
    items = held if isinstance(held, list) else [held]
    if len(items) > CREDENTIALS_MAX:
        raise PresentationError(f"over {CREDENTIALS_MAX} credentials in a presentation")
    return [_credential(item) for item in items]


def _credential(item: object) -> str:
    if isinstance(item, dict):
        item = str(item.get("id", "")).removeprefix(_ENVELOPE)
    if not isinstance(item, str):
        raise PresentationError("only credentials as JWT are read")
    return item
