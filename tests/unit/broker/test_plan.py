from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from broker.crawler.model import Source
from broker.crawler.plan import BACKOFF_MAX, GAP_MIN, compare, due, due_at
from schemas.ids import ParticipantId
from tests.support.listings import make_listing

NOW = datetime(2026, 11, 24, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WHO = ParticipantId("did:web:a.example")


def test_a_source_that_was_never_crawled_is_due_before_all_others() -> None:
    old = Source(WHO, last_started_at=NOW - MINUTE * 9)
    new = Source(ParticipantId("did:web:z.example"))
    assert due([old, new], now=NOW, interval=MINUTE, under_way=()) == [
        new.participant_id,
        old.participant_id,
    ]


def test_a_source_under_way_is_not_started_again() -> None:
    assert due([Source(WHO)], now=NOW, interval=MINUTE, under_way={WHO}) == []


def test_a_nudge_makes_due_at_once_but_not_within_the_smallest_gap() -> None:
    nudged = Source(WHO, last_started_at=NOW, nudged_at=NOW, failures_count=9)
    assert due_at(nudged, interval=MINUTE) == NOW + GAP_MIN
    before = Source(WHO, last_started_at=NOW, nudged_at=NOW - GAP_MIN)
    assert due_at(before, interval=MINUTE) == NOW + MINUTE


@given(st.integers(0, 10_000), st.timedeltas(timedelta(seconds=1), timedelta(hours=1)))
def test_waiting_never_shrinks_with_failures_and_stays_bounded(
    failures: int, interval: timedelta
) -> None:
    def wait(count: int) -> timedelta:
        at = due_at(Source(WHO, last_started_at=NOW, failures_count=count), interval=interval)
        assert at is not None
        return at - NOW

    assert interval <= wait(failures) <= wait(failures + 1) <= max(interval, BACKOFF_MAX)


def test_comparing_finds_what_is_new_changed_and_gone() -> None:
    kept, changed, new = (make_listing(n) for n in (1, 2, 3))
    known = {kept.dataset.id: "k", changed.dataset.id: "before", "gone": "g"}
    changes = compare(known, [(kept, "k"), (changed, "after"), (new, "n")])
    assert [listing for listing, _ in changes.written] == [changed, new]
    assert changes.removed == ("gone",)
