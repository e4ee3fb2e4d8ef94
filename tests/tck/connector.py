"""Our connector as the kit meets it: ``python -m tests.tck.connector``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel

from connector.agreement import store as agreements
from connector.app import create_app
from connector.dsp.edge import get_dsp_caller
from connector.negotiation import service as negotiating
from connector.runtime import Deciders, Runtime, get_runtime
from connector.settings import ConnectorSettings, IdentityCheck
from connector.transfer import service as transferring
from databank.kit.app import Caller, get_context
from schemas.ids import AgreementId, DatasetId, OfferId, ParticipantId
from schemas.management import NegotiateRequest
from schemas.participant import Jwk, Participant, Role, Status
from schemas.problem import NotAuthenticatedError
from tests.support.connectors import NOW
from tests.tck.players import NegotiationPlayer, TransferPlayer
from tests.tck.scripts import AUTHORIZATION, PEER
from tests.tck.seeds import RULES, seed

NOBODY: Final = "http://localhost:9"  # no broker, catalog or clearing answers here


class Begin(BaseModel):
    """The kit asks our consumer to negotiate."""

    providerId: str  # noqa: N815 - the kit's spelling
    offerId: str  # noqa: N815
    datasetId: str  # noqa: N815
    connectorAddress: str  # noqa: N815


class BeginTransfer(BaseModel):
    """The kit asks our consumer to begin a transfer process."""

    providerId: str  # noqa: N815 - the kit's spelling
    agreementId: str  # noqa: N815
    format: str
    connectorAddress: str  # noqa: N815


hooks = APIRouter(prefix="/tck")
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]


@hooks.post("/negotiations")
def begin_negotiation(begin: Begin, runtime: RuntimeDep, request: Request) -> dict[str, str]:
    """Ask the kit for an offer, as a company's people do by the management API."""
    asked = NegotiateRequest(
        provider_id=ParticipantId(begin.providerId),
        dataset_id=DatasetId(begin.datasetId),
        offer_id=OfferId(begin.offerId),
        policy=RULES,
    )
    with runtime.database.unit_of_work() as uow:
        begun = negotiating.start(uow, runtime, asked, peer_url=begin.connectorAddress)
    request.app.state.negotiation_player.cue(begun.pid)
    return {"pid": begun.pid}


@hooks.post("/transfers")
def begin_transfer(begin: BeginTransfer, runtime: RuntimeDep, request: Request) -> dict[str, str]:
    """Ask the kit to start a transfer process."""
    with runtime.database.unit_of_work() as uow:
        agreement = agreements.get(uow, AgreementId(begin.agreementId))
        assert agreement is not None, begin
        begun = transferring.request(uow, runtime, agreement, peer_url=begin.connectorAddress)
    assert begun.format == begin.format
    request.app.state.transfer_player.cue(begun.pid)
    return {"pid": begun.pid}


def make_app(folder: Path, *, port: int, peer_url: str, pause_seconds: float) -> FastAPI:
    """Return the connector; the kit listens at ``peer_url``."""
    negotiation_player = NegotiationPlayer(pause_seconds)
    transfer_player = TransferPlayer(pause_seconds)
    settings = ConnectorSettings(
        data_dir=folder,
        port=port,
        public_url=f"http://127.0.0.1:{port}",
        broker_url=NOBODY,
        catalog_url=NOBODY,
        clearing_url=NOBODY,
        identity=IdentityCheck.REGISTRY,
    )
    known: dict[ParticipantId, Participant] = {}
    app = create_app(
        settings, lookup=known.get, deciders=Deciders(negotiation_player, transfer_player)
    )
    runtime: Runtime = app.state.runtime
    known[PEER] = Participant(
        id=PEER,
        handle="tck",
        name="tck",
        brn="1208147521",
        connector_url=peer_url,
        jwk=Jwk.model_validate(runtime.identity.key.public.jwk),  # never used to verify anything
        role=Role.COMPANY,
        status=Status.ACTIVE,
        registered_at=NOW,
    )

    def known_caller(request: Request) -> Iterator[Caller]:
        if request.headers.get("authorization") != AUTHORIZATION:
            raise NotAuthenticatedError(ko="시험 도구가 아닙니다.", en="This is not the kit.")
        with get_context(request).database.unit_of_work() as uow:
            yield Caller(known[PEER], uow)

    app.dependency_overrides[get_dsp_caller] = known_caller
    app.include_router(hooks)
    app.state.negotiation_player = negotiation_player
    app.state.transfer_player = transfer_player
    negotiation_player.runtime = transfer_player.runtime = runtime
    seed(runtime, PEER)
    return app


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--peer-url", required=True)
    parser.add_argument("--pause-seconds", type=float, default=0.5)
    given = parser.parse_args()
    app = make_app(
        given.folder, port=given.port, peer_url=given.peer_url, pause_seconds=given.pause_seconds
    )
    uvicorn.run(app, host="127.0.0.1", port=given.port, ws="none", log_config=None)


if __name__ == "__main__":
    main()
