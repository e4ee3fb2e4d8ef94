"""A buyer signs for no more processor time than it has waited for, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.receiving.waited import KEPT_MAX, KEPT_SECONDS, Waited
from schemas.ids import AgreementId

ONE, OTHER = AgreementId("one"), AgreementId("other")
SQL = "SELECT 1"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def wait(waited: Waited, clock: Clock, seconds: float, *, of: AgreementId = ONE) -> None:
    with waited.waiting(of, SQL):
        clock.now += seconds


def test_what_a_quote_computed_counts_for_the_query_after_it(clock: Clock) -> None:
    waited = Waited(clock)
    wait(waited, clock, 2.0)
    wait(waited, clock, 0.25)
    assert waited.believed(ONE, SQL, 1_999) == 1_999
    assert waited.believed(ONE, SQL, 1_999) == 251  # each moment once


def test_neither_another_text_nor_another_agreement_counts_nor_what_is_long_ago(
    clock: Clock,
) -> None:
    waited = Waited(clock)
    wait(waited, clock, 2.0)
    assert waited.believed(ONE, "SELECT 2", 5) == 0
    assert waited.believed(OTHER, SQL, 5) == 0
    clock.now += KEPT_SECONDS + 1
    assert waited.believed(ONE, SQL, 5) == 0


def test_a_wait_that_brings_no_answer_counts_too(clock: Clock) -> None:
    waited = Waited(clock)

    def lose() -> None:
        with waited.waiting(ONE, SQL):
            clock.now += 1
            raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        lose()
    assert waited.believed(ONE, SQL, 1_500) == 1_000


def test_only_so_many_are_kept(clock: Clock) -> None:
    waited = Waited(clock)
    wait(waited, clock, 1.0)
    for number in range(KEPT_MAX):
        with waited.waiting(OTHER, str(number)):
            clock.now += 0.001
    assert waited.believed(ONE, SQL, 5) == 0


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 20_000)), max_size=20))
def test_never_more_is_signed_than_was_waited_for(steps: list[tuple[float, int]]) -> None:
    clock = Clock()
    waited, believed, passed = Waited(clock), 0, 0.0
    for seconds, said in steps:
        wait(waited, clock, seconds)
        passed += seconds
        found = waited.believed(ONE, SQL, said)
        assert 0 <= found <= said
        believed += found
    assert believed <= passed * 1000 + len(steps)
