"""The buyer's side: use an agreement's data through our own connector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeAlias, TypeVar

import httpx
import structlog
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from connector.agreement import store as agreements
from connector.agreement.model import Agreement
from connector.egress import check_url
from connector.management import transfers as starting
from connector.policy.evaluate import Code
from connector.receiving import service as receiving
from connector.runtime import Runtime
from connector.side import Side
from connector.spending import service as spending
from connector.transfer import store as transfers
from connector.transfer.machine import FINAL, State
from databank.kit.app import PROBLEM
from databank.kit.http import expect_json
from schemas.arrow_count import ArrowCount, Received
from schemas.dsp.transfer import DataAddress
from schemas.ids import AgreementId, ParticipantId, ProcessId
from schemas.management import QueryRequest
from schemas.problem import ConflictError, NotFoundError, ProblemError, RemoteUnavailableError
from schemas.wire import OwnWire, Text

ERROR_BYTES_MAX: Final = 64 * 1024
COMPUTE_HEADER: Final = "databank-compute-ms"
COMPUTE_DIGITS_MAX: Final = 12
PIECE_BYTES: Final = 2**18  # each passes through a thread on its way
T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=OwnWire)
log = structlog.get_logger()


class SupplierRefusedError(ProblemError):
    """The supplier's connector refused; its problem is passed on as it is."""

    slug = "supplier-refused"
    title = Text(ko="공급기업이 거절했습니다", en="The supplier refused")
    status = 502

    def __init__(self, remote_status: int, problem: dict[str, Any]) -> None:
        detail = str(problem.get("detail") or problem.get("title") or f"HTTP {remote_status}")
        super().__init__(ko=detail, en=str(problem.get("detail_en") or detail))
        self.remote_status = remote_status
        self.problem = problem

    @property
    def is_certain(self) -> bool:
        """Whether the supplier has neither delivered nor metered: it decided, and did not fail."""
        return self.remote_status < HTTPStatus.INTERNAL_SERVER_ERROR or bool(
            self.problem.get("retryable")
        )

    @property
    def type(self) -> str:
        """The supplier's own problem type."""
        return str(self.problem.get("type") or super().type)

    def to_json(self) -> dict[str, Any]:
        """Return the supplier's problem, with the status it had."""
        return {**super().to_json(), **self.problem, "status": self.remote_status}


async def on_supplier_refused(_: Request, error: Exception) -> Response:
    """Answer with the supplier's own problem and status."""
    assert isinstance(error, SupplierRefusedError)
    headers = {"Retry-After": "1"} if error.members.get("retryable") else None
    return JSONResponse(
        error.to_json(), status_code=error.remote_status, media_type=PROBLEM, headers=headers
    )


class TransferEndedError(ConflictError):
    """The supplier ended the transfer process, or refused to start one."""

    slug = "transfer-ended"
    title = Text(ko="전송이 끝났습니다", en="The transfer process has ended")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an agreement's data are, and the secret that opens them."""

    agreement_id: AgreementId
    endpoint: str
    secret: str
    audience: str


def open_address(runtime: Runtime, agreement_id: AgreementId) -> Address:
    """Return the agreement's data address; start a transfer process if none runs.

    Raises:
        NotFoundError: We hold no such agreement as consumer.
        ForeignUrlError: The supplier named an address that is not its own.
        TransferEndedError: The supplier does not start it.
        RemoteUnavailableError: The supplier has not started the process in time.
    """
    process = starting.running(runtime, agreement_id)
    if process.state is not State.STARTED:
        process = starting.wait_until_started(runtime, process.pid)
    if process.state in FINAL:
        why = process.reason or process.state.value
        raise TransferEndedError(
            ko=f"공급기업이 전송을 끝냈습니다: {why}. 합의를 확인하세요: `databank agreements`.",
            en=f"The supplier ended the transfer process: {why}. Look at the agreement with "
            "`databank agreements`.",
            code=process.reason_code,
        )
    if process.state is not State.STARTED or process.data_address is None:
        state = process.state.value
        raise RemoteUnavailableError(
            ko=f"전송이 아직 시작되지 않았습니다 (상태 {state}). 잠시 뒤 다시 시도하세요.",
            en=f"The transfer has not started (state {state}). Try again soon.",
            retryable=True,
        )
    address = DataAddress.model_validate(process.data_address)
    endpoint = address.value("endpoint") or ""
    check_url(runtime.directory, endpoint, process.counterparty_id)
    secret = address.value("authorization") or ""
    return Address(agreement_id, endpoint, secret, process.counterparty_id)


