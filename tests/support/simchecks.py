"""What has to hold in every simulated run, at each moment and at its end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from connector.negotiation import machine as negotiating
from connector.side import Side
from connector.transfer import machine as transferring
from schemas.canonical import canonical_bytes
from tests.support.simnode import Node

AGREEMENT: Final = "urn:sim:agreement"  # held from the start
TABLES: Final[tuple[tuple[str, dict[Any, Any], frozenset[Any]], ...]] = (
    ("connector_negotiation", negotiating.TRANSITIONS, negotiating.FINAL),
    ("connector_transfer", transferring.TRANSITIONS, transferring.FINAL),
)


class BrokenError(AssertionError):
    """Something that must hold in every run does not."""


# Announced, but not acknowledged, and overtaken by what the counterparty said meanwhile.
OVERTAKEN: Final = {
    ("FINALIZED", "TERMINATED", "provider"),
    *{("COMPLETED", "TERMINATED", side) for side in ("provider", "consumer")},
    *{("SUSPENDED", "COMPLETED", side) for side in ("provider", "consumer")},
}


def may_follow(transitions: dict[Any, Any], final: frozenset[Any], before: str, state: str) -> bool:
    """Whether a state can be reached from another, in any number of steps of the table."""
    seen, todo = {before}, [before]
    while todo:
        one = todo.pop()
        following = {str(s) for s in transitions[one].values()}
        if one not in final:
            following.add("TERMINATED")
        todo += following - seen
        seen |= following
    return state in seen


def check_move(table: str, row: dict[str, Any], before: str | None, name: str) -> None:
    """See that a process has moved as its table says, or was overtaken."""
    state = row["state"]
    if before in {None, state} or (before, state, row["side"]) in OVERTAKEN:
        return
    transitions, final = next((t, f) for known, t, f in TABLES if known == table)
    if not may_follow(transitions, final, str(before), state):
        raise BrokenError(f"{name}: {before} became {state}")


def check_end(nodes: dict[Side, Node], clearing: dict[str, dict[str, str]]) -> None:
    """See that both sides hold the same."""
    supplier, buyer = nodes[Side.PROVIDER], nodes[Side.CONSUMER]
    _check_negotiations(clearing, supplier, buyer)
    _check_transfers(supplier, buyer)


def _pairs(
    supplier: Node, buyer: Node, table: str
) -> Iterator[tuple[dict[str, Any] | None, dict[str, Any]]]:
    provided = {row["consumer_pid"]: row for row in supplier.rows(table)}
    consumed = {row["consumer_pid"]: row for row in buyer.rows(table)}
    if not set(provided) <= set(consumed):
        raise BrokenError("the supplier has a process that the buyer never began")
    for pid, row in consumed.items():
        yield provided.get(pid), row


def _same_state(ours: dict[str, Any] | None, theirs: dict[str, Any]) -> None:
    if ours is None:
        if theirs["state"] != "TERMINATED":
            raise BrokenError(f"the supplier knows nothing, the buyer is {theirs['state']}")
        return
    if ours["state"] != theirs["state"]:
        raise BrokenError(f"{theirs['pid']}: supplier {ours['state']}, buyer {theirs['state']}")
    if theirs["provider_pid"] not in {None, ours["provider_pid"]}:
        raise BrokenError(f"{theirs['pid']}: the pids differ")


def _policy(text: str) -> bytes:
    return canonical_bytes(json.loads(text))


def _check_negotiations(clearing: dict[str, dict[str, str]], supplier: Node, buyer: Node) -> None:
    held = [
        {r["agreement_id"]: r for r in node.rows("connector_agreement") if not r["ended_at"]}
        for node in (supplier, buyer)
    ]
    finalized = set()
    for ours, theirs in _pairs(supplier, buyer, "connector_negotiation"):
        _same_state(ours, theirs)
        if theirs["state"] == "FINALIZED":
            assert ours is not None
            finalized.add(json.loads(theirs["agreement_json"])["@id"])
            if _policy(ours["agreement_json"]) != _policy(theirs["agreement_json"]):
                raise BrokenError("the agreements differ")
    if not (set(held[0]) - {AGREEMENT} == set(held[1]) - {AGREEMENT} == finalized):
        raise BrokenError(f"agreements held: {list(held[0])}, {list(held[1])}, not {finalized}")
    for agreement_id in finalized:
        texts = {_policy(node[agreement_id]["policy_json"]) for node in held}
        if len(texts) != 1:
            raise BrokenError("the agreed policies differ")
    for agreement_id in finalized:
        told = clearing.get(agreement_id)  # nobody is, of a policy that has no price
        if told is not None and (len(told) != 2 or len(set(told.values())) != 1):
            raise BrokenError(f"clearing was told {sorted(told)}")


def _check_transfers(supplier: Node, buyer: Node) -> None:
    for ours, theirs in _pairs(supplier, buyer, "connector_transfer"):
        _same_state(ours, theirs)
        if ours is None:
            continue
        if theirs["state"] == "STARTED":
            address = json.loads(theirs["data_address_json"] or "{}")
            values = {p["name"]: p["value"] for p in address.get("endpointProperties", ())}
            digest = hashlib.sha256(values.get("authorization", "").encode()).hexdigest()
            if digest != ours["secret_sha256"]:
                raise BrokenError(f"{theirs['pid']}: the buyer's address does not open the data")
        elif ours["secret_sha256"] or theirs["data_address_json"]:
            raise BrokenError(f"{theirs['pid']}: an address outlives STARTED")
        pauses = ours["suspended_by"], theirs["suspended_by"]
        if pauses[0] != pauses[1] or bool(pauses[0]) != (theirs["state"] == "SUSPENDED"):
            raise BrokenError(f"{theirs['pid']} is {theirs['state']}, held up by {pauses}")
