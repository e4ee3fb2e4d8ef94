"""Routes of the log, open to everyone: it holds hashes only (C2SP tlog-tiles, tlog-proof)."""

from __future__ import annotations

import base64
import struct
from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import PlainTextResponse, Response

from clearing.context import ClearingDep
from clearing.log import service
from clearing.log.tiles import LEVEL_MAX
from databank.kit.app import UowDep, get_context
from schemas.seal import LOG_PATH
from schemas.witness import WitnessList

router: Final = APIRouter(prefix=LOG_PATH, tags=["log"])
INDEX_MAX: Final = 2**63 - 1
IMMUTABLE: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
Level = Annotated[int, Path(ge=0, le=LEVEL_MAX)]
Size = Annotated[int, Query(ge=0, le=INDEX_MAX)]


@router.get("/key", response_class=PlainTextResponse)
def get_key(clearing: ClearingDep) -> str:
    """The log's public key as a vkey, for `databank verify --key`."""
    return f"{clearing.log.key}\n"


@router.get("/checkpoint", response_class=PlainTextResponse)
def get_checkpoint(request: Request, uow: UowDep, clearing: ClearingDep) -> str:
    """The signed size and root of the log, as it now stands."""
    return clearing.log.publish(uow, now=get_context(request).clock())


@router.get("/checkpoint/witnessed", response_class=PlainTextResponse)
def get_witnessed_checkpoint(uow: UowDep, clearing: ClearingDep) -> str:
    """The newest checkpoint that enough witnesses have cosigned, with their signatures."""
    return service.witnessed(uow, clearing.log.quorum.needed)


@router.get("/witnesses", response_model_exclude_none=True)
def get_witnesses(clearing: ClearingDep) -> WitnessList:
    """Who witnesses the log, and what each has cosigned last."""
    return clearing.witnesses.list()


@router.get("/tile/entries/{name:path}", response_class=Response)
def get_entries(name: str, uow: UowDep) -> Response:
    """Entries of leaves, each with its length in two bytes before it."""
    found = service.tile_entries(uow, name)
    body = b"".join(struct.pack(">H", len(entry)) + entry for entry in found)
    return Response(body, media_type="application/octet-stream", headers=IMMUTABLE)


@router.get("/tile/{level}/{name:path}", response_class=Response)
def get_tile(level: Level, name: str, uow: UowDep) -> Response:
    """Hashes of one tile, one after another."""
    body = b"".join(service.tile_hashes(uow, level, name))
    return Response(body, media_type="application/octet-stream", headers=IMMUTABLE)


@router.get("/proofs/{index}", response_class=PlainTextResponse)
def get_proof(
    index: Annotated[int, Path(ge=0, le=INDEX_MAX)],
    request: Request,
    uow: UowDep,
    clearing: ClearingDep,
) -> str:
    """Show that a leaf is in the log, offline: checkpoint and audit path (C2SP tlog-proof)."""
    note = clearing.log.publish(uow, now=get_context(request).clock())
    path = service.proof_of(uow, index, clearing.log.key, note)
    lines = "".join(f"{base64.b64encode(part).decode()}\n" for part in path)
    return f"c2sp.org/tlog-proof@v1\nindex {index}\n{lines}\n{note}"


@router.get("/consistency", response_class=PlainTextResponse)
def get_consistency(uow: UowDep, old: Size, new: Size) -> str:
    """Show that the log of ``new`` leaves begins with that of ``old``: one hash a line, base64."""
    path = service.consistency(uow, old, new)
    return "".join(f"{base64.b64encode(part).decode()}\n" for part in path)
