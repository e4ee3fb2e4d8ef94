"""Where DID documents come from, and from where never."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import pytest

from databank.kit.directory import Directory
from databank.kit.guard import GuardedTransport
from databank.kit.resolver import Resolver, UnreachableError
from schemas.dcp.did import DOCUMENT_BYTES_MAX, DidDocument, DidError, Relationship, ServiceType
from schemas.ids import ParticipantId
from schemas.participant import Jwk, Participant, RetiringKey, Role, Status
from schemas.signature import generate_key

NOW: Final = datetime(2026, 11, 24, 5, tzinfo=UTC)
MEMBER: Final = ParticipantId("did:web:member.example")
STRANGER: Final = ParticipantId("did:web:stranger.example")
KEY: Final = generate_key(MEMBER, "key-2")
OLD: Final = generate_key(MEMBER)
Answer = Callable[[httpx.Request], httpx.Response]


def member(**changes: Any) -> Participant:
    base = Participant(
        id=MEMBER,
        handle="member",
        name="member",
        brn="2208162517",
        connector_url="https://member.example",
        jwk=Jwk.model_validate(KEY.public.jwk),
        role=Role.COMPANY,
        status=Status.ACTIVE,
        registered_at=NOW,
        key_fragment="key-2",
        retiring=RetiringKey(
            fragment="key-1",
            jwk=Jwk.model_validate(OLD.public.jwk),
            until=NOW + timedelta(minutes=6),
        ),
    )
    return base.model_copy(update=changes)


def resolver(
    own: Answer, foreign: Answer | httpx.BaseTransport, known: Participant | None = None
) -> Resolver:
    def lookup(asked: ParticipantId) -> Participant | None:
        return known if known is not None and known.id == asked else None

    transport = (
        foreign if isinstance(foreign, httpx.BaseTransport) else httpx.MockTransport(foreign)
    )
    return Resolver(
        Directory(lookup, clock=lambda: NOW, max_age_seconds=0, grace_seconds=0),
        own_http=httpx.Client(transport=httpx.MockTransport(own)),
        foreign_http=httpx.Client(transport=transport),
        foreign_scheme=lambda _: "https",
        clock=lambda: NOW,
        max_age_seconds=60,
    )


def never(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"asked {request.url}")


def serves(value: object) -> Answer:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda _: httpx.Response(200, stream=httpx.ByteStream(body))


def test_keys_of_a_member_are_the_registrys_and_nothing_is_fetched() -> None:
    document = resolver(never, never, member()).keys(MEMBER)
    assert document.key(KEY.kid, Relationship.INVOCATION) == KEY.public.jwk
    assert document.key(OLD.kid, Relationship.INVOCATION) == OLD.public.jwk
    with pytest.raises(DidError):
        document.key("key-3", Relationship.INVOCATION)


@pytest.mark.parametrize("status", [Status.PENDING, Status.REVOKED])
def test_who_is_not_active_has_no_keys(status: Status) -> None:
    with pytest.raises(DidError, match="not an active"):
        resolver(never, never, member(status=status)).keys(MEMBER)


def test_a_members_service_must_be_at_its_address() -> None:
    def document(url: str) -> dict[str, Any]:
        services = [(ServiceType.CREDENTIAL, url)]
        return DidDocument.of(MEMBER, [KEY.public], services).to_json()

    good = resolver(serves(document("https://member.example/dcp")), never, member())
    assert good.endpoint(MEMBER, ServiceType.CREDENTIAL) == "https://member.example/dcp"
    for url in ("http://member.example/dcp", "https://169.254.169.254/", "https://x.example/"):
        with pytest.raises(DidError, match="outside"):
            resolver(serves(document(url)), never, member()).endpoint(
                MEMBER, ServiceType.CREDENTIAL
            )


def test_a_strangers_document_is_fetched_once() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return serves(DidDocument.of(STRANGER, [KEY.public]).to_json())(request)

    found = resolver(never, answer)
    found.keys(STRANGER)
    found.keys(STRANGER)
    assert asked == ["https://stranger.example/.well-known/did.json"]
    found.forget(STRANGER)
    found.keys(STRANGER)
    assert len(asked) == 2


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"id": "did:web:other.example"}', b'{"id": 1, "id": 2}', b"\xff"],
)
def test_what_is_not_the_strangers_document_is_refused(body: bytes) -> None:
    with pytest.raises(DidError):
        resolver(never, serves(body)).keys(STRANGER)


@pytest.mark.parametrize(
    "answer",
    [
        serves(b" " * (DOCUMENT_BYTES_MAX + 1)),
        lambda _: httpx.Response(404),
        lambda _: httpx.Response(302, headers={"Location": "https://elsewhere.example"}),
    ],
)
def test_a_document_that_cannot_be_had_is_no_document(answer: Answer) -> None:
    with pytest.raises(UnreachableError):
        resolver(never, answer).keys(STRANGER)


@pytest.mark.parametrize(
    "host", ["localhost%3A8401", "127.0.0.1", "169.254.169.254", "2130706433", "0x7f000001"]
)
def test_a_stranger_inside_our_network_is_not_fetched(host: str) -> None:
    with pytest.raises(UnreachableError, match="ConnectError"):
        resolver(never, GuardedTransport()).keys(ParticipantId(f"did:web:{host}"))
