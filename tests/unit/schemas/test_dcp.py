"""DCP's rules one by one: tokens, DID documents, credentials, access tokens."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from schemas.dcp.credential import (
    MEMBERSHIP,
    MEMBERSHIP_SCHEMA,
    Credential,
    StatusRef,
    check_credential,
    is_revoked,
    issue_credential,
    read_credential,
    status_list_credential,
)
from schemas.dcp.did import DidDocument, DidError, Relationship, ServiceType
from schemas.dcp.error import DcpError
from schemas.dcp.jose import JWT_CHARS_MAX, encode_base64url, read_jwt, sign_jwt
from schemas.dcp.message import Profile
from schemas.dcp.status_list import BYTES_MAX, StatusListError, StatusListKind, decode_list
from schemas.dcp.token import (
    ACCESS_LIFE,
    check_access_token,
    check_id_token,
    issue_access_token,
    read_id_token,
)
from schemas.signature import generate_key
from tests.property.dcp.test_dcp import DOCUMENT, EC, HOLDER, KEY, NOW, VERIFIER, claims

SECONDS: Final = int(NOW.timestamp())
ISSUER: Final = "did:web:issuer.example"


def refused(token: str, document: DidDocument = DOCUMENT) -> str:
    with pytest.raises(DcpError) as caught:
        check_id_token(read_id_token(token)[1], document, audience=VERIFIER, now=NOW)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sub": VERIFIER}, "iss and sub differ"),
        ({"iss": VERIFIER}, "iss and sub differ"),
        ({"iss": "https://holder.example"}, "not a did:web"),
        ({"aud": HOLDER}, "aud is not"),
        ({"aud": [VERIFIER, HOLDER]}, "aud is not"),
        ({"nbf": SECONDS + 100}, "not valid yet"),
        ({"iat": SECONDS + 60}, "in the future"),
        ({"exp": SECONDS}, "expired"),
        ({"exp": SECONDS + 10_000}, "lives longer"),
        ({"exp": 10**15, "iat": 10**15}, "in the future"),
        ({"jti": "short"}, "jti"),
        ({"jti": "j" * 200}, "jti"),
        ({"jti": None}, "jti"),
        ({"exp": None}, "must be there"),
        ({"iat": True}, "not a number"),
        ({"token": 1}, "token"),
        ({"vp": {}}, "not an ID token"),
        ({"vc": {}}, "not an ID token"),
    ],
)
def test_a_token_is_refused(changes: dict[str, Any], reason: str) -> None:
    assert reason in refused(sign_jwt(claims(**changes), key=KEY))


@pytest.mark.parametrize("header", [{"jwk": {}}, {"crit": ["b64"]}, {"jku": "https://x"}])
def test_a_header_that_brings_a_key_or_an_extension_is_refused(header: dict[str, Any]) -> None:
    assert "header with" in refused(EC.jwt(claims(), **header))


@pytest.mark.parametrize("alg", ["none", "HS256", "ES384", "EdDSA", None])
def test_the_algorithm_follows_from_the_key(alg: str | None) -> None:
    assert "no algorithm" in refused(EC.jwt(claims(), alg=alg))


def test_another_type_of_token_is_refused() -> None:
    assert "not an ID token" in refused(sign_jwt(claims(), key=KEY, typ="usage+jws"))
    assert "not an ID token" in refused(sign_jwt(claims(), key=KEY, typ="dcp-access+jwt"))


def test_without_kid_the_document_must_hold_one_key() -> None:
    token = EC.jwt(claims(), kid=None)
    with pytest.raises(DcpError, match="kid"):
        read_jwt(token)
    bare = EC.jwt(claims())
    jwt = read_jwt(bare)
    unnamed = replace(jwt, header={k: v for k, v in jwt.header.items() if k != "kid"})
    with pytest.raises(DidError, match="exactly one"):
        DOCUMENT.key(unnamed.kid, Relationship.INVOCATION)
    single = DidDocument.of(HOLDER, [EC.public])
    assert single.key(unnamed.kid, Relationship.INVOCATION) == EC.public.jwk


def test_a_kid_may_be_a_fragment_and_must_be_known_and_for_the_purpose() -> None:
    for kid in (KEY.kid, "#key-1", "key-1"):
        assert DOCUMENT.key(kid, Relationship.INVOCATION) == KEY.public.jwk
    for kid in ("key-9", "did:web:other.example#key-1", ""):
        with pytest.raises(DidError):
            DOCUMENT.key(kid, Relationship.INVOCATION)
    without = DOCUMENT.model_copy(update={"invocation": ()})
    assert "capabilityInvocation" in refused(sign_jwt(claims(), key=KEY), without)
    foreign = generate_key(VERIFIER)
    borrowed = DidDocument.of(HOLDER, [foreign.public])
    with pytest.raises(DidError, match="itself"):
        borrowed.key(foreign.kid, Relationship.INVOCATION)


def test_a_document_must_be_of_the_did_and_have_the_service() -> None:
    raw = DidDocument.of(HOLDER, [KEY.public], [(ServiceType.CREDENTIAL, "https://x/")]).to_json()
    document = DidDocument.read(raw, HOLDER)
    assert document.endpoint(ServiceType.CREDENTIAL) == "https://x"
    with pytest.raises(DidError, match="IssuerService"):
        document.endpoint(ServiceType.ISSUER)
    with pytest.raises(DidError):
        DidDocument.read(raw, VERIFIER)
    with pytest.raises(DidError):
        DidDocument.read({"id": 1}, HOLDER)


def credential(**changes: Any) -> Credential:
    base = Credential(
        id="urn:1",
        issuer=ISSUER,
        types=("VerifiableCredential", MEMBERSHIP),
        subject={"id": HOLDER, "handle": "h", "name": "n", "memberOf": ISSUER},
        valid_from=NOW,
        valid_until=NOW + timedelta(days=1),
        profile=Profile.VC11,
        schemas=(MEMBERSHIP_SCHEMA,),
    )
    return replace(base, **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subject": {"id": VERIFIER}}, "shown by"),
        ({"valid_from": NOW + timedelta(minutes=5)}, "valid from"),
        ({"valid_until": NOW}, "expired"),
        ({"schemas": ("urn:other",)}, "unknown schema"),
        ({"subject": {"id": HOLDER, "handle": "h"}}, "violates its schema at name"),
    ],
)
def test_a_credential_is_refused(changes: dict[str, Any], reason: str) -> None:
    check_credential(credential(), holder=HOLDER, now=NOW)
    with pytest.raises(DcpError, match=reason):
        check_credential(credential(**changes), holder=HOLDER, now=NOW)


def test_the_narrower_of_two_dates_counts() -> None:
    body = {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "type": [MEMBERSHIP],
        "issuer": {"id": ISSUER},
        "issuanceDate": "2026-11-24T05:00:00.123456789Z",
        "expirationDate": "2026-11-24T06:00:00Z",
        "credentialSubject": {"id": HOLDER},
    }
    late = int((NOW + timedelta(days=9)).timestamp())
    token = sign_jwt(
        {"iss": ISSUER, "sub": HOLDER, "nbf": SECONDS, "exp": late, "vc": body}, key=KEY
    )
    read = read_credential(token)[1]
    assert read.valid_until == datetime(2026, 11, 24, 6, tzinfo=UTC)
    assert read.valid_from > NOW
    assert read.issuer == ISSUER


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": VERIFIER},
        {"sub": VERIFIER},
        {"credentialSubject": {}},
        {"credentialStatus": {"type": "Unknown"}},
        {"credentialStatus": ["x"]},
        {"type": []},
        {"validFrom": "yesterday"},
        {"validFrom": None},
        {"@context": ["https://www.w3.org/2018/credentials/v1"]},
    ],
)
def test_what_is_not_a_credential_is_refused(changes: dict[str, Any]) -> None:
    good = credential(profile=Profile.VC20, schemas=())
    claims_ = read_jwt(issue_credential(good, key=KEY, now=NOW)).claims
    with pytest.raises(DcpError):
        read_credential(sign_jwt({**claims_, "nbf": None, **changes}, key=KEY))


@pytest.mark.parametrize("kind", list(StatusListKind))
def test_a_bit_is_looked_up_in_the_list_it_belongs_to(kind: StatusListKind) -> None:
    listed = status_list_credential(
        issuer=ISSUER, url="https://x/1", kind=kind, revoked=[7], now=NOW
    )
    status = StatusRef(kind, "revocation", "https://x/1", 7)
    assert is_revoked(status, listed)
    assert not is_revoked(replace(status, index=8), listed)
    for other in (replace(status, purpose="suspension"), replace(status, index=10**9)):
        with pytest.raises(DcpError):
            is_revoked(other, listed)


def test_a_compressed_giant_is_not_expanded() -> None:
    bomb = encode_base64url(gzip.compress(bytes(BYTES_MAX + 1)))
    with pytest.raises(StatusListError, match="over"):
        decode_list(bomb, kind=StatusListKind.SL2021)
    whole = encode_base64url(gzip.compress(bytes(5000))[:-4])
    with pytest.raises(StatusListError):
        decode_list(whole, kind=StatusListKind.SL2021)


def test_our_access_token_is_for_one_verifier_and_a_while() -> None:
    token = issue_access_token(
        key=KEY, own=HOLDER, verifier=VERIFIER, scopes=("a", "b"), now=NOW, jti="j" * 22
    )
    keys = [KEY.public]
    grant = check_access_token(token, keys=keys, own=HOLDER, verifier=VERIFIER, now=NOW)
    assert grant.scopes == ("a", "b")
    with pytest.raises(DcpError, match="another verifier"):
        check_access_token(token, keys=keys, own=HOLDER, verifier=ISSUER, now=NOW)
    late = NOW + ACCESS_LIFE
    with pytest.raises(DcpError, match="expired"):
        check_access_token(token, keys=keys, own=HOLDER, verifier=VERIFIER, now=late)
    with pytest.raises(DcpError, match="not an access token"):
        check_access_token(token, keys=[], own=HOLDER, verifier=VERIFIER, now=NOW)
    id_token = sign_jwt(claims(aud=HOLDER), key=KEY)
    with pytest.raises(DcpError, match="not an access token"):
        check_access_token(id_token, keys=keys, own=HOLDER, verifier=HOLDER, now=NOW)


def test_a_token_is_bounded() -> None:
    with pytest.raises(DcpError, match="over"):
        read_jwt("a" * (JWT_CHARS_MAX + 1))
    with pytest.raises(DcpError, match="canonical"):
        read_jwt(sign_jwt(claims(), key=KEY) + "==")
