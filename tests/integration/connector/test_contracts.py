"""Two connectors on real ports agree, start a transfer process, and refuse what they must."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from connector.negotiation import store as negotiation_store
from connector.offering.model import Published
from connector.transfer import store as transfer_store
from databank.kit.clock import new_urn
from schemas.dsp.message import CONTEXT
from schemas.ids import ProcessId
from schemas.participant import Status
from schemas.terms import Terms
from tests.support.connectors import Registry, Running, connector, publish

DSP = "/dsp/2025-1"


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def supplier(tmp_path: Path, registry: Registry) -> Iterator[Running]:
    with connector(tmp_path / "supplier", registry, "supplier") as running:
        yield running


@pytest.fixture
def buyer(tmp_path: Path, registry: Registry) -> Iterator[Running]:
    with connector(tmp_path / "buyer", registry, "buyer") as running:
        yield running


def dsp(caller: Running, target: Running, method: str, path: str, **options: Any) -> httpx.Response:
    """Call ``target`` as ``caller``, signed."""
    headers = caller.runtime.client.authorization(target.runtime.did)
    headers |= options.pop("headers", {})
    return caller.http.request(method, f"{target.url}{DSP}{path}", headers=headers, **options)


def negotiate(buyer: Running, supplier: Running, published: Published, **changes: Any) -> Any:
    request = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        **changes,
    }
    started = buyer.manage("POST", "/negotiations", json=request)
    assert started.status_code == 201, started.text
    path = f"/negotiations/{started.json()['pid']}?wait_seconds=20"
    return buyer.manage("GET", path).json()


def catalog_request() -> dict[str, Any]:
    return {"@context": list(CONTEXT), "@type": "CatalogRequestMessage"}


def test_an_offer_taken_as_it_stands_is_agreed_and_started(
    supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    negotiation = negotiate(buyer, supplier, published)
    assert negotiation["state"] == "FINALIZED", negotiation
    agreement_id = negotiation["agreement_id"]
    ours = buyer.manage("GET", "/agreements").json()["agreements"]
    theirs = supplier.manage("GET", "/agreements").json()["agreements"]
    assert [a["agreement_id"] for a in ours + theirs] == [agreement_id] * 2
    assert ours[0]["policy"] == theirs[0]["policy"]
    assert (ours[0]["role"], theirs[0]["role"]) == ("consumer", "provider")

    started = buyer.manage("POST", "/transfers", json={"agreement_id": agreement_id}).json()
    path = f"/transfers/{started['pid']}?wait_seconds=20"
    transfer = buyer.manage("GET", path).json()
    assert transfer["state"] == "STARTED", transfer
    with buyer.runtime.database.unit_of_work() as uow:
        process = transfer_store.get(uow, ProcessId(transfer["pid"]))
    assert process is not None
    assert process.data_address is not None
    assert process.data_address["endpoint"] == f"{supplier.url}/data/{process.provider_pid}"
    again = buyer.manage("POST", "/transfers", json={"agreement_id": agreement_id}).json()
    assert again["pid"] == transfer["pid"]


def test_a_transfer_begins_with_the_agreement_where_that_is_asked_for(
    supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    without = negotiate(buyer, supplier, published)["agreement_id"]
    agreed = negotiate(buyer, supplier, published, starts_transfer=True)["agreement_id"]
    with buyer.runtime.database.unit_of_work() as uow:
        assert transfer_store.running(uow, without) == []
        [process] = transfer_store.running(uow, agreed)
    path = f"/transfers/{process.pid}?wait_seconds=20"
    assert buyer.manage("GET", path).json()["state"] == "STARTED"
    asked = buyer.manage("POST", "/transfers", json={"agreement_id": agreed}).json()
    assert asked["pid"] == process.pid


def test_other_terms_than_the_listed_are_refused_with_a_reason(
    supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    cheaper = dict(published.offer(), prohibition=[{"action": "sell"}])
    negotiation = negotiate(buyer, supplier, published, policy=cheaper)
    assert negotiation["state"] == "TERMINATED"
    assert "조건" in negotiation["reason"]
    assert buyer.manage("GET", "/agreements").json()["agreements"] == []


def test_unknown_withdrawn_and_reserved_datasets_are_refused(
    supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    reserved = publish(
        supplier.runtime, "reserved", terms=Terms(recipients=(supplier.runtime.did,))
    )
    unknown = negotiate(buyer, supplier, published, dataset_id=new_urn())
    hidden = negotiate(buyer, supplier, reserved)
    assert (unknown["state"], hidden["state"]) == ("TERMINATED", "TERMINATED")
    assert unknown["reason"] == hidden["reason"]


def test_the_catalog_pages_hides_reserved_listings_and_knows_not_modified(
    tmp_path: Path, registry: Registry, buyer: Running
) -> None:
    with connector(tmp_path / "s", registry, "pager", catalog_page_size=2) as supplier:
        names = {publish(supplier.runtime, f"d{n}").dataset.id for n in range(5)}
        publish(supplier.runtime, "mine", terms=Terms(recipients=(supplier.runtime.did,)))
        seen: list[str] = []
        path: str | None = "/catalog/request"
        etag = ""
        while path is not None:
            answer = dsp(buyer, supplier, "POST", path, json=catalog_request())
            assert answer.status_code == 200
            etag = etag or answer.headers["ETag"]
            seen += [d["@id"] for d in answer.json().get("dataset", [])]
            link = answer.links.get("next")
            path = link["url"].split(DSP)[1] if link else None
        assert (set(seen), len(seen)) == (names, 5)
        unchanged = dsp(
            buyer,
            supplier,
            "POST",
            "/catalog/request",
            json=catalog_request(),
            headers={"If-None-Match": etag},
        )
        assert unchanged.status_code == 304
        publish(supplier.runtime, "more")
        changed = dsp(
            buyer,
            supplier,
            "POST",
            "/catalog/request",
            json=catalog_request(),
            headers={"If-None-Match": etag},
        )
        assert changed.status_code == 200


def test_nobody_negotiates_with_itself(supplier: Running) -> None:
    published = publish(supplier.runtime, "own")
    request = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        "dataset_title": "내 것",
    }
    answer = supplier.manage("POST", "/negotiations", json=request)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:idb:problem:invalid-request")
    assert supplier.manage("GET", "/agreements").json()["agreements"] == []


def test_strangers_see_nothing_of_a_negotiation(
    tmp_path: Path, registry: Registry, supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    negotiation = negotiate(buyer, supplier, published)
    provider_pid = negotiation["provider_pid"]
    termination = {
        "@context": list(CONTEXT),
        "@type": "ContractNegotiationTerminationMessage",
        "consumerPid": negotiation["consumer_pid"],
        "providerPid": provider_pid,
    }
    with connector(tmp_path / "stranger", registry, "stranger") as stranger:
        for path in (f"/negotiations/{provider_pid}", "/negotiations/urn:uuid:none"):
            answer = dsp(stranger, supplier, "GET", path)
            assert answer.status_code == 404
            assert answer.json()["@type"] == "ContractNegotiationError"
        path = f"/negotiations/{provider_pid}/termination"
        assert dsp(stranger, supplier, "POST", path, json=termination).status_code == 404
        nobody = stranger.http.get(f"{supplier.url}{DSP}/negotiations/{provider_pid}")
        assert nobody.status_code == 404
        assert (
            stranger.http.post(
                f"{supplier.url}{DSP}/catalog/request", json=catalog_request()
            ).status_code
            == 401
        )
    shown = dsp(buyer, supplier, "GET", f"/negotiations/{provider_pid}").json()
    assert (shown["@type"], shown["state"]) == ("ContractNegotiation", "FINALIZED")


def test_illegal_repeated_and_malformed_messages_change_nothing(
    supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    negotiation = negotiate(buyer, supplier, published)
    provider_pid = negotiation["provider_pid"]
    pids = {"consumerPid": negotiation["consumer_pid"], "providerPid": provider_pid}
    head = {"@context": list(CONTEXT), **pids}
    illegal = {**head, "@type": "ContractNegotiationTerminationMessage"}
    answer = dsp(buyer, supplier, "POST", f"/negotiations/{provider_pid}/termination", json=illegal)
    assert answer.status_code == 400
    assert {k: answer.json()[k] for k in pids} == pids
    for content in (
        b"",
        b"[]",
        b'{"a":1,"a":2}',
        b"\xff",
        b"[" * 5000,
        b'{"@type": NaN}',
        b'{"n": 99999999999999999999}',
    ):
        answer = dsp(
            buyer, supplier, "POST", f"/negotiations/{provider_pid}/events", content=content
        )
        assert answer.status_code == 400, content
        assert answer.json()["@type"] == "ContractNegotiationError"
    with supplier.runtime.database.unit_of_work() as uow:
        stored = negotiation_store.get(uow, ProcessId(provider_pid))
    assert stored is not None
    assert stored.state == "FINALIZED"


def test_the_same_request_again_is_the_same_negotiation(supplier: Running, buyer: Running) -> None:
    published = publish(supplier.runtime, "energy")
    message = {
        "@context": list(CONTEXT),
        "@type": "ContractRequestMessage",
        "consumerPid": new_urn(),
        "callbackAddress": f"{buyer.url}{DSP}",
        "offer": {**published.offer(), "target": published.dataset.id},
    }
    answers = [
        dsp(buyer, supplier, "POST", "/negotiations/request", json=message) for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.json()["providerPid"] for answer in answers}) == 1


def test_a_callback_that_is_not_the_buyers_own_is_never_called(
    supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    message = {
        "@context": list(CONTEXT),
        "@type": "ContractRequestMessage",
        "consumerPid": new_urn(),
        "callbackAddress": "http://127.0.0.1:1/dsp",
        "offer": {**published.offer(), "target": published.dataset.id},
    }
    answer = dsp(buyer, supplier, "POST", "/negotiations/request", json=message)
    pid = answer.json()["providerPid"]
    shown = supplier.manage("GET", f"/negotiations/{pid}?wait_seconds=20").json()
    assert shown["state"] == "TERMINATED"
    assert "등록된 주소" in shown["reason"]


def test_a_revoked_buyer_is_refused_at_the_next_call(
    registry: Registry, supplier: Running, buyer: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    negotiation = negotiate(buyer, supplier, published)
    path = f"/negotiations/{negotiation['provider_pid']}"
    assert dsp(buyer, supplier, "GET", path).status_code == 200
    registry.set_status(buyer.runtime.did, Status.REVOKED)
    assert dsp(buyer, supplier, "GET", path).status_code == 404
    assert (
        dsp(buyer, supplier, "POST", "/catalog/request", json=catalog_request()).status_code == 401
    )


def test_a_message_left_in_the_outbox_is_delivered_after_a_restart(
    tmp_path: Path, registry: Registry, supplier: Running
) -> None:
    published = publish(supplier.runtime, "energy")
    folder = tmp_path / "restarted"
    with connector(folder, registry, "restarted") as first:
        port = int(first.url.rsplit(":", 1)[1])
        # The dispatcher is stopped before the request is queued: as after a crash.
        first.app.state.dispatcher.stop()
        request = {
            "provider_id": supplier.runtime.did,
            "dataset_id": published.dataset.id,
            "offer_id": published.offer_id,
            "policy": published.offer(),
        }
        pid = first.manage("POST", "/negotiations", json=request).json()["pid"]
    with connector(folder, registry, "restarted", port=port) as second:
        shown = second.manage("GET", f"/negotiations/{pid}?wait_seconds=20").json()
        assert shown["state"] == "FINALIZED"
