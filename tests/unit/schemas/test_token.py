"""Every way in which a token can fail to identify its sender."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.ids import ParticipantId
from schemas.signature import PublicKey, SigningKey, generate_key, sign
from schemas.token import TYPE, TokenError, check, claimed_issuer, issue

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
ALICE = ParticipantId("did:web:alice.example")
BOB = "did:web:bob.example"
KEY = generate_key(ALICE)
SECONDS = int(NOW.timestamp())


def good(**changes: Any) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": ALICE,
        "sub": ALICE,
        "aud": BOB,
        "iat": SECONDS,
        "exp": SECONDS + 60,
        "jti": "j" * 22,
    }
    claims.update(changes)
    return {name: value for name, value in claims.items() if value is not ...}


def signed(claims: dict[str, Any], *, key: SigningKey = KEY, typ: str = TYPE) -> str:
    return sign(json.dumps(claims).encode(), key=key, typ=typ)


def test_an_issued_token_verifies_and_carries_the_access_token() -> None:
    token = issue(key=KEY, issuer=ALICE, audience=BOB, now=NOW, jti="j" * 22, access_token="secret")
    claims = check(token, key=KEY.public, audience=BOB, now=NOW)
    assert (claims.issuer, claims.access_token) == (ALICE, "secret")
    assert claims.expires_at == NOW + timedelta(seconds=60)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "did:web:carol.example"},
        {"aud": [BOB]},
        {"aud": ...},
        {"iss": "did:web:mallory.example"},
        {"sub": "did:web:mallory.example"},
        {"sub": ...},
        {"exp": SECONDS},
        {"exp": SECONDS + 301},
        {"exp": ...},
        {"exp": "later"},
        {"exp": True},
        {"iat": SECONDS + 61, "exp": SECONDS + 100},
        {"iat": ...},
        {"iat": None},
        {"jti": ...},
        {"jti": "short"},
        {"jti": "x" * 129},
        {"token": 7},
    ],
)
def test_a_token_with_wrong_or_missing_claims_is_refused(changes: dict[str, Any]) -> None:
    check(signed(good()), key=KEY.public, audience=BOB, now=NOW)  # the control passes
    with pytest.raises(TokenError):
        check(signed(good(**changes)), key=KEY.public, audience=BOB, now=NOW)


def test_another_key_type_or_kid_is_refused() -> None:
    other = generate_key("did:web:mallory.example")
    same_kid = SigningKey(KEY.kid, other.private_jwk)
    for token in (
        signed(good(), key=other),
        signed(good(), key=same_kid),
        signed(good(), typ="usage-batch+jws"),
    ):
        with pytest.raises(TokenError):
            check(token, key=KEY.public, audience=BOB, now=NOW)
    with pytest.raises(TokenError, match="not the issuer"):
        check(
            signed(good(iss="did:web:m.example", sub="did:web:m.example")),
            key=KEY.public,
            audience=BOB,
            now=NOW,
        )


def _b64(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none", "typ": TYPE, "kid": KEY.kid},
        {"alg": "HS256", "typ": TYPE, "kid": KEY.kid},
        {"alg": "EdDSA", "typ": TYPE, "kid": KEY.kid},
        {"alg": "Ed25519", "typ": TYPE, "kid": KEY.kid, "jwk": KEY.public.jwk},
        {"alg": "Ed25519", "typ": TYPE, "kid": KEY.kid, "crit": ["b64"], "b64": False},
    ],
)
def test_other_algorithms_and_headers_are_refused(header: dict[str, Any]) -> None:
    _, payload, signature = signed(good()).split(".")
    for tail in (signature, ""):
        with pytest.raises(TokenError):
            check(f"{_b64(header)}.{payload}.{tail}", key=KEY.public, audience=BOB, now=NOW)


@pytest.mark.parametrize(
    "text", ["", "a.b.c", "....", "é.é.é", "x" * 9000, _b64({}) + "..", "null"]
)
def test_what_is_no_token_is_refused_without_a_crash(text: str) -> None:
    public = PublicKey(KEY.kid, KEY.public.jwk)
    with pytest.raises(TokenError):
        check(text, key=public, audience=BOB, now=NOW)
    with pytest.raises(TokenError):
        claimed_issuer(text)


def test_the_same_signature_written_with_other_unused_bits_is_refused() -> None:
    token = signed(good())
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    twin = alphabet[alphabet.index(token[-1]) + 1]  # 86 characters leave four bits unused
    with pytest.raises(TokenError, match="canonical"):
        check(token[:-1] + twin, key=KEY.public, audience=BOB, now=NOW)


def test_any_changed_character_breaks_the_token() -> None:
    token = signed(good())
    for place in range(len(token)):
        wrong = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(TokenError):
            check(wrong, key=KEY.public, audience=BOB, now=NOW)
