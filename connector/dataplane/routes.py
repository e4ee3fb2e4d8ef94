"""The data address: read the file, ask with SQL, ask what it would cost, see decisions."""

from __future__ import annotations

import mmap
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from connector.dataplane import service
from connector.dataplane.access import Access, load
from connector.dataplane.pool import QueryPool
from connector.dataplane.ranges import UnsatisfiableRangeError, parse_range
from connector.dataplane.visit import TokensInUse, Visit
from connector.metering.store import Stored
from connector.policy import store as decisions
from connector.publish.arrow_file import FileIndex, read_index
from connector.runtime import Runtime, get_runtime, runtime_of
from databank.kit.app import CallerDep, get_context, identify
from databank.kit.routes import Router
from schemas.dataset import Dataset
from schemas.management import DecisionView, QueryRequest, Quote
from schemas.problem import ProblemError
from schemas.spending import TOTAL_MAX_HEADER, TotalMax
from schemas.usage import MEDIA_TYPE as STREAM_TYPE
from schemas.wire import OwnWire, Text

router: Final = Router(prefix="/data", tags=["data"])
FILE_TYPE: Final = "application/vnd.apache.arrow.file"
DECISIONS_MAX: Final = 1000
FILES_KEPT: Final = 64  # indexed and mapped: pages that one read has touched need no fault again
ANSWER_BYTES_MAX: Final = 2**20  # what is sent in one piece
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]


class RangeNotSatisfiableError(ProblemError):
    """The range lies outside the file."""

    slug = "range-not-satisfiable"
    title = Text(ko="범위가 파일 밖입니다", en="The range lies outside the file")
    status = 416


class QuoteRequest(OwnWire):
    """SQL to price; without it, reading the whole file."""

    sql: str | None = Field(default=None, min_length=1, max_length=65_536)


class DecisionList(OwnWire):
    """Policy decisions, newest first."""

    decisions: tuple[DecisionView, ...]


def pool_of(request: Request) -> QueryPool:
    """Return the connector's SQL workers."""
    pool: QueryPool = request.app.state.query_pool
    return pool


async def get_pool(request: Request) -> QueryPool:
    """Return the connector's SQL workers; not by way of a thread."""
    return pool_of(request)


PoolDep = Annotated[QueryPool, Depends(get_pool)]


def get_tokens_in_use(request: Request) -> TokensInUse:
    """Return the tokens under which this connector is at work."""
    tokens: TokensInUse = request.app.state.tokens_in_use
    return tokens


def get_access(pid: str, request: Request) -> Access:
    """Authenticate the consumer at its data address; the transaction ends before the work."""
    visit = Visit(pid, *identify(request))
    with get_context(request).database.unit_of_work() as uow:
        return visit.open(uow)


AccessDep = Annotated[Access, Depends(get_access)]


@dataclass(frozen=True, slots=True)
class _MappedFile:
    index: FileIndex
    view: memoryview


