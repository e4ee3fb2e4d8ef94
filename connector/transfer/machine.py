"""Transfer process state machine of the Dataspace Protocol 2025-1.

Rule 1: every legal transition stands in ``TRANSITIONS``.
Rule 2: this module does not know which side we are on; it sees messages with a sender.

The text lets either side terminate from any state that is not final.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeAlias

from connector.side import IllegalTransitionError, Side


class State(StrEnum):
    """The protocol's states, spelled as on the wire."""

    REQUESTED = "REQUESTED"
    STARTED = "STARTED"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    TERMINATED = "TERMINATED"


class Message(StrEnum):
    """The protocol's messages."""

    REQUEST = "TransferRequestMessage"
    START = "TransferStartMessage"
    SUSPEND = "TransferSuspensionMessage"
    COMPLETE = "TransferCompletionMessage"
    TERMINATE = "TransferTerminationMessage"


FINAL: Final = frozenset({State.COMPLETED, State.TERMINATED})
# Heard again under another id, these are repetitions; starts and suspensions are said anew.
SAID_ONCE: Final = frozenset({Message.COMPLETE, Message.TERMINATE})

Edges: TypeAlias = dict[tuple[Side, Message], State]
C, P = Side.CONSUMER, Side.PROVIDER

TRANSITIONS: Final[dict[State | None, Edges]] = {
    None: {(C, Message.REQUEST): State.REQUESTED},
    State.REQUESTED: {(P, Message.START): State.STARTED},
    State.STARTED: {
        (C, Message.SUSPEND): State.SUSPENDED,
        (P, Message.SUSPEND): State.SUSPENDED,
        (C, Message.COMPLETE): State.COMPLETED,
        (P, Message.COMPLETE): State.COMPLETED,
    },
    State.SUSPENDED: {(C, Message.START): State.STARTED, (P, Message.START): State.STARTED},
    State.COMPLETED: {},
    State.TERMINATED: {},
}


def step(state: State | None, sender: Side, message: Message) -> State:
    """Return the state after ``message`` from ``sender``.

    Raises:
        IllegalTransitionError: The table has no such edge.
    """
    if message is Message.TERMINATE and state is not None and state not in FINAL:
        return State.TERMINATED
    try:
        return TRANSITIONS[state][sender, message]
    except KeyError:
        raise IllegalTransitionError(f"{message} from {sender} in {state}") from None
