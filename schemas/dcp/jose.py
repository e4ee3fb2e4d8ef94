"""JSON Web Tokens of strangers: read strictly, verified with Ed25519 or ES256.

Our own keys are Ed25519 only (``schemas.signature``); counterparties and issuers may hold
P-256 keys. The algorithm follows from the key, never from the token alone.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from schemas.dcp.error import DcpError
from schemas.dsp.parse import MalformedMessageError, parse_message
from schemas.signature import SigningKey, sign

JWT_CHARS_MAX: Final = 65_536
ED25519_ALGORITHMS: Final = frozenset({"Ed25519", "EdDSA"})  # RFC 9864 and RFC 8037
ES256: Final = "ES256"
P256_BYTES: Final = 32
_FORBIDDEN: Final = frozenset({"crit", "jwk", "jku", "x5u", "x5c", "b64"})
Jwk = Mapping[str, Any]


class JoseError(DcpError):
    """Not a JWT that verifies under the key."""


@dataclass(frozen=True, slots=True)
class Jwt:
    """A JWT that was read and not yet verified."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes

    @property
    def kid(self) -> str | None:
        """The key that the token names."""
        kid = self.header.get("kid")
        return kid if isinstance(kid, str) else None


def read_jwt(token: str) -> Jwt:
    """Read a compact JWT; trust nothing of it yet.

    Raises:
        JoseError: Too long, not three canonical base64url parts of JSON objects, or a header
            that brings its own key or wants an extension.
    """
    if len(token) > JWT_CHARS_MAX:
        raise JoseError(f"a token of over {JWT_CHARS_MAX} characters")
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature (RFC 7515 7.1)
        raise JoseError("not a compact JWS")
    header, payload, signature = map(decode_base64url, parts)
    try:
        read = Jwt(
            parse_message(header),
            parse_message(payload),
            f"{parts[0]}.{parts[1]}".encode("ascii"),
            signature,
        )
    except MalformedMessageError as error:
        raise JoseError(str(error)) from None
    if found := _FORBIDDEN & set(read.header):
        raise JoseError(f"a header with {sorted(found)}")
    if "kid" in read.header and read.kid is None:
        raise JoseError("kid is not a text")
    return read


def verify_jwt(jwt: Jwt, jwk: Jwk) -> None:
    """Let a token pass whose signature verifies under a key.

    Raises:
        JoseError: It does not, or key and algorithm do not belong together.
    """
    kind, algorithm = (jwk.get("kty"), jwk.get("crv")), jwt.header.get("alg")
    is_ed25519 = kind == ("OKP", "Ed25519") and algorithm in ED25519_ALGORITHMS
    if not is_ed25519 and (kind, algorithm) != (("EC", "P-256"), ES256):
        raise JoseError(f"no algorithm {algorithm!r} for a key of {kind!r}")
    try:
        _verify_ed25519(jwt, jwk) if is_ed25519 else _verify_es256(jwt, jwk)
    except InvalidSignature:
        raise JoseError("the signature does not verify") from None
    except JoseError:
        raise
    except ValueError as error:
        raise JoseError(f"not a usable key: {error}") from None


def _verify_ed25519(jwt: Jwt, jwk: Jwk) -> None:
    public = ed25519.Ed25519PublicKey.from_public_bytes(_coordinate(jwk, "x"))
    public.verify(jwt.signature, jwt.signed)


def _verify_es256(jwt: Jwt, jwk: Jwk) -> None:
    if len(jwt.signature) != 2 * P256_BYTES:
        raise JoseError("an ES256 signature has 64 bytes")
    x, y = (int.from_bytes(_coordinate(jwk, name)) for name in ("x", "y"))
    r, s = (int.from_bytes(half) for half in (jwt.signature[:32], jwt.signature[32:]))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    public.verify(encode_dss_signature(r, s), jwt.signed, ec.ECDSA(SHA256()))


def _coordinate(jwk: Jwk, name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise JoseError(f"a key without {name}")
    return decode_base64url(value)


def sign_jwt(claims: Mapping[str, Any], *, key: SigningKey, typ: str = "JWT") -> str:
    """Return claims as a JWT signed with our key."""
    return sign(json.dumps(claims, separators=(",", ":")).encode(), key=key, typ=typ)


def decode_base64url(text: str) -> bytes:
    """Return the bytes of an unpadded base64url text that is the only way to write them.

    Raises:
        JoseError: It is not.
    """
    try:
        content = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError:
        raise JoseError("not base64url") from None
    if encode_base64url(content) != text:
        raise JoseError("not canonical base64url")
    return content


def encode_base64url(content: bytes) -> str:
    """Return bytes in unpadded base64url."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def audience_of(claims: Mapping[str, Any]) -> str | None:
    """Return the one audience of a token, None if it has none or several (RFC 7519 4.1.3)."""
    said = claims.get("aud")
    if isinstance(said, list) and len(said) == 1:
        said = said[0]
    return said if isinstance(said, str) else None
