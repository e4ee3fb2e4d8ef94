"""Messages that come twice, late, from the wrong party or with ill intent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.agreement import store as agreements
from connector.outbox import store as outbox
from connector.outbox.service import announce_catalog_change
from connector.transfer import store as transfers
from databank.kit.clock import new_urn
from schemas.ids import AgreementId, ProcessId
from tests.support.connectors import Registry, Running, connector, publish
from tests.support.contracts import (
    DSP,
    Contract,
    call,
    contract,
    message,
    negotiate,
    request_message,
    wait,
)


def state_of(running: Running, path: str) -> str:
    return str(running.manage("GET", path).json()["state"])


def suspend(running: Running, pid: str) -> httpx.Response:
    body = {"reason": "점검"}
    return running.manage("POST", f"/transfers/{pid}/suspension", json=body)


def test_a_process_is_suspended_as_often_as_it_is_resumed(
    supplier: Running, buyer: Running
) -> None:
    """The very same words the second time are a new message, not a repetition."""
    process = contract(buyer, supplier).transfer
    pids = {"consumerPid": process["consumer_pid"], "providerPid": process["provider_pid"]}
    suspension = message("TransferSuspensionMessage", **pids)
    start = message("TransferStartMessage", **pids)
    path = f"/transfers/{process['provider_pid']}"
    for _ in range(3):
        assert call(buyer, supplier, "POST", f"{path}/suspension", json=suspension).is_success
        assert call(buyer, supplier, "GET", path).json()["state"] == "SUSPENDED"
        assert call(buyer, supplier, "POST", f"{path}/start", json=start).is_success
        assert call(buyer, supplier, "GET", path).json()["state"] == "STARTED"


def test_a_message_that_was_acted_on_changes_nothing_when_it_comes_again(
    supplier: Running, buyer: Running
) -> None:
    process = contract(buyer, supplier).transfer
    pids = {"consumerPid": process["consumer_pid"], "providerPid": process["provider_pid"]}
    path = f"/transfers/{process['provider_pid']}"
    late = message("TransferSuspensionMessage", **{"@id": new_urn(), **pids})
    start = message("TransferStartMessage", **{"@id": new_urn(), **pids})
    assert call(buyer, supplier, "POST", f"{path}/suspension", json=late).is_success
    assert call(buyer, supplier, "POST", f"{path}/start", json=start).is_success
    for repeated, name in ((late, "suspension"), (start, "start"), (late, "suspension")):
        assert call(buyer, supplier, "POST", f"{path}/{name}", json=repeated).status_code == 200
        assert call(buyer, supplier, "GET", path).json()["state"] == "STARTED"


def test_a_verification_repeated_under_another_id_is_acknowledged(
    supplier: Running, buyer: Running
) -> None:
    """Peers that number each attempt anew are not told that they did wrong."""
    pids = contract(buyer, supplier).pids("negotiation")
    path = f"/negotiations/{pids['providerPid']}/agreement/verification"
    with supplier.runtime.database.unit_of_work() as uow:
        before = len(agreements.newest(uow, limit=10))
    for _ in range(2):
        again = message("ContractAgreementVerificationMessage", **{"@id": new_urn(), **pids})
        assert call(buyer, supplier, "POST", path, json=again).status_code == 200
    with supplier.runtime.database.unit_of_work() as uow:
        assert len(agreements.newest(uow, limit=10)) == before


def attempts(agreed: Contract) -> list[tuple[str, str, dict[str, Any] | None]]:
    """Return every call that only a party of the contract may make at the supplier."""
    calls: list[tuple[str, str, dict[str, Any] | None]] = []
    for feature, name in (("negotiations", "negotiation"), ("transfers", "transfer")):
        pids = agreed.pids(name)
        path = f"/{feature}/{pids['providerPid']}"
        calls.append(("GET", path, None))
        for ending, kind in _KINDS[feature]:
            extra = _EXTRA.get(kind, {})
            calls.append(("POST", f"{path}/{ending}", message(kind, **pids, **extra)))
    return calls


_OFFER = {"@id": "o", "@type": "Offer", "target": "t", "permission": [{"action": "use"}]}
_AGREEMENT = {**_OFFER, "@type": "Agreement", "assigner": "a", "assignee": "b", "timestamp": "t"}
_EXTRA: dict[str, dict[str, Any]] = {
    "ContractRequestMessage": {"offer": _OFFER},
    "ContractOfferMessage": {"offer": _OFFER},
    "ContractAgreementMessage": {"agreement": _AGREEMENT},
    "ContractNegotiationEventMessage": {"eventType": "ACCEPTED"},
}
_KINDS = {
    "negotiations": (
        ("request", "ContractRequestMessage"),
        ("offers", "ContractOfferMessage"),
        ("agreement", "ContractAgreementMessage"),
        ("events", "ContractNegotiationEventMessage"),
        ("agreement/verification", "ContractAgreementVerificationMessage"),
        ("termination", "ContractNegotiationTerminationMessage"),
    ),
    "transfers": (
        ("start", "TransferStartMessage"),
        ("suspension", "TransferSuspensionMessage"),
        ("completion", "TransferCompletionMessage"),
        ("termination", "TransferTerminationMessage"),
    ),
}


def without_pid(answer: httpx.Response, pid: str) -> str:
    return answer.text.replace(pid, "<pid>")


def test_nobody_but_the_counterparty_learns_that_a_process_exists(
    tmp_path: Path, registry: Registry, supplier: Running, buyer: Running
) -> None:
    agreed = contract(buyer, supplier)
    calls = attempts(agreed)
    assert len(calls) == 12
    with connector(tmp_path / "stranger", registry, "stranger") as stranger:
        for method, path, body in calls:
            pid = path.split("/")[2]
            foreign = call(stranger, supplier, method, path, json=body)
            absent = call(stranger, supplier, method, path.replace(pid, "none"), json=body)
            assert (foreign.status_code, absent.status_code) == (404, 404), path
            assert without_pid(foreign, pid) == without_pid(absent, "none"), path
            unsigned = stranger.http.request(method, f"{supplier.url}{DSP}{path}", json=body)
            assert unsigned.status_code == 404, path
        taken = {"agreementId": agreed.negotiation["agreement_id"], "format": "HttpData-PULL"}
        fields = {"consumerPid": new_urn(), "callbackAddress": f"{stranger.url}{DSP}"}
        theft = message("TransferRequestMessage", **taken, **fields)
        assert call(stranger, supplier, "POST", "/transfers/request", json=theft).status_code == 404
    pids = agreed.pids("transfer")
    assert state_of(supplier, f"/transfers/{pids['providerPid']}") == "STARTED"
    assert state_of(buyer, f"/transfers/{pids['consumerPid']}") == "STARTED"


def test_a_counterparty_cannot_speak_for_the_other_side(supplier: Running, buyer: Running) -> None:
    """The buyer's own process takes no consumer's messages, and the supplier's no provider's."""
    agreed = contract(buyer, supplier)
    pids = agreed.pids("negotiation")
    for ending in ("offers", "agreement"):
        kind = dict(_KINDS["negotiations"])[ending]
        body = message(kind, **pids, **_EXTRA[kind])
        path = f"/negotiations/{pids['providerPid']}/{ending}"
        assert call(buyer, supplier, "POST", path, json=body).status_code == 404
    path = f"/negotiations/{pids['consumerPid']}/agreement/verification"
    body = message("ContractAgreementVerificationMessage", **pids)
    assert call(supplier, buyer, "POST", path, json=body).status_code == 404


def test_pids_of_another_process_are_refused(supplier: Running, buyer: Running) -> None:
    agreed = contract(buyer, supplier)
    pids = agreed.pids("transfer")
    for name in pids:
        wrong = message("TransferCompletionMessage", **{**pids, name: new_urn()})
        path = f"/transfers/{pids['providerPid']}/completion"
        answer = call(buyer, supplier, "POST", path, json=wrong)
        assert (answer.status_code, answer.json()["code"]) == (400, "pid-mismatch")
    assert state_of(supplier, f"/transfers/{pids['providerPid']}") == "STARTED"


@pytest.mark.parametrize("ending", ["suspension", "completion", "termination"])
@pytest.mark.parametrize("who", ["supplier", "buyer"])
def test_the_access_secret_is_void_once_a_process_is_not_started(
    supplier: Running, buyer: Running, ending: str, who: str
) -> None:
    pids = contract(buyer, supplier).pids("transfer")
    ours = {"supplier": (supplier, pids["providerPid"]), "buyer": (buyer, pids["consumerPid"])}
    actor, pid = ours[who]
    answer = actor.manage("POST", f"/transfers/{pid}/{ending}", json={"reason": "끝"})
    assert answer.status_code == 200, answer.text
    other, other_pid = ours["buyer" if who == "supplier" else "supplier"]
    seen = other.runtime.processes.count
    while state_of(other, f"/transfers/{other_pid}") == "STARTED":
        count = other.runtime.processes.wait(seen, 20)
        assert count != seen, "the other side never hears of it"
        seen = count
    with supplier.runtime.database.unit_of_work() as uow:
        provided = transfers.get(uow, ProcessId(pids["providerPid"]))
    with buyer.runtime.database.unit_of_work() as uow:
        consumed = transfers.get(uow, ProcessId(pids["consumerPid"]))
    assert provided is not None
    assert consumed is not None
    assert provided.state == consumed.state
    assert (provided.secret_sha256, consumed.data_address) == (None, None)


def test_an_agreement_id_cannot_be_taken_over(supplier: Running, buyer: Running) -> None:
    """A provider that reuses the id of an agreement we hold is refused, not stored over it."""
    held = negotiate(buyer, supplier, publish(supplier.runtime, "first"))
    other = publish(supplier.runtime, "second")
    buyer.app.state.dispatcher.stop()  # from here on the supplier speaks, by hand
    body = {
        "provider_id": supplier.runtime.did,
        "dataset_id": other.dataset.id,
        "offer_id": other.offer_id,
        "policy": other.offer(),
    }
    pid = buyer.manage("POST", "/negotiations", json=body).json()["pid"]
    pids = {"consumerPid": pid, "providerPid": new_urn()}
    agreement = {
        **other.offer(),
        "@id": held["agreement_id"],
        "@type": "Agreement",
        "target": other.dataset.id,
        "assigner": supplier.runtime.did,
        "assignee": buyer.runtime.did,
        "timestamp": "2026-11-24T05:00:00Z",
    }
    said = message("ContractAgreementMessage", **pids, agreement=agreement)
    assert call(supplier, buyer, "POST", f"/negotiations/{pid}/agreement", json=said).is_success
    ended = wait(buyer, f"/negotiations/{pid}")
    assert ended["state"] == "TERMINATED"
    with buyer.runtime.database.unit_of_work() as uow:
        stored = agreements.get(uow, AgreementId(held["agreement_id"]))
    assert stored is not None
    assert stored.dataset_id == held["dataset_id"]


@pytest.mark.parametrize(
    "change",
    [
        {"assigner": "did:web:mallory"},
        {"assignee": "did:web:mallory"},
        {"target": "urn:uuid:other"},
        {"timestamp": "some day"},
        {"timestamp": "0001-01-01T00:00:00+23:59"},
        {"prohibition": [{"action": "read"}]},
    ],
)
def test_an_agreement_that_was_not_asked_for_is_not_verified(
    supplier: Running, buyer: Running, change: dict[str, Any]
) -> None:
    published = publish(supplier.runtime, "energy")
    buyer.app.state.dispatcher.stop()  # the supplier speaks before the buyer's call returns
    body = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
    }
    pid = buyer.manage("POST", "/negotiations", json=body).json()["pid"]
    agreement = {
        **published.offer(),
        "@id": new_urn(),
        "@type": "Agreement",
        "target": published.dataset.id,
        "assigner": supplier.runtime.did,
        "assignee": buyer.runtime.did,
        "timestamp": "2026-11-24T05:00:00Z",
        **change,
    }
    pids = {"consumerPid": pid, "providerPid": new_urn()}
    said = message("ContractAgreementMessage", **pids, agreement=agreement)
    assert call(supplier, buyer, "POST", f"/negotiations/{pid}/agreement", json=said).is_success
    assert wait(buyer, f"/negotiations/{pid}")["state"] == "TERMINATED"


def test_a_policy_that_cannot_be_sent_is_refused_before_anything_is_stored(
    supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    for policy in (
        {"permission": "use"},
        {"permission": ["use"]},
        {"permission": [{"target": "x", "action": "use"}]},
    ):
        body = {
            "provider_id": supplier.runtime.did,
            "dataset_id": published.dataset.id,
            "offer_id": published.offer_id,
            "policy": policy,
        }
        answer = buyer.manage("POST", "/negotiations", json=body)
        assert answer.status_code == 422, answer.text
    assert buyer.manage("GET", "/negotiations").json()["negotiations"] == []


def test_numbers_and_texts_at_the_edge_of_json_are_refused(
    supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    for poison in ('{"leftOperand": 1e999}', '{"leftOperand": "\\u0000"}'):
        body = request_message(buyer, published)
        body["offer"]["permission"] = [{"action": "use", "constraint": "POISON"}]
        content = httpx.Request("POST", "http://x", json=body).content
        raw = content.replace(b'"POISON"', poison.encode())
        answer = call(buyer, supplier, "POST", "/negotiations/request", content=raw)
        assert (answer.status_code, answer.json()["@type"]) == (400, "ContractNegotiationError")
    answer = call(buyer, supplier, "GET", "/negotiations/%00")
    assert (answer.status_code, answer.json()["@type"]) == (404, "ContractNegotiationError")


def test_many_changes_of_the_catalog_are_announced_together(supplier: Running) -> None:
    """One announcement may be under way; one more behind it covers all later changes."""
    supplier.app.state.dispatcher.stop()
    for _ in range(20):
        with supplier.runtime.database.unit_of_work() as uow:
            announce_catalog_change(uow, supplier.runtime)
    with supplier.runtime.database.unit_of_work() as uow:
        assert outbox.count(uow, "broker-crawl") == 2
