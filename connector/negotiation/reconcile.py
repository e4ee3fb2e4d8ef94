"""What follows when the counterparty refuses a message of ours: pure, from both states.

Rule 1: an end wins. If either side has terminated, both end, unless both are finalized.
Rule 2: what only we hold as final (an end, a finalization) is said again until it is taken.
Rule 3: a refusal is void if the counterparty's state shows that it took the message.
"""

from __future__ import annotations

from typing import Final

from connector.dsp.remedy import Remedy
from connector.negotiation.machine import FINAL, TRANSITIONS, Message, State

ANNOUNCED: Final = {
    Message.REQUEST: State.REQUESTED,
    Message.OFFER: State.OFFERED,
    Message.ACCEPT: State.ACCEPTED,
    Message.AGREE: State.AGREED,
    Message.VERIFY: State.VERIFIED,
    Message.FINALIZE: State.FINALIZED,
    Message.TERMINATE: State.TERMINATED,
}
# Said while our announcement was on its way, these overtake it.
OVERTAKEN: Final[dict[tuple[State, Message], State]] = {
    (State.FINALIZED, Message.TERMINATE): State.TERMINATED,
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
    if ANNOUNCED[message] is not state:
        return Remedy.NONE  # what came after it decides
    if state is State.TERMINATED:
        is_open = shown is not None and shown not in FINAL
        return Remedy.AGAIN if is_open and not is_last else Remedy.NONE
    if shown is State.TERMINATED:
        return Remedy.ADOPT
    if state is State.FINALIZED:
        if shown is State.FINALIZED:
            return Remedy.NONE
        return Remedy.END if shown is not None and is_last else Remedy.AGAIN
    return Remedy.NONE if _was_taken(state, shown) else Remedy.END


def _was_taken(announced: State, shown: State | None) -> bool:
    """Whether the counterparty shows what we announced, or what it answers to it.

    A state from which ours is reached again (an offer after a counter-request) proves nothing.
    """
    if shown is None:
        return False
    is_answer = shown in TRANSITIONS[announced].values()
    return shown is announced or (is_answer and announced not in TRANSITIONS[shown].values())
