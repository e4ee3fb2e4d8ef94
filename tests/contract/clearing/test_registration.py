"""The service registers itself at the broker, however late the broker comes."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
from fastapi import FastAPI, Request, Response

from clearing.app import create_app
from clearing.registration import Registration
from clearing.settings import ClearingSettings
from databank.kit.clock import system_clock
from schemas.participant import JoinRequest, Role
from schemas.signature import PublicKey
from schemas.token import check
from tests.support.serve import serve

SECONDS_MAX = 30


class Broker:
    """Takes joins after refusing one, and remembers what it was sent."""

    def __init__(self) -> None:
        self.calls: list[tuple[JoinRequest, str, str]] = []
        self.has_joined = threading.Event()

    def app(self, _: int) -> FastAPI:
        app = FastAPI()

        @app.post("/participants")
        async def join(request: Request) -> Response:
            asked = JoinRequest.model_validate_json(await request.body())
            token = request.headers["authorization"].removeprefix("Bearer ")
            self.calls.append((asked, token, request.headers["databank-operator"]))
            if len(self.calls) == 1:
                return Response(status_code=503)
            self.has_joined.set()
            return Response("{}", status_code=201, media_type="application/json")

        return app


def test_the_service_answers_at_once_and_registers_as_operator_when_it_can(
    tmp_path: Path,
) -> None:
    broker = Broker()
    with serve(broker.app) as broker_url:

        def make(port: int) -> FastAPI:
            return create_app(
                ClearingSettings(
                    port=port,
                    data_dir=tmp_path,
                    broker_url=broker_url,
                    operator_secret="open sesame",
                    join_retry_seconds=0.01,
                )
            )

        with serve(make) as url:
            assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
            assert broker.has_joined.wait(SECONDS_MAX)
            method = httpx.get(f"{url}/.well-known/did.json").json()["verificationMethod"][0]
    first, second = broker.calls
    assert first[0] == second[0]
    join, token, secret = second
    assert (join.role, join.handle, join.connector_url) == (Role.OPERATOR, "clearing", url)
    assert secret == "open sesame"
    key = PublicKey(method["id"], method["publicKeyJwk"])
    port = broker_url.rsplit(":", 1)[1]
    audience = f"did:web:localhost%3A{port}"
    claims = check(token, key=key, audience=audience, now=system_clock())
    assert claims.issuer == join.participant_id


def test_registration_stops_while_it_still_fails() -> None:
    tried = threading.Event()

    def register() -> None:
        tried.set()
        raise ConnectionError

    registration = Registration(register, retry_seconds=1_000)
    registration.start()
    assert tried.wait(SECONDS_MAX)
    registration.stop()
