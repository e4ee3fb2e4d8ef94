"""What the simulated companies say: asked or unasked, at random, always as the tables allow."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final, Protocol

from connector.agreement import store as agreements
from connector.negotiation import machine as negotiating
from connector.negotiation import service as negotiation_service
from connector.negotiation import store as negotiations
from connector.negotiation.decide import Move, Refusal, Situation
from connector.negotiation.model import Negotiation
from connector.offering.model import Published
from connector.side import IllegalTransitionError, Side
from connector.transfer import machine as transferring
from connector.transfer import service as transfer_service
from connector.transfer import store as transfers
from connector.transfer.decide import Move as TransferMove
from connector.transfer.model import TransferProcess
from schemas.ids import AgreementId, ProcessId
from schemas.management import NegotiateRequest
from tests.support.simchecks import AGREEMENT
from tests.support.simnode import Node

COUNTERS: Final[tuple[dict[str, Any], ...]] = (
    {"permission": [{"action": "use"}], "prohibition": [{"action": "sell"}]},
    {"permission": [{"action": "read"}]},
)
Deal = negotiating.Message
Change = transferring.Message
# How often a company thinks of it; resuming and pausing are the usual ones.
CHANGES: Final = (
    *([Change.SUSPEND, Change.START] * 4),
    *(Change.COMPLETE, Change.TERMINATE),
)
END: Final = Move(Deal.TERMINATE, refusal=Refusal("other", "simulated"))


class Mood(Protocol):
    """The run's chance, and whether the storm is over."""

    rng: random.Random
    is_calm: bool
    is_silent: bool


def negotiate(node: Node, provider: Node, published: Published) -> str:
    """Begin a negotiation for an offer as it stands; return its pid."""
    request = NegotiateRequest(
        provider_id=provider.runtime.did,
        dataset_id=published.dataset.id,
        offer_id=published.offer_id,
        policy=published.offer(),
        dataset_title=published.dataset.title.ko,
        starts_transfer=True,
    )
    url = f"{provider.ground.url}/dsp/2025-1"
    with node.runtime.database.unit_of_work() as uow:
        return negotiation_service.start(uow, node.runtime, request, peer_url=url).pid


def transfer(node: Node, provider: Node) -> str:
    """Ask for a transfer process under the agreement, or return the running one's pid."""
    url = f"{provider.ground.url}/dsp/2025-1"
    with node.runtime.database.unit_of_work() as uow:
        agreement = agreements.get(uow, AgreementId(AGREEMENT))
        assert agreement is not None
        return transfer_service.request(uow, node.runtime, agreement, peer_url=url).pid


def say(node: Node, pid: str, move: Move) -> str | None:
    """Say something in a negotiation; return the state it was said in, None if it may not be."""
    with node.runtime.database.unit_of_work() as uow:
        found = negotiations.get(uow, ProcessId(pid))
        assert found is not None
        try:
            negotiation_service.act(uow, node.runtime, found, move)
        except IllegalTransitionError:
            return None
    return found.state.value


def change(node: Node, pid: str, message: Change) -> str | None:
    """Say something in a transfer process; as ``say``."""
    with node.runtime.database.unit_of_work() as uow:
        found = transfers.get(uow, ProcessId(pid))
        assert found is not None
        try:
            transfer_service.act(uow, node.runtime, found, TransferMove(message, "simulated"))
        except IllegalTransitionError:
            return None
    return found.state.value


def decide(node: Node, rng: random.Random) -> str | None:
    """Say something unasked in a process that is open: late decisions, ends, pauses."""
    found = [(r, False) for r in node.rows("connector_negotiation")]
    found += [(r, True) for r in node.rows("connector_transfer")]
    still_open = [
        (r, t) for r, t in found if r["state"] not in negotiating.FINAL | transferring.FINAL
    ]
    if not still_open:
        return None
    row, is_transfer = rng.choice(still_open)
    if is_transfer:
        message = rng.choice(CHANGES)
        state = change(node, row["pid"], message)
        return state and f"{message.name} in {state} of {row['pid']}"
    side, state = Side(row["side"]), negotiating.State(row["state"])
    moves = legal_moves(side, state, row["provider_pid"], rng)
    if not moves:
        return None
    move = rng.choice(moves)
    said_in = say(node, row["pid"], move)
    return said_in and f"{move.message.name} in {said_in} of {row['pid']}"


def legal_moves(
    side: Side, state: negotiating.State, offer_id: str | None, rng: random.Random
) -> list[Move]:
    """Return what a side can say now, as often as it is likely."""
    moves = [END]
    for sender, message in negotiating.TRANSITIONS[state]:
        if sender is not side:
            continue
        is_offer = message in {Deal.OFFER, Deal.REQUEST}
        offer = {"@id": f"urn:sim:offer:{offer_id}", **rng.choice(COUNTERS)} if is_offer else None
        moves += [Move(message, offer=offer)] * (1 if is_offer else 3)
    return moves if len(moves) > 1 or rng.random() < 0.3 else []


@dataclass(frozen=True)
class Negotiator:
    """Decides at once, later, or otherwise than hoped for."""

    mood: Mood

    def next_move(self, negotiation: Negotiation, situation: Situation) -> Move | None:
        del situation
        side, rng = negotiation.side, self.mood.rng
        is_ours = any(sender is side for sender, _ in negotiating.TRANSITIONS[negotiation.state])
        if self.mood.is_silent or not is_ours or rng.random() < 0.2:
            return None
        moves = legal_moves(side, negotiation.state, negotiation.provider_pid, rng)
        if self.mood.is_calm:  # or they would haggle for ever
            moves = [move for move in moves if move.offer is None]
        return rng.choice(moves)


@dataclass(frozen=True)
class Transferrer:
    """Starts what is asked for, mostly."""

    mood: Mood

    def next_move(self, process: TransferProcess) -> TransferMove | None:
        is_asked = process.side is Side.PROVIDER and process.state is transferring.State.REQUESTED
        if self.mood.is_silent or not is_asked:
            return None
        draw = self.mood.rng.random()
        if draw < 0.8:
            return TransferMove(Change.START)
        return TransferMove(Change.TERMINATE, "simulated") if draw < 0.9 else None
