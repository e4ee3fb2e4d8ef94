"""Management routes for using data, and for looking at the meter."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Header, Response
from fastapi.responses import StreamingResponse

from connector.dataplane import client
from connector.dataplane.bought import agreed_dataset
from connector.dataplane.routes import DECISIONS_MAX, DecisionList, QuoteRequest
from connector.metering import store as meter
from connector.policy import store as decisions
from connector.runtime import Runtime, get_runtime
from databank.kit.app import AdminDep, UowDep
from databank.kit.routes import Router
from schemas.dataset import Dataset
from schemas.ids import AgreementId
from schemas.management import QueryRequest, Quote
from schemas.spending import TOTAL_MAX_HEADER, TotalMax
from schemas.wire import OwnWire

router: Final = Router(prefix="/management", tags=["management"], dependencies=[AdminDep])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
PASSED_ON: Final = (
    "content-type",
    "content-length",
    "content-range",
    "accept-ranges",
    "etag",
    "databank-rows",
    "databank-bytes",
    "databank-compute-ms",
    "databank-charge-micro",
    "databank-vat-micro",
    "databank-result-sha256",
)


class MeterView(OwnWire):
    """Where our meter stands: records made, and records that clearing has signed for."""

    epoch: int
    recorded: int
    acknowledged: int


def _passed_on(answer: client.Streamed) -> Response:
    response, pieces = answer
    headers = {name: response.headers[name] for name in PASSED_ON if name in response.headers}
    return StreamingResponse(pieces, status_code=response.status_code, headers=headers)


@router.post("/agreements/{agreement_id}/query", response_class=Response)
def query(agreement_id: AgreementId, request: QueryRequest, runtime: RuntimeDep) -> Response:
    """Send SQL to the supplier; the answer is an Arrow IPC stream."""

    def send(address: client.Address, most: int | None) -> client.Streamed:
        body = request.model_copy(update={"total_max_micro": most}).to_json()
        return client.stream(runtime, address, "POST", "/query", body=body, query=request)

    wanted = request.total_max_micro
    return _passed_on(client.spend(runtime, agreement_id, request.query_id, wanted, send))


@router.post("/agreements/{agreement_id}/quote")
def quote(agreement_id: AgreementId, request: QuoteRequest, runtime: RuntimeDep) -> Quote:
    """Ask the supplier what a query or the whole file would cost."""
    with runtime.waited.waiting(agreement_id, request.sql or ""):
        answer = client.ask(runtime, agreement_id, "POST", "/quote", request.to_json())
    return client.understood(Quote, answer)


@router.get("/agreements/{agreement_id}/data", response_class=Response)
def data(
    agreement_id: AgreementId,
    runtime: RuntimeDep,
    range_: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Annotated[str | None, Header()] = None,
    total_max_micro: Annotated[TotalMax | None, Header(alias=TOTAL_MAX_HEADER)] = None,
) -> Response:
    """Read the Arrow IPC file, or a byte range of it."""

    def send(address: client.Address, most: int | None) -> client.Streamed:
        maximum = None if most is None else str(most)
        headers = {"Range": range_, "If-Range": if_range, TOTAL_MAX_HEADER: maximum}
        given = {name: value for name, value in headers.items() if value is not None}
        return client.stream(runtime, address, "GET", "", headers=given)

    act_id = runtime.make_id()
    return _passed_on(client.spend(runtime, agreement_id, act_id, total_max_micro, send))


@router.get("/agreements/{agreement_id}/dataset")
def show_dataset(agreement_id: AgreementId, runtime: RuntimeDep) -> Dataset:
    """Return what we bought: the licensed relation as the supplier told it first."""
    return agreed_dataset(runtime, agreement_id)


@router.get("/agreements/{agreement_id}/decisions")
def list_decisions(agreement_id: AgreementId, runtime: RuntimeDep) -> DecisionList:
    """Return the policy decisions: our own as supplier, the supplier's as buyer."""
    agreement = client.agreement_of(runtime, agreement_id)
    if not client.is_supplier(agreement):
        if agreement.is_over(runtime.clock()):
            return DecisionList.model_validate(client.past_decisions(runtime, agreement))
        answer: dict[str, Any] = client.ask(runtime, agreement_id, "GET", "/decisions")
        return client.understood(DecisionList, answer)
    with runtime.database.unit_of_work() as uow:
        found = decisions.newest(uow, agreement_id, limit=DECISIONS_MAX)
    return DecisionList(decisions=tuple(found))


@router.get("/meter")
def show_meter(uow: UowDep) -> MeterView:
    """Say how many acts were recorded, and how many of them clearing has acknowledged."""
    stream = meter.stream(uow)
    return MeterView(
        epoch=stream.epoch, recorded=stream.next_seq - 1, acknowledged=stream.acked_seq
    )
