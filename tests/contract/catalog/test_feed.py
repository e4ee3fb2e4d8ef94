"""The index takes each change of the feed once, whatever arrives how often."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catalog.index import store
from catalog.index.service import take
from catalog.search.model import Filters
from catalog.search.service import search
from databank.kit.db import Database
from schemas.dataset import Listing
from schemas.participant import Feed, FeedEntry
from tests.support.listings import make_listing


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    opened.migrate("catalog")
    yield opened
    opened.close()


def entry(seq: int, listing: Listing, *, is_gone: bool = False) -> FeedEntry:
    return FeedEntry(
        seq=seq,
        provider_id=listing.provider_id,
        dataset_id=listing.dataset.id,
        listing=None if is_gone else listing.to_json(),
    )


def page(*entries: FeedEntry, head: int | None = None) -> Feed:
    last = entries[-1].seq if entries else 0
    return Feed(entries=entries, last_seq=last, head_seq=last if head is None else head)


def titles(database: Database, q: str = "") -> list[str]:
    with database.unit_of_work() as uow:
        hits = search(uow, q, Filters(), limit=100, cursor=None).hits
        return sorted(hit.dataset.title.ko for hit in hits)


def take_in(database: Database, feed: Feed) -> bool:
    with database.unit_of_work() as uow:
        return take(uow, feed)


def test_a_page_that_arrives_again_changes_nothing(database: Database) -> None:
    first = page(entry(1, make_listing(1, "하나")), entry(2, make_listing(2, "둘째")), head=4)
    second = page(entry(3, make_listing(1, "새로운 하나")), entry(4, make_listing(2), is_gone=True))
    for feed in (first, second, first, second, first):
        take_in(database, feed)
        take_in(database, feed)
    assert titles(database) == ["새로운 하나"]
    assert titles(database, "둘째") == []
    with database.unit_of_work() as uow:
        assert store.get_cursor(uow) == 4


def test_the_cursor_moves_with_the_index_or_not_at_all(database: Database) -> None:
    feed = page(entry(1, make_listing(1, "하나")))

    def fail_after_taking() -> None:
        with database.unit_of_work() as uow:
            take(uow, feed)
            raise ConnectionError

    with pytest.raises(ConnectionError):
        fail_after_taking()
    assert titles(database) == []
    take_in(database, feed)
    assert titles(database) == ["하나"]


def test_more_follows_until_the_head_is_reached(database: Database) -> None:
    assert take_in(database, page(entry(1, make_listing(1)), head=2)) is True
    assert take_in(database, page(entry(2, make_listing(2)), head=2)) is False


def test_a_feed_that_was_begun_anew_is_read_from_its_beginning(database: Database) -> None:
    take_in(database, page(*(entry(n, make_listing(n, f"옛것 {n}")) for n in range(1, 6))))
    assert take_in(database, page(head=1)) is True
    take_in(database, page(entry(1, make_listing(9, "새것"))))
    assert titles(database) == ["새것"]


def test_a_listing_that_cannot_be_read_does_not_hold_the_others_up(database: Database) -> None:
    bad = FeedEntry(seq=1, provider_id=make_listing(1).provider_id, dataset_id="x", listing={})
    take_in(database, page(bad, entry(2, make_listing(2, "둘째"))))
    assert titles(database) == ["둘째"]