def past_decisions(runtime: Runtime, agreement: Agreement) -> dict[str, Any]:
    """Return the supplier's decisions under an agreement that is over.

    Its data address is gone; what was decided at it can be read without its secret.

    Raises:
        NotFoundError: There was no transfer process under it, or the supplier is unknown.
        SupplierRefusedError: The supplier's own problem.
    """
    with runtime.database.unit_of_work() as uow:
        process = transfers.latest(uow, agreement.id)
    supplier = runtime.directory.find(agreement.provider_id)
    if process is None or process.provider_pid is None or supplier is None:
        raise NotFoundError(
            ko="끝난 합의이고, 그동안 데이터를 쓴 적이 없어 결정이 없습니다.",
            en="The agreement is over, and no data was used under it: there are no decisions.",
        )
    url = f"{supplier.connector_url.rstrip('/')}/data/{process.provider_pid}/decisions"
    response = runtime.client.call("GET", url, audience=supplier.id)
    _raise_refusal(response)
    return expect_json(response)


def agreement_of(runtime: Runtime, agreement_id: AgreementId) -> Agreement:
    """Return one of our agreements, whatever our side.

    Raises:
        NotFoundError: There is none.
    """
    with runtime.database.unit_of_work() as uow:
        agreement = agreements.get(uow, agreement_id)
    if agreement is None:
        raise NotFoundError(ko="그런 합의가 없습니다.", en="There is no such agreement.")
    return agreement


def is_supplier(agreement: Agreement) -> bool:
    """Whether we are the supplier of an agreement."""
    return agreement.side is Side.PROVIDER


def understood(model: type[ModelT], told: object) -> ModelT:
    """Return what a supplier told, as a message of ours.

    Raises:
        SupplierRefusedError: It is none.
    """
    try:
        return model.model_validate(told)
    except ValueError:
        raise SupplierRefusedError(
            HTTPStatus.BAD_GATEWAY,
            {
                "title": "공급기업의 답을 읽을 수 없습니다",
                "title_en": "The supplier's answer cannot be read",
                "detail": "공급기업이 정해진 형식이 아닌 답을 보냈습니다. 공급기업에 문의하세요.",
                "detail_en": "The supplier's answer does not have the documented form. Ask it.",
            },
        ) from None


def ask(
    runtime: Runtime,
    agreement_id: AgreementId,
    method: str,
    path: str,
    body: Any = None,  # noqa: ANN401
) -> dict[str, Any]:
    """Ask the supplier for JSON.

    Raises:
        SupplierRefusedError: Its own problem.
    """
    address = open_address(runtime, agreement_id)

    def asked() -> dict[str, Any]:
        response = runtime.client.call(
            method,
            address.endpoint + path,
            audience=address.audience,
            json=body,
            access_token=address.secret,
        )
        _raise_refusal(response)
        return expect_json(response)

    return _shown_again(runtime, address, asked)


def _shown_again(runtime: Runtime, address: Address, attempt: Callable[[], T]) -> T:
    """Repeat what was denied because the supplier has to see our credential again.

    Data routes take no credential: any call of the protocol makes the supplier ask for it.
    """
    try:
        return attempt()
    except SupplierRefusedError as error:
        if error.problem.get("code") != Code.RECIPIENT_UNVERIFIED.value:
            raise
    supplier = runtime.directory.find(ParticipantId(address.audience))
    if supplier is not None:
        pid = address.endpoint.rsplit("/", 1)[-1]
        runtime.client.call("GET", f"{supplier.dsp_url}/transfers/{pid}", audience=supplier.id)
    return attempt()


