"""The connector's catalog, as DSP 2025-1 wants it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from connector.dsp.edge import DspError, ErrorType
from connector.offering import store
from connector.offering.model import Published, is_visible, make_offer
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.canonical import digest
from schemas.dcat import dataset_text, dataset_to_wire
from schemas.dsp.catalog import Catalog, DataService
from schemas.dsp.message import CONTEXT
from schemas.ids import DatasetId, ParticipantId

WINDOW_DEFAULT: Final = 50  # EDC's own
WINDOW_MAX: Final = 1000
TEXTS_KEPT: Final = 256


def service_id(runtime: Runtime) -> str:
    """Return the ``@id`` of our DataService."""
    return f"{runtime.did}#dsp"


def catalog_page(
    uow: UnitOfWork, runtime: Runtime, *, reader_id: ParticipantId, after: str
) -> tuple[str, str | None]:
    """Return one page of the catalog as ``reader_id`` may see it, and where the next begins.

    The page is JSON text: its datasets stand there as they are stored.
    """
    size = runtime.settings.catalog_page_size
    rows = store.listed(uow, after=after, limit=size + 1)
    attested = runtime.verifier.attested(reader_id)
    shown = [one for one in rows[:size] if is_visible(one.terms, reader_id, attested)]
    following = rows[size - 1].dataset_id if len(rows) > size else None
    return _catalog(runtime, shown), following


def _catalog(runtime: Runtime, shown: list[store.Listed]) -> str:
    own = service_id(runtime)
    catalog = Catalog(
        id=f"{runtime.did}#catalog",
        participant_id=runtime.did,
        service=(DataService(id=own, endpoint_url=runtime.dsp_url),),
    )
    text = json.dumps(catalog.to_json(), ensure_ascii=False)
    if not shown:
        return text
    return f'{text[:-1]}, "dataset": [{", ".join(_text(one, own) for one in shown)}]}}'


def version_for(uow: UnitOfWork, runtime: Runtime, reader_id: ParticipantId) -> str:
    """Return a text that differs whenever what ``reader_id`` may see does."""
    version = store.catalog_version(uow)
    attested = runtime.verifier.attested(reader_id)
    return version if not attested else f"{version}-{digest(attested.to_subject())[:16]}"


@lru_cache(maxsize=TEXTS_KEPT)
def _text(listed: store.Listed, service: str) -> str:
    offer = make_offer(listed.offer_id, listed.terms, listed.plan)
    return dataset_text(
        listed.dataset_json, offer=offer, service_id=service, approval=listed.approval
    )


def dataset(
    uow: UnitOfWork, runtime: Runtime, dataset_id: str, *, reader_id: ParticipantId
) -> dict[str, Any]:
    """Return one dataset of the catalog.

    Raises:
        DspError: 404, there is none, or not for this reader.
    """
    published = store.get(uow, DatasetId(dataset_id))
    attested = runtime.verifier.attested(reader_id)
    is_shown = published is not None and published.is_visible_to(reader_id, attested)
    if published is None or published.is_withdrawn or not is_shown:
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
) -> str:
    """Return the part of the catalog that ``reader_id`` asks for, out of what it may see."""
    part: list[store.Listed] = []
    after, seen, size = "", 0, runtime.settings.catalog_page_size
    attested = runtime.verifier.attested(reader_id)
    while len(part) < window.limit:
        rows = store.listed(uow, after=after, limit=size)
        visible = [one for one in rows if is_visible(one.terms, reader_id, attested)]
        begin = max(window.offset - seen, 0)
        part += visible[begin : begin + window.limit - len(part)]
        seen += len(visible)
        if len(rows) < size:
            break
        after = rows[-1].dataset_id
    return _catalog(runtime, part)


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
