"""A participant of another make: its own DID document and credential service, at our mercy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from databank.kit.clock import new_secret, new_urn, system_clock
from databank.kit.http import Identity, ServiceClient
from databank.kit.keys import KEY_FILE
from schemas.dcp.credential import (
    KIND_OF,
    MEMBERSHIP,
    MEMBERSHIP_SCHEMA,
    Credential,
    StatusRef,
    issue_credential,
)
from schemas.dcp.did import DidDocument, ServiceType
from schemas.dcp.jose import encode_base64url, read_jwt
from schemas.dcp.message import PresentationResponseMessage, Profile
from schemas.dcp.presentation import issue_presentation
from schemas.ids import ParticipantId, did_web
from schemas.signature import PublicKey, SigningKey, generate_key
from tests.support.registry import brn_of
from tests.support.serve import serve


@dataclass(frozen=True)
class EcKey:
    """A P-256 key as other makes have it."""

    kid: str
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def public(self) -> PublicKey:
        numbers = self.private.public_key().public_numbers()
        x, y = (encode_base64url(number.to_bytes(32)) for number in (numbers.x, numbers.y))
        return PublicKey(self.kid, {"kty": "EC", "crv": "P-256", "x": x, "y": y})

    def jwt(self, claims: dict[str, Any], **header: Any) -> str:
        """Sign claims with ES256."""
        fields = {"alg": "ES256", "typ": "JWT", "kid": self.kid, **header}
        parts = [encode_base64url(json.dumps(part).encode()) for part in (fields, claims)]
        signed = ".".join(parts)
        der = self.private.sign(signed.encode(), ec.ECDSA(SHA256()))
        raw = b"".join(number.to_bytes(32) for number in decode_dss_signature(der))
        return f"{signed}.{encode_base64url(raw)}"


@dataclass
class Wallet:
    """A caller whose credential service shows ``credentials``, or ``answer`` as it is."""

    url: str
    key: SigningKey
    credentials: list[str] = field(default_factory=list)
    answer: dict[str, Any] | None = None
    status: int = 200
    profile: Profile = Profile.VC11
    shown_to: ParticipantId | None = None  # instead of who asks
    service_url: str | None = None  # instead of its own
    other_keys: list[PublicKey] = field(default_factory=list)
    queries: int = 0
    document_reads: int = 0
    access_tokens: list[str] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)

    @property
    def did(self) -> ParticipantId:
        return did_web(self.url)

    def client(self, http: httpx.Client) -> ServiceClient:
        identity = Identity(self.did, self.key)
        return ServiceClient(identity, clock=system_clock, make_jti=new_secret, http=http)

    def token(self, audience: str, *, access_token: str | None = "opaque") -> dict[str, str]:
        with httpx.Client(trust_env=False) as http:
            return self.client(http).authorization(audience, access_token=access_token)

    def join(self, broker: str, handle: str) -> None:
        body = {
            "handle": handle,
            "name": handle,
            "brn": brn_of(handle),
            "connector_url": self.url,
            "jwk": self.key.public.jwk,
        }
        headers = self.token(did_web(broker), access_token=None)
        with httpx.Client(trust_env=False) as http:
            answer = http.post(f"{broker}/participants", json=body, headers=headers)
        assert answer.status_code == 201, answer.text

    def present(self, verifier: ParticipantId) -> dict[str, Any]:
        if self.answer is not None:
            return self.answer
        presentation = issue_presentation(
            self.credentials,
            profile=self.profile,
            key=self.key,
            holder=self.did,
            verifier=self.shown_to or verifier,
            now=system_clock(),
            jti=new_secret(),
        )
        return PresentationResponseMessage(presentation=(presentation,)).to_json()


@contextmanager
def wallet() -> Iterator[Wallet]:
    """Run a wallet on a free port."""
    made: list[Wallet] = []

    def make(port: int) -> FastAPI:
        url = f"http://localhost:{port}"
        one = Wallet(url, generate_key(did_web(url)))
        made.append(one)
        return _app(one)

    with serve(make):
        yield made[0]


def _app(one: Wallet) -> FastAPI:
    app = FastAPI()

    @app.get("/.well-known/did.json")
    def document() -> dict[str, Any]:
        one.document_reads += 1
        services = [(ServiceType.CREDENTIAL, one.service_url or f"{one.url}/wallet")]
        return DidDocument.of(one.did, [one.key.public, *one.other_keys], services).to_json()

    @app.post("/wallet/presentations/query")
    def query(request: Request) -> JSONResponse:
        one.queries += 1
        token = request.headers["authorization"].removeprefix("Bearer ")
        claims = read_jwt(token).claims
        one.access_tokens.append(str(claims.get("token")))
        return JSONResponse(one.present(ParticipantId(claims["iss"])), one.status)

    @app.post("/wallet/credentials")
    def credentials(body: dict[str, Any]) -> dict[str, str]:
        one.got.append(body)
        return {}

    return app


@dataclass(frozen=True)
class Issuer:
    """Somebody who signs membership credentials, such as the broker with its key."""

    did: ParticipantId
    key: SigningKey
    lists_url: str | None = None

    @classmethod
    def broker(cls, url: str, folder: Path) -> Issuer:
        """Return the running broker as the issuer that it is."""
        did = did_web(url)
        private = json.loads((folder / KEY_FILE).read_text(encoding="utf-8"))
        fragment = private.pop("kid")
        key = SigningKey(f"{did}#{fragment}", private)
        return cls(did, key, f"{url}/issuer/status-lists")

    def issue(self, holder: ParticipantId, **changes: Any) -> str:
        """Return a membership credential; ``changes`` are of its fields."""
        now = datetime.now(UTC)  # noqa: TID251 - as an issuer of another make does
        index, profile = changes.pop("index", 100_000), changes.pop("profile", Profile.VC11)
        statuses: tuple[StatusRef, ...] = ()
        if self.lists_url is not None:
            url = f"{self.lists_url}/{'vc11' if profile is Profile.VC11 else 'vc20'}/0"
            statuses = (StatusRef(KIND_OF[profile], "revocation", url, index),)
        subject = {"id": holder, "handle": "wallet", "name": "wallet", "memberOf": self.did}
        credential = Credential(
            id=new_urn(),
            issuer=self.did,
            types=("VerifiableCredential", MEMBERSHIP),
            subject=subject,
            valid_from=now - timedelta(minutes=1),
            valid_until=now + timedelta(hours=1),
            profile=profile,
            statuses=statuses,
            schemas=(MEMBERSHIP_SCHEMA,),
        )
        return issue_credential(replace(credential, **changes), key=self.key, now=now)