@contextmanager
def _opened(
    runtime: Runtime,
    address: Address,
    method: str,
    path: str,
    *,
    body: Any,  # noqa: ANN401 - any JSON value
    headers: dict[str, str],
) -> Iterator[httpx.Response]:
    with runtime.client.stream(
        method,
        address.endpoint + path,
        audience=address.audience,
        json=body,
        headers={**headers, "Accept-Encoding": "identity"},
        access_token=address.secret,
    ) as response:
        if not response.is_success:
            _read_error(response)
            _raise_refusal(response)
        yield response


Streamed: TypeAlias = tuple[httpx.Response, Iterator[bytes]]


def spend(
    runtime: Runtime,
    agreement_id: AgreementId,
    act_id: str,
    wanted_micro: int | None,
    send: Callable[[Address, int | None], Streamed],
) -> Streamed:
    """Send an act within our spending limit.

    ``send`` is given the agreement's data address, and the most that the act may cost.

    Raises:
        SpendingLimitError: Nothing is left of the limit, or all is set aside: see `reserve`.
        SupplierRefusedError: The supplier's own problem.
    """
    address = open_address(runtime, agreement_id)  # what fails here was not sent
    most = spending.reserve(runtime, agreement_id, act_id, wanted_micro)
    try:
        response, pieces = send(address, most)
    except SupplierRefusedError as refusal:
        if refusal.is_certain:
            spending.release(runtime, agreement_id, act_id)
        raise
    spending.settle(runtime, agreement_id, act_id, response.headers)
    return response, pieces


def stream(
    runtime: Runtime,
    address: Address,
    method: str,
    path: str,
    *,
    body: Any = None,  # noqa: ANN401 - any JSON value
    headers: dict[str, str] | None = None,
    query: QueryRequest | None = None,
) -> Streamed:
    """Open a stream at the supplier; its head is there, its body follows piece by piece.

    Of a query's answer we count what comes: what arrived whole is acknowledged.

    Raises:
        SupplierRefusedError: Its own problem.
    """

    def opening() -> tuple[httpx.Response, ExitStack]:
        with ExitStack() as stack:
            response = stack.enter_context(
                _opened(runtime, address, method, path, body=body, headers=headers or {})
            )
            return response, stack.pop_all()

    with runtime.waited.waiting(address.agreement_id, query.sql) if query else nullcontext():
        response, opened = _shown_again(runtime, address, opening)

    def pieces() -> Iterator[bytes]:
        count = ArrowCount()
        with opened:
            for piece in response.iter_raw(PIECE_BYTES):
                if query is not None:
                    count.feed(piece)
                yield piece
        if query is not None and count.received is not None:
            _acknowledge(runtime, address, query, count.received, said_ms=_compute_ms(response))

    return response, pieces()


def _compute_ms(response: httpx.Response) -> int:
    """Return the processor time that the supplier says an answer took it, in milliseconds."""
    said = response.headers.get(COMPUTE_HEADER, "0")
    is_number = len(said) <= COMPUTE_DIGITS_MAX and said.isascii() and said.isdigit()
    return int(said) if is_number else 0


def _acknowledge(
    runtime: Runtime, address: Address, query: QueryRequest, what: Received, *, said_ms: int
) -> None:
    """Note what came; whoever asked has it already, whatever becomes of the note."""
    process_id = ProcessId(address.endpoint.rsplit("/", 1)[-1])
    agreement_id, query_id = address.agreement_id, query.query_id
    try:
        receiving.note_query(
            runtime, agreement_id, process_id, query_id, what, sql=query.sql, said_ms=said_ms
        )
    except Exception as error:  # noqa: BLE001 - the answer is not taken back
        log.warning("answer_not_acknowledged", error=type(error).__name__, query_id=query.query_id)


def _read_error(response: httpx.Response) -> None:
    body = bytearray()
    for piece in response.iter_raw():
        body += piece
        if len(body) > ERROR_BYTES_MAX:
            break
    response._content = bytes(body[:ERROR_BYTES_MAX])  # noqa: SLF001 - httpx has no bounded read


def _raise_refusal(response: httpx.Response) -> None:
    if response.is_success:
        return
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    raise SupplierRefusedError(response.status_code, problem if isinstance(problem, dict) else {})
