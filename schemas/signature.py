"""Keys and signatures: Ed25519 as JOSE (RFC 8037, RFC 9864).

Compact JWS signs bytes; every kind of signed object has its own ``typ`` so that one can
never be taken for another.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

ALGORITHM: Final = "Ed25519"
TOKEN_CHARS_MAX: Final = 8192
TOKENS_KEPT: Final = 64  # between one look at a token and the next
KEY_FRAGMENT: Final = "key-1"
_HEADER_FIELDS: Final = frozenset({"alg", "typ", "kid"})


class BadSignatureError(Exception):
    """The text is not a JWS of the wanted type that verifies under the key."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A verification key and its id (a DID URL)."""

    kid: str
    jwk: dict[str, str]

    @property
    def fingerprint(self) -> str:
        """The RFC 7638 thumbprint, for people to compare."""
        return str(OKPKey.import_key(dict(self.jwk)).thumbprint())


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and its id (a DID URL)."""

    kid: str
    private_jwk: dict[str, str]

    @property
    def public(self) -> PublicKey:
        """The key's public half."""
        jwk = {name: self.private_jwk[name] for name in ("kty", "crv", "x")}
        return PublicKey(self.kid, jwk)


def generate_key(owner: str, fragment: str = KEY_FRAGMENT) -> SigningKey:
    """Make a new key for the participant or service with the DID ``owner``."""
    key = OKPKey.generate_key("Ed25519")
    private = {str(name): str(value) for name, value in key.as_dict(private=True).items()}
    return SigningKey(f"{owner}#{fragment}", {n: private[n] for n in ("kty", "crv", "x", "d")})


@lru_cache(maxsize=256)
def _read_key(jwk: tuple[tuple[str, str], ...]) -> OKPKey:
    return OKPKey.import_key(dict(jwk))


def _imported(jwk: dict[str, str]) -> OKPKey:
    """Return a key to work with; reading one takes as long as the work itself."""
    try:
        return _read_key(tuple(jwk.items()))
    except TypeError:  # a foreign key with something that is no text: it cannot be looked up
        return OKPKey.import_key(dict(jwk))


def sign(payload: bytes, *, key: SigningKey, typ: str) -> str:
    """Return ``payload`` as a compact JWS."""
    header = {"alg": ALGORITHM, "typ": typ, "kid": key.kid}
    okp = _imported(key.private_jwk)
    return str(jws.serialize_compact(header, payload, okp, algorithms=[ALGORITHM]))


def verify(token: str, *, key: PublicKey, typ: str) -> bytes:
    """Return the payload of a compact JWS.

    Raises:
        BadSignatureError: Too long, not a JWS, another ``typ`` or ``kid``, unknown header
            fields, or the signature does not verify.
    """
    header = peek_header(token)
    if not all(_is_canonical(part) for part in token.split(".")):
        raise BadSignatureError("not canonical base64url")
    if set(header) != _HEADER_FIELDS or header["typ"] != typ or header["kid"] != key.kid:
        raise BadSignatureError(f"header {header!r} is not {typ} by {key.kid}")
    read = _extracted(token)
    try:
        is_valid = jws.validate_compact(read, _imported(key.jwk), algorithms=[ALGORITHM])
    except (JoseError, ValueError) as error:
        raise BadSignatureError(str(error)) from None
    if not is_valid:
        raise BadSignatureError("the signature is not the key's")
    return read.payload


def _is_canonical(part: str) -> bool:
    """Whether a text is the only way to write its bytes: unused bits are zero (RFC 4648 3.5)."""
    try:
        content = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return False
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode() == part


@lru_cache(maxsize=TOKENS_KEPT)
def _extracted(token: str) -> jws.CompactSignature:
    """Take a token apart: issuer, key and signature are each looked for at another place."""
    return jws.extract_compact(token.encode("ascii"))


def peek_header(token: str) -> dict[str, Any]:
    """Return the header of a compact JWS without trusting it.

    Raises:
        BadSignatureError: Too long or not a JWS.
    """
    if len(token) > TOKEN_CHARS_MAX:
        raise BadSignatureError("token too long")
    try:
        return dict(_extracted(token).headers())
    except (JoseError, ValueError) as error:
        raise BadSignatureError(str(error)) from None


def peek_payload(token: str) -> dict[str, Any]:
    """Return the JSON payload of a compact JWS without trusting it.

    Raises:
        BadSignatureError: Too long, not a JWS, or its payload is not a JSON object.
    """
    if len(token) > TOKEN_CHARS_MAX:
        raise BadSignatureError("token too long")
    try:
        value = json.loads(_extracted(token).payload)
    except (JoseError, ValueError) as error:
        raise BadSignatureError(str(error)) from None
    if not isinstance(value, dict):
        raise BadSignatureError("payload is not an object")
    return value
