"""Catalog endpoints of DSP 2025-1 and the version document."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Header, Query, Response

from connector.dsp.edge import BodyDep, DspCallerDep, ErrorType, receive
from connector.offering import service
from connector.runtime import Runtime, get_runtime
from databank.kit.routes import Router
from schemas.dsp.catalog import CatalogRequestMessage
from schemas.dsp.version import WELL_KNOWN_PATH, version_document

router = Router(tags=["dsp catalog"])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]


@router.get(WELL_KNOWN_PATH)
async def versions() -> dict[str, Any]:
    """Return which versions of the protocol are spoken, and where."""
    return version_document("/dsp/2025-1")


@router.post("/dsp/2025-1/catalog/request", response_model=None)
def catalog(
    runtime: RuntimeDep,
    body: BodyDep,
    caller: DspCallerDep,
    after: Annotated[str, Query(max_length=200)] = "",
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return a page of the catalog; ``Link`` leads on, ``ETag`` tells whether it changed."""
    message, _ = receive(body, CatalogRequestMessage, ErrorType.CATALOG)
    window = service.window_of(message.filter)
    etag = f'"{service.version_for(caller.uow, runtime, caller.participant.id)}"'
    if if_none_match == etag and not after and window is None:
        return Response(status_code=304, headers={"ETag": etag})
    if window is not None:
        part = service.catalog_window(caller.uow, runtime, window, reader_id=caller.participant.id)
        return Response(part, media_type="application/json")
    page, following = service.catalog_page(
        caller.uow, runtime, reader_id=caller.participant.id, after=after
    )
    headers = {"ETag": etag}
    if following is not None:
        url = f"{runtime.dsp_url}/catalog/request?after={quote(following, safe='')}"
        headers["Link"] = f'<{url}>; rel="next"'
    return Response(page, media_type="application/json", headers=headers)


@router.get("/dsp/2025-1/catalog/datasets/{dataset_id}")
def dataset(runtime: RuntimeDep, dataset_id: str, caller: DspCallerDep) -> dict[str, Any]:
    """Return one dataset."""
    return service.dataset(caller.uow, runtime, dataset_id, reader_id=caller.participant.id)
