"""Properties of DCP's tokens, credentials, presentations and status lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.dcp.credential import (
    KIND_OF,
    Credential,
    StatusRef,
    issue_credential,
    read_credential,
)
from schemas.dcp.did import DidDocument, Relationship
from schemas.dcp.error import DcpError
from schemas.dcp.jose import read_jwt, sign_jwt, verify_jwt
from schemas.dcp.message import (
    CONTEXT,
    CredentialMessage,
    CredentialOfferMessage,
    CredentialRequestMessage,
    CredentialStatus,
    IssuerMetadata,
    PresentationQueryMessage,
    PresentationResponseMessage,
    Profile,
    scope_covers,
)
from schemas.dcp.presentation import issue_presentation, open_presentation
from schemas.dcp.status_list import (
    BITS_MIN,
    StatusListError,
    StatusListKind,
    decode_list,
    encode_list,
    is_set,
)
from schemas.dcp.token import check_id_token, read_id_token
from schemas.signature import generate_key
from tests.support.wallet import EcKey

NOW: Final = datetime(2026, 11, 24, 5, tzinfo=UTC)
HOLDER: Final = "did:web:holder.example"
VERIFIER: Final = "did:web:verifier.example"
KEY: Final = generate_key(HOLDER)
EC: Final = EcKey(f"{HOLDER}#ec")
DOCUMENT: Final = DidDocument.of(HOLDER, [KEY.public, EC.public])
MESSAGES: Final = (
    PresentationQueryMessage,
    PresentationResponseMessage,
    CredentialMessage,
    CredentialRequestMessage,
    CredentialOfferMessage,
    IssuerMetadata,
    CredentialStatus,
)
# what a message may not hold, since no database would: NUL and lone surrogates
storable = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
words = st.text("abcdefghijklmnopqrstuvwxyzABC0123456789-", min_size=1, max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | storable,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=10,
)


def claims(**changes: Any) -> dict[str, Any]:
    seconds = int(NOW.timestamp())
    base = {
        "iss": HOLDER,
        "sub": HOLDER,
        "aud": VERIFIER,
        "iat": seconds,
        "exp": seconds + 60,
        "jti": "j" * 22,
        "token": "opaque",
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not None}


def check(token: str) -> Any:
    _, jwt = read_id_token(token)
    return check_id_token(jwt, DOCUMENT, audience=VERIFIER, now=NOW)


@given(st.sets(st.integers(0, BITS_MIN - 1), max_size=50), st.sampled_from(list(StatusListKind)))
@settings(max_examples=30)
def test_a_status_list_says_what_was_put_in(revoked: set[int], kind: StatusListKind) -> None:
    content = decode_list(encode_list(revoked, kind=kind), kind=kind)
    assert len(content) * 8 == BITS_MIN
    asked = revoked | {0, BITS_MIN - 1} | {index ^ 1 for index in revoked}
    assert {index for index in asked if is_set(content, index)} == revoked


@given(st.text(max_size=200), st.sampled_from(list(StatusListKind)))
def test_any_other_text_is_no_status_list(text: str, kind: StatusListKind) -> None:
    with pytest.raises(StatusListError):
        decode_list(text, kind=kind)


@given(
    st.sampled_from(list(Profile)),
    words,
    st.dictionaries(words, json_values, max_size=4),
    st.integers(0, BITS_MIN - 1),
    st.integers(1, 10**6),
)
def test_a_credential_is_read_as_it_was_issued(
    profile: Profile, name: str, subject: dict[str, Any], index: int, seconds: int
) -> None:
    url = f"https://issuer.example/lists/{name}"
    issued = Credential(
        id=f"urn:{name}",
        issuer=HOLDER,
        types=("VerifiableCredential", name),
        subject={**subject, "id": VERIFIER},
        valid_from=NOW,
        valid_until=NOW + timedelta(seconds=seconds),
        profile=profile,
        statuses=(StatusRef(KIND_OF[profile], "revocation", url, index),),
        schemas=(f"urn:schema:{name}",),
    )
    jwt, read = read_credential(issue_credential(issued, key=KEY, now=NOW))
    verify_jwt(jwt, DOCUMENT.key(jwt.kid, Relationship.ASSERTION))
    assert read == issued


@given(st.sampled_from(list(Profile)), st.lists(words, max_size=5))
def test_a_presentation_shows_what_was_put_in_to_its_verifier_only(
    profile: Profile, credentials: list[str]
) -> None:
    token = issue_presentation(
        credentials,
        profile=profile,
        key=KEY,
        holder=HOLDER,
        verifier=VERIFIER,
        now=NOW,
        jti="j" * 22,
    )
    assert open_presentation(token, DOCUMENT, verifier=VERIFIER, now=NOW) == credentials
    with pytest.raises(DcpError):
        open_presentation(token, DOCUMENT, verifier=HOLDER, now=NOW)
    with pytest.raises(DcpError):
        open_presentation(token, replace_id(DOCUMENT), verifier=VERIFIER, now=NOW)
    with pytest.raises(DcpError):  # a presentation is no ID token
        check(token)


def replace_id(document: DidDocument) -> DidDocument:
    return document.model_copy(update={"id": VERIFIER})


@given(st.data())
def test_no_changed_character_of_a_token_is_accepted(data: st.DataObject) -> None:
    for token in (sign_jwt(claims(), key=KEY), EC.jwt(claims())):
        assert check(token).issuer == HOLDER
        place = data.draw(st.integers(0, len(token) - 1))
        other = data.draw(st.sampled_from("ABCabc019-_."))
        changed = token[:place] + other + token[place + 1 :]
        if changed != token:
            with pytest.raises(DcpError):
                check(changed)


@given(st.text(max_size=300))
def test_any_text_is_refused_as_a_token(text: str) -> None:
    with pytest.raises(DcpError):
        check(text)


@given(
    st.sampled_from(["iss", "sub", "aud", "iat", "exp", "jti", "nbf", "token"]),
    json_values.filter(lambda value: value is not None and value != "opaque"),
)
def test_a_claim_of_another_kind_is_refused_or_harmless(name: str, value: Any) -> None:
    token = sign_jwt(claims(**{name: value}), key=KEY)
    try:
        checked = check(token)
    except DcpError:
        return
    assert checked.issuer == HOLDER
    assert name in {"iat", "nbf", "jti", "token"}


@given(st.sampled_from(MESSAGES), st.dictionaries(words, json_values, max_size=5))
def test_messages_refuse_or_keep_every_field(model: Any, raw: dict[str, Any]) -> None:
    full = {"@context": list(CONTEXT), "type": model.__name__, **raw}
    try:
        read = model.from_wire(full)
    except ValueError:
        return
    written = read.to_json()
    assert {name: value for name, value in full.items() if value is not None}.items() <= (
        written.items()
    )


@given(words, words)
def test_a_scope_covers_its_own_type_only(one: str, other: str) -> None:
    for right in ("", ":read", ":*"):
        scope = f"org.eclipse.dspace.dcp.vc.type:{one}{right}"
        assert scope_covers(scope, types=(one,), credential_id="x")
        assert scope_covers(scope, types=(other,), credential_id=one) == (one == other)


@given(st.integers(-(10**6), 10**6))
def test_a_token_is_valid_in_its_minute_only(offset: int) -> None:
    token = sign_jwt(claims(), key=KEY)
    _, jwt = read_id_token(token)
    now = NOW + timedelta(seconds=offset)
    is_inside = -30 <= offset < 60
    try:
        check_id_token(jwt, DOCUMENT, audience=VERIFIER, now=now)
    except DcpError:
        assert not is_inside
    else:
        assert is_inside


def test_a_read_jwt_is_not_verified_by_another_kind_of_key() -> None:
    jwt = read_jwt(sign_jwt(claims(), key=KEY))
    with pytest.raises(DcpError):
        verify_jwt(jwt, EC.public.jwk)
    with pytest.raises(DcpError):
        verify_jwt(read_jwt(EC.jwt(claims())), KEY.public.jwk)
    with pytest.raises(DcpError):
        verify_jwt(replace(jwt, header={**jwt.header, "alg": "none"}), KEY.public.jwk)
