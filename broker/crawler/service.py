"""One crawl: read a company's catalog, write what changed to the feed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog

from broker.crawler import store
from broker.crawler.fetch import CrawlError, Fetched, fetch_catalog
from broker.crawler.model import Source
from broker.crawler.plan import REJECTIONS_MAX, Bounds, compare, reject
from broker.federation import store as federation_store
from broker.registry import store as registry_store
from databank.kit.clock import Clock
from databank.kit.db import Database, UnitOfWork
from databank.kit.http import ServiceClient
from schemas.dataset import Listing
from schemas.dcat import NotOurDatasetError, listing_from_wire
from schemas.ids import ParticipantId
from schemas.participant import CrawlReport, Participant, Rejection, Status

LISTING_BYTES_MAX: Final = 256 * 2**10
log = structlog.get_logger()


def read_listings(
    participant: Participant, fetched: Fetched
) -> tuple[list[Listing], tuple[Rejection, ...]]:
    """Read the datasets of a catalog; those that cannot be listed are rejected one by one."""
    listings: list[Listing] = []
    rejections: list[Rejection] = []
    names: set[str] = set()
    ids: set[str] = set()
    for wire in fetched.datasets:
        try:
            listing = listing_from_wire(
                wire,
                provider_id=participant.id,
                provider_name=participant.name,
                provider_handle=participant.handle,
                dsp_url=participant.dsp_url,
            )
            _check_listing(listing, names, ids)
        except NotOurDatasetError as error:
            dataset_id = wire.get("@id", "?") if isinstance(wire, dict) else "?"
            rejections.append(reject(dataset_id, error))
            continue
        names.add(listing.dataset.name)
        ids.add(listing.dataset.id)
        listings.append(listing)
    return listings, tuple(rejections[:REJECTIONS_MAX])


def _check_listing(listing: Listing, names: set[str], ids: set[str]) -> None:
    if listing.dataset.id in ids:
        raise NotOurDatasetError("the dataset stands twice in the catalog")
    if listing.dataset.name in names:
        raise NotOurDatasetError(f"another dataset is called {listing.dataset.name}")
    if len(listing.model_dump_json()) > LISTING_BYTES_MAX:
        raise NotOurDatasetError(f"its description is over {LISTING_BYTES_MAX} bytes")


def apply(
    uow: UnitOfWork,
    participant: Participant,
    fetched: Fetched | None,
    *,
    clock: Clock,
) -> None:
    """Store what a crawl brought; None means that nothing changed.

    A participant that was revoked while its catalog was read gets nothing listed.
    """
    now = clock()
    current = registry_store.find(uow, participant.id)
    if current is None or current.status is not Status.ACTIVE:
        return
    store.mark_read(uow, participant.id, now=now)
    if fetched is None:
        return
    listings, rejections = read_listings(participant, fetched)
    ours, foreign = _split_by_owner(uow, participant.id, listings)
    known = federation_store.known(uow, participant.id)
    changes = compare(known, ((one, federation_store.hash_listing(one)) for one in ours))
    for dataset_id in changes.removed:
        federation_store.remove(uow, participant.id, dataset_id, now=now)
    for listing, sha256 in changes.written:
        federation_store.put(uow, listing, listing_sha256=sha256, now=now)
    kept = (*rejections, *foreign)[:REJECTIONS_MAX]
    store.set_content(uow, participant.id, etag=fetched.etag, rejections=kept)
    if changes.written or changes.removed:
        log.info(
            "catalog_changed",
            participant_id=participant.id,
            written=len(changes.written),
            removed=len(changes.removed),
        )


def _split_by_owner(
    uow: UnitOfWork, provider_id: ParticipantId, listings: Iterable[Listing]
) -> tuple[list[Listing], list[Rejection]]:
    ours: list[Listing] = []
    foreign: list[Rejection] = []
    for listing in listings:
        if federation_store.owner(uow, listing.dataset.id) in (None, provider_id):
            ours.append(listing)
        else:
            foreign.append(reject(listing.dataset.id, "another participant lists this dataset id"))
    return ours, foreign


def crawl(
    participant_id: ParticipantId,
    *,
    database: Database,
    client: ServiceClient,
    bounds: Bounds,
    clock: Clock,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Crawl one company now; what goes wrong is stored with its source."""
    with database.unit_of_work() as uow:
        participant = registry_store.find(uow, participant_id)
        source = store.find(uow, participant_id)
        if participant is None or source is None or participant.status is not Status.ACTIVE:
            return
        store.mark_started(uow, participant_id, now=clock())
    try:
        fetched = fetch_catalog(
            client, participant, etag=source.etag, bounds=bounds, monotonic=monotonic
        )
    except CrawlError as error:
        with database.unit_of_work() as uow:
            store.mark_failed(uow, participant_id, error=str(error))
        log.warning("crawl_failed", participant_id=participant_id, error=str(error))
        return
    with database.unit_of_work() as uow:
        apply(uow, participant, fetched, clock=clock)


def report(uow: UnitOfWork, source: Source) -> CrawlReport:
    """Return how crawling a source goes."""
    return CrawlReport(
        participant_id=source.participant_id,
        last_started_at=source.last_started_at,
        last_success_at=source.last_success_at,
        failures_count=source.failures_count,
        error=source.error,
        datasets_count=federation_store.count(uow, source.participant_id),
        rejections=source.rejections,
    )
