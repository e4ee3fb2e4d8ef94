"""What is late is called once, what ended in time never, however many are watched at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from connector.dataplane.watchdog import Watchdog

SOON, LATE = 0.05, 30.0
WAIT_SECONDS = 10.0


@pytest.fixture
def watchdog() -> Iterator[Watchdog]:
    with closing(Watchdog()) as running:
        yield running


def test_what_ends_in_time_is_not_called(watchdog: Watchdog) -> None:
    called: list[str] = []
    with watchdog.deadline(SOON, lambda: called.append("first")) as is_late:
        pass
    assert not is_late.wait(4 * SOON)
    assert called == []


def test_what_is_late_is_called_although_later_deadlines_came_first(watchdog: Watchdog) -> None:
    called: list[str] = []
    with (
        watchdog.deadline(LATE, lambda: called.append("long")) as long,
        watchdog.deadline(SOON, lambda: called.append("short")) as short,
    ):
        assert short.wait(WAIT_SECONDS)
        assert not long.is_set()
    assert called == ["short"]


def test_one_thread_watches_a_hundred_and_calls_each_late_one_once(watchdog: Watchdog) -> None:
    called: list[int] = []
    before = threading.active_count()

    def wait(number: int) -> None:
        seconds = SOON if number % 2 else LATE
        with watchdog.deadline(seconds, lambda: called.append(number)) as is_late:
            is_late.wait(WAIT_SECONDS if number % 2 else 0)

    threads = [threading.Thread(target=wait, args=(number,)) for number in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert threading.active_count() == before + 1
    assert sorted(called) == list(range(1, 100, 2))


def test_a_closed_watchdog_leaves_no_thread() -> None:
    before = threading.active_count()
    with closing(Watchdog()) as watchdog, watchdog.deadline(LATE, lambda: None):
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
