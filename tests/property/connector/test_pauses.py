"""Pauses of a transfer process, said at both sides in any order, meet in one state."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.side import IllegalTransitionError, Side
from connector.transfer.machine import Message, State
from connector.transfer.pause import NO_PAUSE, Pauses, step_heard, step_said


@dataclass
class Half:
    """One side of a started process, with what it has said and the other has not heard yet."""

    side: Side
    state: State = State.STARTED
    pauses: Pauses = NO_PAUSE
    said: deque[Message] = field(default_factory=deque)

    def speak(self) -> None:
        """Pause, or resume what this side has paused; nothing if only the other has."""
        message = Message.START if self.side in self.pauses else Message.SUSPEND
        try:
            self.state, self.pauses = step_said(self.state, self.pauses, self.side, message)
        except IllegalTransitionError:
            return
        self.said.append(message)

    def hear(self, other: Half) -> None:
        if other.said:
            message = other.said.popleft()
            self.state, self.pauses = step_heard(self.state, self.pauses, other.side, message)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(Side), st.booleans()), max_size=30))
def test_whatever_crosses_both_sides_hold_the_same_pauses(steps: list[tuple[Side, bool]]) -> None:
    """A side speaks, or hears the next message of the other. Nothing said is ever refused."""
    halves = {side: Half(side) for side in Side}
    for side, is_hearing in steps:
        if is_hearing:
            halves[side].hear(halves[side.other])
        else:
            halves[side].speak()
    for side in Side:
        while halves[side.other].said:
            halves[side].hear(halves[side.other])
    supplier, buyer = halves[Side.PROVIDER], halves[Side.CONSUMER]
    assert (supplier.state, supplier.pauses) == (buyer.state, buyer.pauses)
    assert (supplier.state is State.SUSPENDED) == bool(supplier.pauses)
    for side in supplier.pauses:  # whoever has paused can end it
        halves[side].speak()
        halves[side.other].hear(halves[side])
    assert (supplier.state, buyer.state) == (State.STARTED, State.STARTED)
