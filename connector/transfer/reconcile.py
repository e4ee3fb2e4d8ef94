"""What follows when the counterparty refuses a message of ours: pure, from both states.

Rule 1: an end wins, and termination wins over completion.
Rule 2: what only we hold as final is said again until it is taken.
Rule 3: a refusal is void if the counterparty took the message, or holds what we hold.
"""

from __future__ import annotations

from typing import Final

from connector.dsp.remedy import Remedy
from connector.transfer.machine import FINAL, Message, State

ANNOUNCED: Final = {
    Message.REQUEST: State.REQUESTED,
    Message.START: State.STARTED,
    Message.SUSPEND: State.SUSPENDED,
    Message.COMPLETE: State.COMPLETED,
    Message.TERMINATE: State.TERMINATED,
}
# Said while our announcement was on its way, these overtake it.
OVERTAKEN: Final[dict[tuple[State, Message], State]] = {
    (State.SUSPENDED, Message.COMPLETE): State.COMPLETED,
    (State.COMPLETED, Message.COMPLETE): State.COMPLETED,
    (State.COMPLETED, Message.TERMINATE): State.TERMINATED,
    (State.TERMINATED, Message.TERMINATE): State.TERMINATED,
}


def remedy_for(state: State, message: Message, shown: State | None, *, is_last: bool) -> Remedy:
    """Return what to do about a refused ``message``.

    Args:
        state: What we hold.
        message: What was refused.
        shown: What the counterparty shows; None if it shows nothing.
        is_last: Whether it was tried as often as it may be.
    """
    if state is State.TERMINATED or (state in FINAL and ANNOUNCED[message] is not state):
        is_open = shown is not None and shown not in FINAL
        is_ours = message is Message.TERMINATE
        return Remedy.AGAIN if is_ours and is_open and not is_last else Remedy.NONE
    if shown is not None and shown in {state, ANNOUNCED[message]}:
        return Remedy.NONE
    if shown in FINAL:
        return Remedy.ADOPT
    if state is State.COMPLETED and shown is not None and not is_last:
        return Remedy.AGAIN
    return Remedy.END
