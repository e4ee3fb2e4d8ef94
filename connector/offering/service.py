"""The connector's catalog, as DSP 2025-1 wants it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from connector.dsp.edge import DspError, ErrorType
from connector.offering import store
from connector.offering.model import Published
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.dcat import dataset_to_wire
from schemas.dsp.catalog import Catalog, DataService
from schemas.dsp.message import CONTEXT
from schemas.ids import DatasetId, ParticipantId

WINDOW_DEFAULT: Final = 50  # EDC's own
WINDOW_MAX: Final = 1000


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
    following = rows[size - 1].dataset.id if len(rows) > size else None
    return _catalog(runtime, shown), following


def _catalog(runtime: Runtime, shown: list[dict[str, Any]]) -> dict[str, Any]:
    return Catalog(
        id=f"{runtime.did}#catalog",
        participant_id=runtime.did,
        service=(DataService(id=service_id(runtime), endpoint_url=runtime.dsp_url),),
        dataset=tuple(shown) or None,
    ).to_json()


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


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the catalog that a query asks for; EDC connectors always ask so."""

    offset: int
    limit: int


def catalog_window(
    uow: UnitOfWork, runtime: Runtime, window: Window, *, reader_id: ParticipantId
) -> dict[str, Any]:
    """Return the part of the catalog that ``reader_id`` asks for, out of what it may see."""
    rows: list[Published] = []
    after, size = "", runtime.settings.catalog_page_size
    while len(rows) < window.offset + window.limit:
        found = store.page(uow, after=after, limit=size)
        rows += [p for p in found if p.is_visible_to(reader_id)]
        if len(found) < size:
            break
        after = found[-1].dataset.id
    part = rows[window.offset : window.offset + window.limit]
    return _catalog(runtime, [_to_wire(p, runtime) for p in part])


def window_of(conditions: tuple[Any, ...] | None) -> Window | None:
    """Return what an EDC query without conditions asks for; None: there is no query.

    Raises:
        DspError: 400, a filter that would have to be applied.
    """
    window = None
    for condition in conditions or ():
        if not isinstance(condition, dict) or condition.get("filterExpression"):
            raise _unsupported("this catalog is not filtered; search in the catalog service")
        offset, limit = condition.get("offset", 0), condition.get("limit", WINDOW_DEFAULT)
        if not (_is_count(offset) and _is_count(limit)):
            raise _unsupported("offset and limit are whole numbers from 0")
        window = Window(offset, min(limit, WINDOW_MAX))
    return window


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _unsupported(reason: str) -> DspError:
    return DspError(ErrorType.CATALOG, 400, code="unsupported-filter", reason=reason)
