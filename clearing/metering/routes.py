"""Routes for meters."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request

from clearing.context import ClearingDep
from clearing.metering import service
from databank.kit.app import CallerDep, get_context, identify
from schemas.ids import AgreementId
from schemas.usage import (
    BODY_BYTES_MAX,
    HEADER,
    MEDIA_TYPE,
    ReceiptAnswer,
    RecordList,
    StreamPosition,
)

router: Final = APIRouter(tags=["metering"])
INTEGER_MAX: Final = 2**63 - 1


async def _raw_body(request: Request) -> bytes:
    return await request.body()


_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/usage/batches",
    response_model=ReceiptAnswer,
    openapi_extra=_BODY,
    max_body_size=BODY_BYTES_MAX,
)
def take_batch(
    request: Request,
    body: Annotated[bytes, Depends(_raw_body)],
    jws: Annotated[str, Header(alias=HEADER)],
    clearing: ClearingDep,
) -> ReceiptAnswer:
    """Book a batch of usage records, exactly once."""
    participant, claims = identify(request)
    now = get_context(request).clock()
    batch = service.read(jws, body, participant, now=now)  # before the transaction opens
    return ReceiptAnswer(receipt=clearing.committer.book(batch, claims))


@router.get("/usage/stream")
def get_position(
    caller: CallerDep, epoch: Annotated[int, Query(ge=1, le=INTEGER_MAX)] = 1
) -> StreamPosition:
    """What is due next in the caller's own stream."""
    return service.position_of(caller.uow, caller.participant.id, epoch)


@router.get("/usage/records")
def get_records(
    caller: CallerDep,
    agreement_id: AgreementId,
    cursor: Annotated[int, Query(ge=0, le=INTEGER_MAX)] = 0,
) -> RecordList:
    """Booked records of an agreement, to its parties."""
    return service.records_of(caller.uow, agreement_id, caller.participant.id, cursor=cursor)
