"""The alarm: it sleeps until the clock says so, whatever is done to the clock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from connector.runtime import CLOCK_LOOK_SECONDS, Alarm
from tests.support.connectors import MovedClock
from tests.support.use import wait_until

SOON: Final = 10.0  # seconds, for what should take milliseconds
LOOK: Final = 0.01


@dataclass
class WatchedClock(MovedClock):
    """Counts how often it is looked at."""

    looks: int = 0

    def __call__(self) -> datetime:
        self.looks += 1
        return super().__call__()

    def wait_for_looks(self, count: int) -> None:
        """Wait until it was looked at so often since."""
        wanted = self.looks + count
        wait_until(lambda: self.looks >= wanted, "the sleeper looks at the clock")


@contextmanager
def sleeper(alarm: Alarm, clock: WatchedClock, **ahead: float) -> Iterator[threading.Thread]:
    """Sleep for so long by the clock, in a thread that is woken at the end."""
    thread = threading.Thread(
        target=alarm.sleep_until,
        args=(alarm.count, clock() + timedelta(**ahead)),
        kwargs={"clock": clock},
        daemon=True,
    )
    before = clock.looks
    thread.start()
    wait_until(lambda: clock.looks >= before + 2, "it sleeps")
    yield thread
    alarm.give()
    thread.join(SOON)
    assert not thread.is_alive()


def test_a_clock_that_is_set_ahead_is_noticed() -> None:
    clock, alarm = WatchedClock(), Alarm(look_seconds=LOOK)
    with sleeper(alarm, clock, hours=1) as thread:
        clock.ahead = timedelta(minutes=59)
        clock.wait_for_looks(3)
        assert thread.is_alive()
        clock.ahead = timedelta(hours=2)
        thread.join(SOON)
        assert not thread.is_alive()


def test_a_clock_that_is_set_back_does_not_make_it_sleep_longer() -> None:
    clock, alarm = WatchedClock(), Alarm(look_seconds=LOOK)
    with sleeper(alarm, clock, seconds=10 * LOOK) as thread:
        clock.ahead = -timedelta(days=1)
        thread.join(SOON)
        assert not thread.is_alive()


def test_it_wakes_for_what_is_due_earlier_only() -> None:
    clock, alarm = WatchedClock(), Alarm()
    with sleeper(alarm, clock, hours=1) as thread:
        before = alarm.count
        alarm.give_for(clock() + timedelta(hours=2))
        assert alarm.count == before
        alarm.give_for(clock() + timedelta(minutes=30))
        thread.join(SOON)
        assert not thread.is_alive()


def test_it_looks_at_the_clock_once_a_minute() -> None:
    assert CLOCK_LOOK_SECONDS <= 60
