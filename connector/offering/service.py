"""The connector's catalog, as DSP 2025-1 wants it."""

from __future__ import annotations

from typing import Any

from connector.dsp.edge import DspError, ErrorType
from connector.offering import store
from connector.offering.model import Published
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.dcat import dataset_to_wire
from schemas.dsp.catalog import Catalog, DataService
from schemas.dsp.message import CONTEXT
from schemas.ids import DatasetId, ParticipantId


def service_id(runtime: Runtime) -> str:
    """Return the ``@id`` of our DataService."""
    return f"{runtime.did}#dsp"


def catalog_page(
    uow: UnitOfWork, runtime: Runtime, *, reader_id: ParticipantId, after: str
) -> tuple[dict[str, Any], str | None]:
    """Return one page of the catalog as ``reader_id`` may see it, and where the next begins."""
    size = runtime.settings.catalog_page_size
    rows = store.page(uow, after=after, limit=size + 1)
    shown = [_to_wire(p, runtime) for p in rows[:size] if p.is_visible_to(reader_id)]
    catalog = Catalog(
        id=f"{runtime.did}#catalog",
        participant_id=runtime.did,
        service=(DataService(id=service_id(runtime), endpoint_url=runtime.dsp_url),),
        dataset=tuple(shown) or None,
    )
    following = rows[size - 1].dataset.id if len(rows) > size else None
    return catalog.to_json(), following


def dataset(
    uow: UnitOfWork, runtime: Runtime, dataset_id: str, *, reader_id: ParticipantId
) -> dict[str, Any]:
    """Return one dataset of the catalog.

    Raises:
        DspError: 404, there is none, or not for this reader.
    """
    published = store.get(uow, DatasetId(dataset_id))
    if published is None or published.is_withdrawn or not published.is_visible_to(reader_id):
        raise DspError(ErrorType.CATALOG, 404, code="404", reason="no such dataset")
    return {"@context": list(CONTEXT), **_to_wire(published, runtime)}


def _to_wire(published: Published, runtime: Runtime) -> dict[str, Any]:
    return dataset_to_wire(
        published.dataset,
        offer=published.offer(),
        service_id=service_id(runtime),
        approval=published.approval,
    )


def check_filter(conditions: tuple[Any, ...] | None) -> None:
    """Accept no filter, and the empty query that EDC connectors always send.

    Raises:
        DspError: 400, a filter that would have to be applied.
    """
    for condition in conditions or ():
        if isinstance(condition, dict) and not condition.get("filterExpression"):
            continue
        raise DspError(
            ErrorType.CATALOG,
            400,
            code="unsupported-filter",
            reason="this catalog is not filtered; search in the catalog service",
        )