@lru_cache(maxsize=FILES_KEPT)
def _mapped(path: Path) -> _MappedFile:  # a file is named by its hash and never changes
    with path.open("rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return _MappedFile(read_index(path), view)


@router.post("/{pid}/query", response_class=Response)
def query(pid: str, request: Request, asked: QueryRequest) -> Response:
    """Run SQL in place; the answer is an Arrow IPC stream."""
    visit = Visit(pid, *identify(request))
    with get_tokens_in_use(request).held(visit.claims):
        answer = service.query(
            runtime_of(request),  # each dependency costs more than to look where it stands
            pool_of(request),
            visit,
            query_id=asked.query_id,
            sql=asked.sql,
            total_max_micro=asked.total_max_micro,
        )
    pieces, length = answer.result.pieces, sum(map(len, answer.result.pieces))
    headers = {
        **charge_headers(answer.stored),
        "Databank-Result-Sha256": answer.result.sha256,
        "Content-Length": str(length),
    }
    if length <= ANSWER_BYTES_MAX:
        return Response(b"".join(pieces), media_type=STREAM_TYPE, headers=headers)
    return StreamingResponse(_each(pieces), media_type=STREAM_TYPE, headers=headers)


async def _each(pieces: tuple[bytes, ...]) -> AsyncIterator[bytes]:
    for piece in pieces:  # asynchronous, so that none of them passes through a thread
        yield piece


NO_CHARGE: Final = {"Databank-Charge-Micro": "0", "Databank-Vat-Micro": "0"}  # paid for before


def charge_headers(stored: Stored) -> dict[str, str]:
    """Return what an act was metered and charged as."""
    return {
        "Databank-Rows": str(stored.record.rows_count),
        "Databank-Bytes": str(stored.record.bytes_count),
        "Databank-Charge-Micro": str(stored.charge_micro),
        "Databank-Vat-Micro": str(stored.vat_micro),
        **({"Databank-Compute-Ms": str(ms)} if (ms := stored.record.compute_ms) else {}),
    }


@router.post("/{pid}/quote")
def quote(request: QuoteRequest, access: AccessDep, runtime: RuntimeDep, pool: PoolDep) -> Quote:
    """Say what a query or the whole file would cost now; nothing is charged."""
    index = _mapped(service.path_of(runtime, access)).index
    return service.quote(runtime, pool, access, index, sql=request.sql)


@router.get("/{pid}/decisions")
def list_decisions(pid: str, caller: CallerDep) -> DecisionList:
    """Return what was decided on the agreement's acts."""
    access = load(caller.uow, pid, caller)
    found = decisions.newest(caller.uow, access.agreement.id, limit=DECISIONS_MAX)
    return DecisionList(decisions=tuple(found))


@router.get("/{pid}/dataset")
def show_dataset(pid: str, caller: CallerDep) -> Dataset:
    """Return what the agreement is about: the columns, rows and file of its licensed relation."""
    return without_sample(load(caller.uow, pid, caller).licensed.dataset)


def without_sample(dataset: Dataset) -> Dataset:
    """Return a dataset without the rows that are shown to everybody."""
    return dataset.model_copy(update={"sample": (), "sample_columns": ()})


@router.get("/{pid}", response_class=Response)
def read(
    pid: str,
    request: Request,
    runtime: RuntimeDep,
    total_max_micro: Annotated[TotalMax | None, Header(alias=TOTAL_MAX_HEADER)] = None,
) -> Response:
    """Return the Arrow IPC file or a byte range of it; each record batch is paid once."""
    visit = Visit(pid, *identify(request))
    with get_tokens_in_use(request).held(visit.claims), visit.under_way(runtime) as access:
        file = _mapped(service.path_of(runtime, access))
        span = _span_of(request, access, file.index)
        start, end = span or (0, file.index.file_bytes)
        reading = service.Reading(visit, access, file.index, start, end, total_max_micro)
        stored = service.admit_read(runtime, reading)
    headers: dict[str, Any] = {
        "ETag": _etag(access),
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - start),
    }
    headers |= charge_headers(stored) if stored is not None else NO_CHARGE
    if span is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.index.file_bytes}"
    return StreamingResponse(
        service.stream_file(runtime, access, file.view, start=start, end=end),
        status_code=206 if span else 200,
        media_type=FILE_TYPE,
        headers=headers,
    )


def _etag(access: Access) -> str:
    return f'"{access.licensed.dataset.data_sha256}"'


def _span_of(request: Request, access: Access, index: FileIndex) -> tuple[int, int] | None:
    asked, etag = request.headers.get("range"), _etag(access)
    if request.headers.get("if-range", etag) != etag:
        asked = None
    try:
        return parse_range(asked, index.file_bytes)
    except UnsatisfiableRangeError:
        raise RangeNotSatisfiableError(
            ko=f"파일은 {index.file_bytes:,}바이트입니다.",
            en=f"The file has {index.file_bytes:,} bytes.",
            file_bytes=index.file_bytes,
        ) from None
