"""What follows from a refusal, for every pair of states."""

from __future__ import annotations

from itertools import product

import pytest

from connector.dsp.remedy import Remedy
from connector.negotiation import machine as negotiation
from connector.negotiation import reconcile as negotiating
from connector.transfer import machine as transfer
from connector.transfer import reconcile as transferring


@pytest.mark.parametrize("is_last", [True, False])
def test_no_negotiation_stays_open_at_one_side(*, is_last: bool) -> None:
    """Whatever is shown, both sides hold the same, or an end is on its way to the other."""
    for message, shown in product(negotiation.Message, [*negotiation.State, None]):
        state = negotiating.ANNOUNCED[message]
        remedy = negotiating.remedy_for(state, message, shown, is_last=is_last)
        if remedy is Remedy.NONE and shown is not None and not is_last:
            assert (state in negotiation.FINAL) <= (shown in negotiation.FINAL)
        if remedy is Remedy.ADOPT:
            assert shown is negotiation.State.TERMINATED
        if state not in negotiation.FINAL and shown is None:
            assert remedy is Remedy.END


def test_an_end_that_crossed_a_finalization_wins() -> None:
    state, message = negotiation.State.FINALIZED, negotiation.Message.FINALIZE
    shown = negotiation.State.TERMINATED
    assert negotiating.remedy_for(state, message, shown, is_last=False) is Remedy.ADOPT


def test_a_finalization_is_said_until_somebody_answers() -> None:
    state, message = negotiation.State.FINALIZED, negotiation.Message.FINALIZE
    for is_last in (True, False):
        assert negotiating.remedy_for(state, message, None, is_last=is_last) is Remedy.AGAIN
    shown = negotiation.State.VERIFIED
    assert negotiating.remedy_for(state, message, shown, is_last=True) is Remedy.END


@pytest.mark.parametrize(
    ("message", "shown"),
    [("VERIFY", "FINALIZED"), ("AGREE", "VERIFIED"), ("ACCEPT", "AGREED"), ("OFFER", "ACCEPTED")],
)
def test_a_refusal_is_void_if_the_message_was_answered(message: str, shown: str) -> None:
    kind = negotiation.Message[message]
    state = negotiating.ANNOUNCED[kind]
    remedy = negotiating.remedy_for(state, kind, negotiation.State[shown], is_last=False)
    assert remedy is Remedy.NONE


def test_a_counter_request_is_not_taken_for_answered_by_the_offer_before_it() -> None:
    state, message = negotiation.State.REQUESTED, negotiation.Message.REQUEST
    shown = negotiation.State.OFFERED
    assert negotiating.remedy_for(state, message, shown, is_last=False) is Remedy.END


@pytest.mark.parametrize("is_last", [True, False])
def test_transfer_processes_end_alike(*, is_last: bool) -> None:
    for message, shown in product(transfer.Message, transfer.State):
        state = transferring.ANNOUNCED[message]
        remedy = transferring.remedy_for(state, message, shown, is_last=is_last)
        if state not in transfer.FINAL and shown in transfer.FINAL:
            assert remedy is Remedy.ADOPT
        if remedy is Remedy.NONE and not is_last:
            assert shown is state or {shown, state} <= transfer.FINAL


def test_termination_wins_over_completion() -> None:
    done, ended = transfer.State.COMPLETED, transfer.State.TERMINATED
    complete, terminate = transfer.Message.COMPLETE, transfer.Message.TERMINATE
    assert transferring.remedy_for(done, complete, ended, is_last=False) is Remedy.ADOPT
    assert transferring.remedy_for(ended, terminate, done, is_last=False) is Remedy.NONE
    assert transferring.OVERTAKEN[done, terminate] is ended
