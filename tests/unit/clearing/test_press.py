"""The press: one turn at a time, a few wait, the others are told to come again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import islice

import pytest

from clearing.press import Press, PressBusyError


def test_one_works_one_waits_and_the_others_come_again() -> None:
    press = Press(waiting_max=1, wait_seconds=30)
    at_work = threading.Semaphore(1)

    def work() -> None:
        with press.turn():
            assert at_work.acquire(blocking=False)
            at_work.release()

    with ThreadPoolExecutor(3) as pool:
        with press.turn():
            asked = [pool.submit(work) for _ in range(3)]
            first, second = islice(as_completed(asked), 2)  # all but the one that waits
            assert {first.exception() is None, second.exception() is None} == {False}
        ends = [each.exception() for each in asked]
    told = [end for end in ends if isinstance(end, PressBusyError)]
    assert [end.members for end in told] == [{"retryable": True}] * 2
    assert ends.count(None) == 1
    work()


def test_nobody_waits_forever() -> None:
    press = Press(waiting_max=1, wait_seconds=0.01)
    with press.turn(), pytest.raises(PressBusyError), press.turn():
        pass
    with press.turn():  # the place that was waited in is free again
        pass
