"""Routes of a witness, open to everyone: a log's signature is what counts (C2SP tlog-witness)."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response

from connector.runtime import Runtime, get_runtime
from connector.witness import service
from databank.kit.app import AdminDep
from schemas.witness import (
    SIZE_TYPE,
    SUBMISSION_BYTES_MAX,
    WITNESS_PATH,
    OtherSizeError,
    WitnessView,
)

router: Final = APIRouter(prefix=WITNESS_PATH, tags=["witness"])
management_router: Final = APIRouter(
    prefix="/management", tags=["management"], dependencies=[AdminDep]
)
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]


async def _raw_body(request: Request) -> bytes:
    return await request.body()


_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}
_OTHER_SIZE: Final[dict[int | str, dict[str, Any]]] = {
    409: {
        "description": "The size of the checkpoint cosigned last",
        "content": {SIZE_TYPE: {"schema": {"type": "string"}}},
    }
}


@router.post(
    "/add-checkpoint",
    response_class=PlainTextResponse,
    openapi_extra=_BODY,
    responses=_OTHER_SIZE,
    max_body_size=SUBMISSION_BYTES_MAX,
)
def add_checkpoint(body: Annotated[bytes, Depends(_raw_body)], runtime: RuntimeDep) -> Response:
    """Cosign a checkpoint of our clearing service's log."""
    try:
        return PlainTextResponse(service.add_checkpoint(runtime, body))
    except OtherSizeError as error:
        return Response(f"{error.size}\n", status_code=409, media_type=SIZE_TYPE)


@router.get("/key", response_class=PlainTextResponse)
def get_key(runtime: RuntimeDep) -> str:
    """Our key as a witness, for `databank verify --witness`."""
    return f"{service.key_of(runtime)}\n"


@router.get("/checkpoint", response_class=PlainTextResponse)
def get_checkpoint(runtime: RuntimeDep) -> str:
    """The newest checkpoint that we cosigned, as the log signed it."""
    return service.newest(runtime)


@management_router.get("/witness", response_model_exclude_none=True)
def get_view(runtime: RuntimeDep) -> WitnessView:
    """What we have seen of the log, and whether it ever contradicted itself."""
    return service.view(runtime)
