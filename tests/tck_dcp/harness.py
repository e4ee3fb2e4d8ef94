"""Our broker and connector as the TCK's system under test, with what only the TCK wants.

The TCK wants a token endpoint (STS) for our holder and an endpoint that triggers our verifier.
Neither is part of the product: both stand here. The TCK plays the other roles itself, under
``did:web`` of its own address; our registry does not know them, so their documents are fetched.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from connector.identity import store
from connector.identity.model import Asked
from databank.kit.app import bearer, consume_token
from databank.kit.clock import new_secret
from schemas.dcp.message import RequestStatus
from schemas.dcp.token import issue_access_token
from schemas.ids import ParticipantId, did_web
from schemas.problem import ProblemError
from schemas.token import issue
from tests.support.connectors import Running, connector
from tests.support.registry import brn_of, running_broker
from tests.support.serve import serve

CLIENT: Final = ("tck-client", new_secret())
HOLDER_PID: Final = "tck-holder-pid"
ROLES: Final = ("holder", "verifier", "issuer", "thirdparty")


def tck_did(callback: str, role: str) -> str:
    """Return the DID of one of the TCK's own roles."""
    return f"{did_web(callback)}:{role}"


def token_endpoint(app: FastAPI, ours: Running) -> None:
    """Add the STS: OAuth 2 client credentials, as the TCK calls it."""

    @app.post("/token")
    async def token(request: Request) -> JSONResponse:
        form = {
            name: values[0] for name, values in parse_qs((await request.body()).decode()).items()
        }
        if (form.get("client_id"), form.get("client_secret")) != CLIENT:
            return JSONResponse({"error": "invalid_client"}, 401)
        audience, scopes = form["audience"], form.get("bearer_access_scope", "").split()
        runtime = ours.runtime
        access_token = issue_access_token(
            key=runtime.identity.key,
            own=runtime.did,
            verifier=audience,
            scopes=scopes,
            now=runtime.clock(),
            jti=new_secret(),
        )
        id_token = issue(
            key=runtime.identity.key,
            issuer=runtime.did,
            audience=audience,
            now=runtime.clock(),
            jti=new_secret(),
            access_token=access_token,
        )
        return JSONResponse({"access_token": id_token, "token_type": "Bearer", "expires_in": 60})


def trigger_endpoint(app: FastAPI, ours: Running) -> None:
    """Add what lets the TCK's holder be verified by our verifier; the body is not looked at."""

    @app.post("/trigger")
    def trigger(request: Request) -> JSONResponse:
        runtime = ours.runtime
        try:
            claims = runtime.verifier.check_token(bearer(request))
            with runtime.database.unit_of_work() as uow:
                consume_token(uow, claims)
            runtime.verifier.forget(claims.issuer)  # each test presents something else
            runtime.verifier.require_membership(claims)
        except ProblemError as error:
            return JSONResponse(error.to_json(), 401)
        return JSONResponse({"verified": claims.issuer})


def expect_credentials(ours: Running, callback: str) -> None:
    """Note the request that the TCK's issuer will answer."""
    runtime, issuer = ours.runtime, ParticipantId(tck_did(callback, "issuer"))
    asked = Asked(HOLDER_PID, issuer, RequestStatus.RECEIVED, runtime.clock())
    with runtime.database.unit_of_work() as uow:
        store.note_request(uow, asked)


def properties(callback: str, ours: Running, broker: str, url: str) -> dict[str, dict[str, str]]:
    """Return, for each of the TCK's packages, who plays which role and where."""
    theirs = {role: tck_did(callback, role) for role in ROLES}
    common = {
        "dataspacetck.callback.address": callback,
        "dataspacetck.host": "127.0.0.1",
        "dataspacetck.port": str(urlsplit(callback).port),
        "dataspacetck.sts.url": url,
        "dataspacetck.sts.client.id": CLIENT[0],
        "dataspacetck.sts.client.secret": CLIENT[1],
        "dataspacetck.credentials.correlation.id": HOLDER_PID,
        "dataspacetck.vpp.trigger.endpoint": f"{url}/trigger",
        "dataspacetck.revocation.type": "statuslist2021",
    }
    under_test = {
        "presentation.cs": {"holder": ours.runtime.did},
        "presentation.verifier": {"verifier": ours.runtime.did},
        "issuance.cs": {"holder": ours.runtime.did},
        "issuance.issuer": {"issuer": did_web(broker)},
    }
    return {
        package: {
            **common,
            "dataspacetck.test.package": f"org.eclipse.dataspacetck.dcp.verification.{package}",
            **{f"dataspacetck.did.{role}": did for role, did in {**theirs, **own}.items()},
        }
        for package, own in under_test.items()
    }


@contextmanager
def system(callback: str) -> Iterator[dict[str, dict[str, str]]]:
    """Run everything; yield the TCK's properties, package by package."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(running_broker(folder / "broker"))
        trusted = (did_web(broker), tck_did(callback, "issuer"))
        ours = stack.enter_context(
            connector(folder / "connector", None, "tck", broker_url=broker, trusted_issuers=trusted)
        )
        body = {"handle": "tck", "name": "tck", "brn": brn_of("tck")}
        joined = ours.manage("POST", "/join", json=body)
        assert joined.status_code == httpx.codes.CREATED, joined.text
        expect_credentials(ours, callback)
        app = FastAPI()
        token_endpoint(app, ours)
        trigger_endpoint(app, ours)
        url = stack.enter_context(serve(lambda _: app))
        yield properties(callback, ours, broker, url)


def main() -> None:
    """Start, print the properties as JSON on one line, run until standard input closes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--callback", required=True, help="URL at which the TCK listens")
    with system(parser.parse_args().callback) as by_package:
        sys.stdout.write(json.dumps(by_package) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
