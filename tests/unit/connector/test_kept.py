"""Results of quotes are kept for one taker, for a moment, within a size."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from connector.dataplane import kept
from connector.dataplane.kept import KeptResults
from connector.dataplane.pool import Result
from tests.support.processes import wait_for

KEY = ("file", "asset", "SELECT 1", "null")


def result(size: int = 10) -> Result:
    return Result((bytes(size),), 1, size, "0" * 64)


@pytest.fixture
def results() -> Iterator[KeptResults]:
    with closing(KeptResults()) as made:
        yield made


def put(results: KeptResults, process_id: str, size: int = 10, seconds: float = 60.0) -> None:
    results.put(process_id, KEY, result(size), ends_at=time.monotonic() + seconds)


def test_a_result_is_taken_once_and_by_its_process_for_its_text_only(results: KeptResults) -> None:
    put(results, "a")
    assert results.take("b", KEY) is None
    assert results.take("a", (*KEY[:2], "SELECT 2", "null")) is None
    taken = results.take("a", KEY)
    assert taken is not None
    assert taken[0] == result()
    assert results.take("a", KEY) is None


def test_a_process_has_one_and_all_together_have_a_size(
    results: KeptResults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "KEPT_BYTES_MAX", 100)
    monkeypatch.setattr(kept, "ONE_BYTES_MAX", 40)
    put(results, "a", 40)
    put(results, "a", 30)
    assert results.bytes_count == 30
    put(results, "b", 41)
    assert results.bytes_count == 30
    for process_id in "cde":
        put(results, process_id, 30)
    assert results.bytes_count == 90
    assert results.take("a", KEY) is None  # the oldest made room
    assert results.take("e", KEY) is not None


def test_what_is_over_is_forgotten_though_nobody_asks(results: KeptResults) -> None:
    put(results, "a", seconds=0.05)
    put(results, "b", seconds=0.1)
    wait_for(lambda: results.bytes_count == 0 or None, what="the end of both")
    put(results, "c", seconds=-1.0)
    assert results.take("c", KEY) is None
