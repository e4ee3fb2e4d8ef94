"""What the company's own people and tools ask of their connector: joining and contracts."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from connector.management import service
from connector.runtime import Runtime, get_runtime
from databank.kit.app import AdminDep
from databank.kit.http import ServiceClient, expect_json
from schemas.ids import ProcessId, did_web
from schemas.management import (
    AgreementList,
    EndRequest,
    Joining,
    NegotiateRequest,
    NegotiationList,
    NegotiationView,
    Services,
    TransferRequest,
    TransferView,
)
from schemas.participant import Participant

router = APIRouter(prefix="/management", tags=["management"], dependencies=[AdminDep])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
WaitDep = Annotated[float, Query(ge=0, le=60, description="Wait so long for a final state.")]
Shown = dict[str, Any]
NEGOTIATE_BYTES_MAX = 4 * 2**20  # it carries the columns of a whole dataset


@router.post("/join", status_code=201)
def join(joining: Joining, runtime: RuntimeDep) -> Participant:
    """Register at the broker, or repeat an earlier registration."""
    return service.join(runtime, joining)


@router.get("/participant")
def participant(runtime: RuntimeDep) -> Participant:
    """Return how the registry knows us."""
    return service.own_participant(runtime)


@router.get("/services")
def services(runtime: RuntimeDep) -> Services:
    """Return where the operator's services are."""
    settings = runtime.settings
    return Services(
        broker_url=settings.broker_url,
        catalog_url=settings.catalog_url,
        clearing_url=settings.clearing_url,
    )


@router.post("/negotiations", status_code=201, max_body_size=NEGOTIATE_BYTES_MAX)
def negotiate(request: NegotiateRequest, runtime: RuntimeDep) -> NegotiationView:
    """Ask for an offer as it stands."""
    return service.negotiate(runtime, request)


@router.get("/negotiations")
def negotiations(
    runtime: RuntimeDep, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> NegotiationList:
    """Return negotiations, latest change first."""
    return service.negotiations(runtime, limit)


@router.get("/negotiations/{pid}")
def negotiation(pid: str, runtime: RuntimeDep, wait_seconds: WaitDep = 0) -> NegotiationView:
    """Return a negotiation, once it is final or the wait is over."""
    return service.wait_for_negotiation(runtime, ProcessId(pid), wait_seconds)


@router.post("/negotiations/{pid}/termination")
def terminate_negotiation(pid: str, request: EndRequest, runtime: RuntimeDep) -> NegotiationView:
    """End a negotiation that is not final."""
    return service.terminate_negotiation(runtime, ProcessId(pid), request.reason)


@router.get("/agreements")
def agreements(
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ref: Annotated[str | None, Query(max_length=100, description="Dataset: handle.name")] = None,
) -> AgreementList:
    """Return agreements, newest first; with ``ref`` those that let us use that dataset now."""
    if ref is not None:
        return service.bought_agreements(runtime, ref)
    return service.agreement_list(runtime, limit)


@router.post("/transfers", status_code=201)
def transfer(request: TransferRequest, runtime: RuntimeDep) -> TransferView:
    """Start the transfer process of an agreement, or return the running one."""
    return service.transfer(runtime, request.agreement_id)


@router.get("/transfers/{pid}")
def transfer_process(pid: str, runtime: RuntimeDep, wait_seconds: WaitDep = 0) -> TransferView:
    """Return a transfer process, once it has left REQUESTED or the wait is over."""
    return service.wait_for_transfer(runtime, ProcessId(pid), wait_seconds)


@router.post("/transfers/{pid}/{change}")
def change_transfer(
    pid: str, change: service.Change, request: EndRequest, runtime: RuntimeDep
) -> TransferView:
    """Start or resume, complete, suspend or terminate; effective at the next read."""
    return service.change_transfer(runtime, ProcessId(pid), change, request.reason)


def _ask_clearing(runtime: Runtime, path: str, params: dict[str, str]) -> Shown:
    clearing = runtime.settings.clearing_url.rstrip("/")
    client: ServiceClient = runtime.client
    answer = client.call("GET", f"{clearing}{path}", audience=did_web(clearing), params=params)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        service.check_joined(runtime)  # says it in our own words, if that is why
    return expect_json(answer)


@router.get("/balance")
def balance(runtime: RuntimeDep) -> Shown:
    """Return our balance at clearing (`schemas.bank.Balance`)."""
    return _ask_clearing(runtime, "/balance", {})


@router.get("/passbook")
def passbook(
    runtime: RuntimeDep,
    cursor: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Shown:
    """Return our passbook at clearing (`schemas.bank.Passbook`)."""
    params = {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
    return _ask_clearing(runtime, "/passbook", params)


@router.get("/statements/{period}")
def statement(
    period: str, runtime: RuntimeDep, number: Annotated[int | None, Query(ge=1, le=2**31)] = None
) -> Shown:
    """Return our latest statement of a period, or one by number (`schemas.bank.Statement`)."""
    service.check_period(period)
    params = {} if number is None else {"number": str(number)}
    return _ask_clearing(runtime, f"/statements/{period}", params)
