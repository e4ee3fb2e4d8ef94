"""Pauses of a transfer process, said at both sides in any order, meet in one state."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from connector.side import IllegalTransitionError, Side
from connector.transfer.machine import Message, State
from connector.transfer.pause import NO_PAUSE, Pauses, step_heard, step_said

WORDS = st.sampled_from([Message.SUSPEND, Message.START])


@dataclass
class Half:
    """One side of a started process, with what it has said and the other has not heard yet."""

    side: Side
    state: State = State.STARTED
    pauses: Pauses = NO_PAUSE
    said: deque[Message] = field(default_factory=deque)

    def say(self, message: Message) -> None:
        try:
            self.state, self.pauses = step_said(self.state, self.pauses, self.side, message)
        except IllegalTransitionError:
            return
        self.said.append(message)

    def hear(self, other: Half) -> None:
        if other.said:
            message = other.said.popleft()
            self.state, self.pauses = step_heard(self.state, self.pauses, other.side, message)


@given(st.lists(st.tuples(st.sampled_from(Side), WORDS | st.none()), max_size=40))
def test_whatever_crosses_both_sides_hold_the_same_pauses(
    steps: list[tuple[Side, Message | None]],
) -> None:
    """None: this side hears the next message of the other. Nothing said is ever refused."""
    halves = {side: Half(side) for side in Side}
    for side, message in steps:
        if message is None:
            halves[side].hear(halves[side.other])
        else:
            halves[side].say(message)
    for side in Side:
        while halves[side.other].said:
            halves[side].hear(halves[side.other])
    supplier, buyer = halves[Side.PROVIDER], halves[Side.CONSUMER]
    assert (supplier.state, supplier.pauses) == (buyer.state, buyer.pauses)
    assert (supplier.state is State.SUSPENDED) == bool(supplier.pauses)
    for side in supplier.pauses:  # whoever has paused can end it
        halves[side].say(Message.START)
        halves[side.other].hear(halves[side])
    assert (supplier.state, buyer.state) == (State.STARTED, State.STARTED)
