"""What every service's application promises: errors, identity, replay, transactions."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from databank.kit.app import AdminDep, CallerDep, Context, UowDep, create_base_app
from databank.kit.clock import new_secret
from databank.kit.db import Database
from databank.kit.directory import Directory
from databank.kit.routes import Router
from databank.kit.store import SeenTokenRow
from schemas.ids import ParticipantId, did_web
from schemas.participant import Jwk, Participant, Role, Status
from schemas.problem import ConflictError
from schemas.signature import SigningKey, generate_key
from schemas.token import issue
from schemas.wire import OwnWire

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
US = did_web("http://us.example")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


class Peer:
    """A registered participant and its key."""

    def __init__(self, name: str, status: Status = Status.ACTIVE) -> None:
        url = f"http://{name}.example"
        self.did = did_web(url)
        self.key: SigningKey = generate_key(self.did)
        self.participant = Participant(
            id=self.did,
            handle=name,
            name=name,
            brn="1208147521",
            connector_url=url,
            jwk=Jwk.model_validate(self.key.public.jwk),
            role=Role.COMPANY,
            status=status,
            registered_at=NOW,
        )

    def headers(self, *, audience: str = US, jti: str | None = None) -> dict[str, str]:
        token = issue(
            key=self.key, issuer=self.did, audience=audience, now=NOW, jti=jti or new_secret()
        )
        return {"Authorization": f"Bearer {token}"}


class Body(OwnWire):
    number: int


ALICE, PAUSED, REVOKED = (
    Peer("alice"),
    Peer("paused", Status.PENDING),
    Peer("revoked", Status.REVOKED),
)


@pytest.fixture(params=[APIRouter, Router])
def app(tmp_path: Path, request: pytest.FixtureRequest) -> FastAPI:
    database = Database(f"sqlite:///{tmp_path / 'kit.db'}")
    SeenTokenRow.metadata.tables["seen_token"].create(database.engine)
    known = {peer.did: peer.participant for peer in (ALICE, PAUSED, REVOKED)}
    clock = Clock()
    directory = Directory(known.get, clock=clock, max_age_seconds=5, grace_seconds=60)
    context = Context(US, generate_key(US).public, database, directory, clock, "admin-secret")
    app = create_base_app("test", context, body_bytes_max=2048)
    router: APIRouter = request.param()

    @router.post("/echo")
    def echo(body: Body, caller: CallerDep) -> dict[str, Any]:
        if body.number < 0:
            raise ConflictError(ko="음수입니다.", en="Negative.", number=body.number)
        return {"from": caller.participant.id, "number": body.number}

    @router.get("/bug")
    def bug(uow: UowDep) -> None:
        raise RuntimeError(f"a secret detail of {uow}")

    @router.get("/admin", dependencies=[AdminDep])
    def admin() -> dict[str, bool]:
        return {"ok": True}

    app.include_router(router)
    return app


def call(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://us.example") as client:
            return await client.request(method, path, **options)

    return asyncio.run(run())


def test_an_active_participant_is_answered_once_per_token(app: FastAPI) -> None:
    headers = ALICE.headers()
    first = call(app, "POST", "/echo", json={"number": 1}, headers=headers)
    assert (first.status_code, first.json()) == (200, {"from": ALICE.did, "number": 1})
    again = call(app, "POST", "/echo", json={"number": 1}, headers=headers)
    assert again.status_code == 401
    assert "used before" in again.json()["detail_en"]


def test_a_call_that_failed_has_not_used_its_token_up(app: FastAPI) -> None:
    headers = ALICE.headers()
    refused = call(app, "POST", "/echo", json={"number": -1}, headers=headers)
    assert refused.status_code == 409
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json() == {
        "type": "urn:idb:problem:conflict",
        "title": "이미 있는 내용과 충돌합니다",
        "title_en": "Conflict with what is stored",
        "status": 409,
        "detail": "음수입니다.",
        "detail_en": "Negative.",
        "number": -1,
    }
    assert call(app, "POST", "/echo", json={"number": 1}, headers=headers).status_code == 200


@pytest.mark.parametrize("peer", [PAUSED, REVOKED, Peer("stranger")])
def test_others_are_refused(app: FastAPI, peer: Peer) -> None:
    answer = call(app, "POST", "/echo", json={"number": 1}, headers=peer.headers())
    assert answer.status_code == 401


def test_a_token_for_someone_else_is_refused(app: FastAPI) -> None:
    headers = ALICE.headers(audience="did:web:other.example")
    assert call(app, "POST", "/echo", json={"number": 1}, headers=headers).status_code == 401
    assert call(app, "POST", "/echo", json={"number": 1}).status_code == 401
    basic = {"Authorization": "Basic YTpi"}
    assert call(app, "POST", "/echo", json={"number": 1}, headers=basic).status_code == 401


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"number": "x"}', b'{"number": 1, "more": 2}', b"\xff\xfe"]
)
def test_malformed_bodies_name_the_place_and_change_nothing(app: FastAPI, content: bytes) -> None:
    headers = {**ALICE.headers(), "Content-Type": "application/json"}
    answer = call(app, "POST", "/echo", content=content, headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert call(app, "POST", "/echo", json={"number": 1}, headers=headers).status_code == 200


def test_bodies_are_bounded(app: FastAPI) -> None:
    answer = call(app, "POST", "/echo", content=b" " * 5000, headers=ALICE.headers())
    assert answer.status_code == 413


def test_a_bug_tells_no_secret(app: FastAPI) -> None:
    answer = call(app, "GET", "/bug")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.json()["type"] == "urn:idb:problem:internal"


def test_only_the_admin_token_opens_admin_routes(app: FastAPI) -> None:
    good = {"Authorization": "Bearer admin-secret"}
    assert call(app, "GET", "/admin", headers=good).status_code == 200
    for headers in ({}, {"Authorization": "Bearer admin-secret2"}, ALICE.headers()):
        assert call(app, "GET", "/admin", headers=headers).status_code == 401


def test_a_token_of_any_letters_is_only_wrong(app: FastAPI) -> None:
    for token in ("admin-secr\u00e9t".encode("latin-1"), "관리".encode()):
        headers = {b"Authorization": b"Bearer " + token}
        assert call(app, "GET", "/admin", headers=headers).status_code == 401


def test_health_and_did_document_need_nobody(app: FastAPI) -> None:
    assert call(app, "GET", "/healthz").json() == {"status": "ok"}
    assert call(app, "GET", "/readyz").json() == {"status": "ok"}
    document = call(app, "GET", "/.well-known/did.json").json()
    assert document["id"] == US
    assert document["verificationMethod"][0]["controller"] == US


def test_the_registry_is_asked_again_after_max_age_a_notice_and_not_before() -> None:
    clock, asked = Clock(), []

    def lookup(participant_id: ParticipantId) -> Participant | None:
        asked.append(participant_id)
        return ALICE.participant

    directory = Directory(lookup, clock=clock, max_age_seconds=5, grace_seconds=60)
    for _ in range(3):
        directory.find(ALICE.did)
    assert len(asked) == 1
    directory.forget(ALICE.did)
    directory.find(ALICE.did)
    assert len(asked) == 2
    clock.now += timedelta(seconds=5)
    directory.find(ALICE.did)
    assert len(asked) == 3
