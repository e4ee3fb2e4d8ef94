"""The TCK's harness works, tried with a peer whose tokens and credentials look like the TCK's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from databank.kit.clock import new_secret, system_clock
from schemas.dcp.credential import MEMBERSHIP
from schemas.dcp.did import DidDocument, ServiceType
from schemas.dcp.jose import read_jwt
from schemas.dcp.message import CONTEXT, type_scope
from schemas.ids import ParticipantId, did_web
from tests.support.serve import serve
from tests.support.wallet import EcKey
from tests.tck_dcp.harness import HOLDER_PID, system, tck_did


@dataclass
class Peer:
    """Holder, issuer and verifier at one address, each with a P-256 key."""

    url: str
    keys: dict[str, EcKey] = field(default_factory=dict)
    verifier: str = ""  # for whom presentations are made
    credential_changes: dict[str, Any] = field(default_factory=dict)

    def did(self, role: str) -> ParticipantId:
        return ParticipantId(tck_did(self.url, role))

    def key(self, role: str) -> EcKey:
        return self.keys.setdefault(role, EcKey(f"{self.did(role)}#key"))

    def token(self, role: str, audience: str, **claims: Any) -> str:
        now = int(system_clock().timestamp())
        own = self.did(role)
        base = {"iss": own, "sub": own, "aud": audience, "iat": now, "exp": now + 600}
        return self.key(role).jwt({**base, "jti": new_secret(), **claims})

    def credential(self, subject: str) -> str:
        now = int(system_clock().timestamp())
        vc = {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "id": new_secret(),
            "type": ["VerifiableCredential", MEMBERSHIP],
            "issuer": self.did("issuer"),
            "issuanceDate": "2026-01-01T00:00:00.123456789Z",
            "credentialSubject": {"id": subject, "foo": "bar"},
            **self.credential_changes,
        }
        claims = {"iss": self.did("issuer"), "sub": subject, "jti": new_secret(), "vc": vc}
        return self.key("issuer").jwt({**claims, "iat": now, "nbf": now, "exp": now + 300})

    def presentation(self, verifier: str) -> str:
        held = [self.credential(self.did("holder"))]
        vp = {"context": ["x"], "type": "VerifiablePresentation", "verifiableCredential": held}
        return self.token("holder", verifier, vp=vp)


@pytest.fixture
def peer() -> Iterator[Peer]:
    made: list[Peer] = []

    def make(port: int) -> FastAPI:
        one = Peer(f"http://localhost:{port}")
        made.append(one)
        app = FastAPI()

        @app.get("/{role}/did.json")
        def document(role: str) -> dict[str, Any]:
            services = [(ServiceType.CREDENTIAL, one.url)]
            return DidDocument.of(one.did(role), [one.key(role).public], services).to_json()

        @app.post("/presentations/query")
        def query(body: dict[str, Any]) -> dict[str, Any]:
            assert body["scope"] == [type_scope(MEMBERSHIP)]
            shown = [one.presentation(one.verifier)]
            return {
                "@context": list(CONTEXT),
                "type": "PresentationResponseMessage",
                "presentation": shown,
            }

        return app

    with serve(make):
        yield made[0]


@pytest.fixture
def parts(peer: Peer) -> Iterator[dict[str, dict[str, str]]]:
    with system(peer.url) as properties:
        yield properties


def test_the_verifier_is_triggered(peer: Peer, parts: dict[str, dict[str, str]]) -> None:
    properties = parts["presentation.verifier"]
    assert properties["dataspacetck.did.holder"] == peer.did("holder")
    verifier = properties["dataspacetck.did.verifier"]
    peer.verifier = verifier

    def trigger(**claims: Any) -> int:
        token = peer.token("holder", verifier, **{"token": "opaque", **claims})
        headers = {"Authorization": f"Bearer {token}"}
        url = properties["dataspacetck.vpp.trigger.endpoint"]
        return httpx.post(url, headers=headers, content=b"not looked at").status_code

    assert trigger() == 200
    assert trigger(token=None) == 401
    assert trigger(aud=peer.did("thirdparty")) == 401
    assert trigger(sub=peer.did("thirdparty")) == 401
    jti = new_secret()
    assert (trigger(jti=jti), trigger(jti=jti)) == (200, 401)
    for changes in (
        {"expirationDate": "2026-01-02T00:00:00Z"},
        {"issuanceDate": "2099-01-02T00:00:00Z"},
        {"credentialSubject": {"id": peer.did("thirdparty")}},
        {"type": ["VerifiableCredential", "OtherCredential"]},
        {"credentialSchema": {"id": f"{peer.url}/schema", "type": "JsonSchemaValidator2018"}},
    ):
        peer.credential_changes = changes
        assert trigger() == 401, changes


def test_the_holder_takes_and_shows_credentials(
    peer: Peer, parts: dict[str, dict[str, str]]
) -> None:
    properties = parts["presentation.cs"]
    holder, verifier = properties["dataspacetck.did.holder"], peer.did("verifier")
    base = _service(holder)
    message = {
        "@context": list(CONTEXT),
        "type": "CredentialMessage",
        "issuerPid": "1",
        "holderPid": HOLDER_PID,
        "status": "ISSUED",
        "credentials": [
            {
                "credentialType": MEMBERSHIP,
                "format": "VC1_0_JWT",
                "payload": peer.credential(holder),
            }
        ],
    }
    headers = {"Authorization": f"Bearer {peer.token('issuer', holder)}"}
    answer = httpx.post(f"{base}/credentials", json=message, headers=headers)
    assert answer.status_code == 200, answer.text
    form = {
        "grant_type": "client_credentials",
        "client_id": properties["dataspacetck.sts.client.id"],
        "client_secret": properties["dataspacetck.sts.client.secret"],
        "audience": verifier,
        "bearer_access_scope": type_scope(MEMBERSHIP),
    }
    granted = httpx.post(f"{properties['dataspacetck.sts.url']}/token", data=form)
    access_token = read_jwt(granted.json()["access_token"]).claims["token"]
    headers = {"Authorization": f"Bearer {peer.token('verifier', holder, token=access_token)}"}
    query = {
        "@context": list(CONTEXT),
        "type": "PresentationQueryMessage",
        "scope": [type_scope(MEMBERSHIP)],
    }
    shown = httpx.post(f"{base}/presentations/query", json=query, headers=headers).json()
    issuers = {
        read_jwt(token).claims["iss"]
        for presentation in shown["presentation"]
        for token in read_jwt(presentation).claims["vp"]["verifiableCredential"]
    }
    broker = parts["issuance.issuer"]["dataspacetck.did.issuer"]
    assert issuers == {peer.did("issuer"), broker}
    form["client_secret"] = "wrong"
    assert httpx.post(f"{properties['dataspacetck.sts.url']}/token", data=form).status_code == 401


def _service(did: str) -> str:
    url = "http://" + did.removeprefix("did:web:").replace("%3A", ":")
    assert did_web(url) == did
    document = httpx.get(f"{url}/.well-known/did.json").json()
    return str(document["service"][0]["serviceEndpoint"])
