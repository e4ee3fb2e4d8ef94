"""Routes for what buyers sign of what they received."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request

from clearing.attestation import service
from clearing.context import ClearingDep
from databank.kit.app import CallerDep, ParticipantDep, consume_token, get_context, identify
from schemas.attestation import Comparison
from schemas.ids import AgreementId
from schemas.problem import ProblemError
from schemas.usage import BODY_BYTES_MAX, HEADER, MEDIA_TYPE, ReceiptAnswer, StreamPosition

router: Final = APIRouter(tags=["attestation"])
INTEGER_MAX: Final = 2**63 - 1
_PERIOD: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def _raw_body(request: Request) -> bytes:
    return await request.body()


@router.post(
    "/usage/acknowledgements",
    response_model=ReceiptAnswer,
    openapi_extra=_BODY,
    max_body_size=BODY_BYTES_MAX,
)
def take_acknowledgements(
    request: Request,
    body: Annotated[bytes, Depends(_raw_body)],
    jws: Annotated[str, Header(alias=HEADER)],
    clearing: ClearingDep,
) -> ReceiptAnswer:
    """Keep what a buyer has signed of what it received, exactly once."""
    participant, claims = identify(request)
    context = get_context(request)
    now = context.clock()
    sent = service.read(jws, body, participant, now=now)
    with context.database.unit_of_work() as uow:
        consume_token(uow, claims)
        outcome = service.take(uow, sent, clearing.log, now=now)
    if isinstance(outcome, ProblemError):
        raise outcome
    return ReceiptAnswer(receipt=outcome)


@router.get("/usage/acknowledgements/stream")
def get_acknowledged(
    caller: CallerDep, epoch: Annotated[int, Query(ge=1, le=INTEGER_MAX)] = 1
) -> StreamPosition:
    """What is due next in the caller's own stream of acknowledgements."""
    return service.position_of(caller.uow, caller.participant.id, epoch)


@router.get("/usage/comparison")
def compare(
    caller: ParticipantDep,
    request: Request,
    clearing: ClearingDep,
    agreement_id: AgreementId,
    period: Annotated[str, Query(pattern=_PERIOD)],
) -> Comparison:
    """What both sides have signed of an agreement's month, and where they differ."""
    context = get_context(request)
    with clearing.press.turn():
        return service.comparison_of(
            context.database,
            agreement_id,
            caller.id,
            period,
            silence=clearing.silence,
            now=context.clock(),
        )
