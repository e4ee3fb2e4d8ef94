"""Who may resume a suspended transfer process, and that its data address comes back."""

from __future__ import annotations

from typing import Any

import pytest

from connector.transfer import store as transfers
from databank.kit.clock import new_urn
from schemas.ids import ProcessId
from tests.support.connectors import Running
from tests.support.contracts import call, contract, message

SUSPENDED = {"reason": "점검"}


def wait_for(running: Running, pid: str, state: str, *, has_address: bool | None = None) -> str:
    """Return the secret's trace at ``running`` once the process is as wanted."""
    while True:
        seen = running.runtime.processes.count
        with running.runtime.database.unit_of_work() as uow:
            process = transfers.get(uow, ProcessId(pid))
        assert process is not None
        has_one = process.data_address is not None
        if process.state == state and has_address in {None, has_one}:
            return str(process.secret_sha256 or process.data_address)
        assert running.runtime.processes.wait(seen, 20) != seen, f"{process} and not {state}"


def test_the_side_that_suspended_resumes_with_a_fresh_address(
    supplier: Running, buyer: Running
) -> None:
    pids = contract(buyer, supplier).pids("transfer")
    parties = {
        supplier.url: (supplier, pids["providerPid"]),
        buyer.url: (buyer, pids["consumerPid"]),
    }
    for actor, pid in parties.values():
        before = wait_for(buyer, pids["consumerPid"], "STARTED", has_address=True)
        answer = actor.manage("POST", f"/transfers/{pid}/suspension", json=SUSPENDED)
        assert answer.json()["state"] == "SUSPENDED", answer.text
        for running, theirs in parties.values():
            wait_for(running, theirs, "SUSPENDED", has_address=False)
        answer = actor.manage("POST", f"/transfers/{pid}/start", json={"reason": "끝"})
        assert answer.json()["state"] == "STARTED", answer.text
        wait_for(supplier, pids["providerPid"], "STARTED")
        after = wait_for(buyer, pids["consumerPid"], "STARTED", has_address=True)
        assert after != before


@pytest.mark.parametrize("who", ["supplier", "buyer"])
def test_nobody_lifts_the_others_suspension(supplier: Running, buyer: Running, who: str) -> None:
    pids = contract(buyer, supplier).pids("transfer")
    ours = {"supplier": (supplier, pids["providerPid"]), "buyer": (buyer, pids["consumerPid"])}
    actor, pid = ours[who]
    other, other_pid = ours["buyer" if who == "supplier" else "supplier"]
    actor.manage("POST", f"/transfers/{pid}/suspension", json=SUSPENDED)
    wait_for(other, other_pid, "SUSPENDED")

    refused = other.manage("POST", f"/transfers/{other_pid}/start", json={"reason": "계속"})
    assert refused.status_code == 409, refused.text
    extra: dict[str, Any] = {"dataAddress": {"@type": "DataAddress", "endpointType": "x"}}
    fields = {**pids, "@id": new_urn(), **(extra if who == "buyer" else {})}
    said = message("TransferStartMessage", **fields)
    answer = call(other, actor, "POST", f"/transfers/{pid}/start", json=said)
    assert (answer.status_code, answer.json()["code"]) == (400, "illegal-transition")
    wait_for(actor, pid, "SUSPENDED")
    ended = other.manage("POST", f"/transfers/{other_pid}/termination", json={"reason": "그만"})
    assert ended.json()["state"] == "TERMINATED"
    wait_for(actor, pid, "TERMINATED")


def test_a_start_in_started_is_illegal_unless_an_address_is_awaited(
    supplier: Running, buyer: Running
) -> None:
    pids = contract(buyer, supplier).pids("transfer")
    address = {"@type": "DataAddress", "endpointType": "x", "endpoint": supplier.url}
    said = message("TransferStartMessage", **pids, dataAddress=address)
    answer = call(supplier, buyer, "POST", f"/transfers/{pids['consumerPid']}/start", json=said)
    assert (answer.status_code, answer.json()["code"]) == (400, "illegal-transition")
