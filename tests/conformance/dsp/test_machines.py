"""The transition tables against the figures of the specification, edge by edge."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from connector.negotiation import machine as negotiation
from connector.side import IllegalTransitionError, Side
from connector.transfer import machine as transfer

Edge = tuple[str, str, str, str]


def figure(name: str) -> set[Edge]:
    lines = (Path(__file__).parent / name).read_text(encoding="utf-8").splitlines()
    edges = set()
    for line in lines:
        if line and not line.startswith("#"):
            before, sender, message, after = line.split()
            edges.add((before, sender, message, after))
    return edges


def legal_in_negotiations() -> set[Edge]:
    edges = set()
    for state, side, message in product((None, *negotiation.State), Side, negotiation.Message):
        try:
            after = negotiation.step(state, side, message)
        except IllegalTransitionError:
            continue
        edges.add((state or "-", side.value, message.value, after.value))
    return edges


def legal_in_transfers() -> set[Edge]:
    edges = set()
    for state, side, message in product((None, *transfer.State), Side, transfer.Message):
        try:
            after = transfer.step(state, side, message)
        except IllegalTransitionError:
            continue
        edges.add((state or "-", side.value, message.value, after.value))
    return edges


def terminations(message: str, states: set[str]) -> set[Edge]:
    return {(state, side.value, message, "TERMINATED") for state in states for side in Side}


def test_negotiations_follow_the_figure_and_nothing_else() -> None:
    running = {"REQUESTED", "OFFERED", "ACCEPTED", "AGREED", "VERIFIED"}
    endings = terminations("ContractNegotiationTerminationMessage", running)
    assert legal_in_negotiations() == figure("negotiation-edges.txt") | endings


def test_transfers_follow_the_figure_and_nothing_else() -> None:
    running = {"REQUESTED", "STARTED", "SUSPENDED"}
    endings = terminations("TransferTerminationMessage", running)
    assert legal_in_transfers() == figure("transfer-edges.txt") | endings


@pytest.mark.parametrize("state", sorted(negotiation.FINAL))
def test_a_final_negotiation_takes_no_message(state: negotiation.State) -> None:
    assert not {edge for edge in legal_in_negotiations() if edge[0] == state}


@pytest.mark.parametrize("state", sorted(transfer.FINAL))
def test_a_final_transfer_takes_no_message(state: transfer.State) -> None:
    assert not {edge for edge in legal_in_transfers() if edge[0] == state}
