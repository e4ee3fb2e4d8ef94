"""Whose pauses hold a process up: pure, the same function at both sides.

Rule 1: a pause is its side's own; a suspension adds it, that side's start takes it away.
Rule 2: a process is SUSPENDED while any pause is left.

So it does not matter in which order messages of both sides meet: each side's own come in the
order in which it said them, and speak of its own pause alone.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from connector.side import IllegalTransitionError, Side
from connector.transfer.machine import Message, State, step

Pauses: TypeAlias = frozenset[Side]
NO_PAUSE: Final[Pauses] = frozenset()


def step_heard(
    state: State, pauses: Pauses, sender: Side, message: Message
) -> tuple[State, Pauses]:
    """Return state and pauses after ``message`` from ``sender``.

    A suspension of what only the other side has suspended crossed that side's: it is taken.

    Raises:
        IllegalTransitionError: The table forbids it, or only the other side has suspended.
    """
    is_crossing = state is State.SUSPENDED and sender not in pauses
    if message is Message.SUSPEND and is_crossing:
        return state, pauses | {sender}
    return step_said(state, pauses, sender, message)


def step_said(state: State, pauses: Pauses, sender: Side, message: Message) -> tuple[State, Pauses]:
    """Return state and pauses after ``sender`` itself says ``message``; errors as above."""
    if message is Message.START and state is State.SUSPENDED:
        if pauses and sender not in pauses:
            raise IllegalTransitionError("only the side that has suspended resumes")
        left = pauses - {sender}
        return (State.SUSPENDED if left else State.STARTED), left
    after = step(state, sender, message)
    return after, frozenset({sender}) if after is State.SUSPENDED else NO_PAUSE
