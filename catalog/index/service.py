"""Takes the broker's feed into the index, each change at most once."""

from __future__ import annotations

import structlog

from catalog.index import store
from catalog.index.document import to_document
from databank.kit.db import UnitOfWork
from schemas.dataset import Listing
from schemas.participant import Feed, FeedEntry

log = structlog.get_logger()


def take(uow: UnitOfWork, feed: Feed) -> bool:
    """Apply a page of the feed and move the cursor; return whether more may follow at once.

    A feed that ends before our cursor was begun anew: the index is emptied and read again.
    """
    cursor = store.get_cursor(uow)
    if feed.head_seq < cursor:
        log.warning("feed_begun_anew", cursor=cursor, head_seq=feed.head_seq)
        store.clear(uow)
        store.set_cursor(uow, 0)
        return True
    for entry in feed.entries:
        if entry.seq > cursor:
            _apply(uow, entry)
    store.set_cursor(uow, max(cursor, feed.last_seq))
    return feed.last_seq < feed.head_seq


def _apply(uow: UnitOfWork, entry: FeedEntry) -> None:
    if entry.listing is None:
        store.remove(uow, entry.dataset_id)
        return
    try:
        listing = Listing.model_validate(entry.listing)
    except ValueError as error:  # of a newer broker; its other entries still count
        log.warning("listing_unreadable", dataset_id=entry.dataset_id, error=str(error)[:300])
        store.remove(uow, entry.dataset_id)
        return
    store.put(uow, to_document(listing))
