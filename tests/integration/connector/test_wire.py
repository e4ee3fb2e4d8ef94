"""Whatever leaves a connector follows the official schemas of DSP 2025-1."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx

from tests.support import dsp
from tests.support.connectors import Registry, connector, publish
from tests.support.contracts import call, contract, message, request_message, wait


class Wire:
    """Keeps every protocol message and answer that passes a client."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.client = httpx.Client(
            timeout=10,
            trust_env=False,
            event_hooks={"request": [self._on_request], "response": [self._on_response]},
        )

    def _keep(self, content: bytes) -> None:
        body = json.loads(content) if content else None
        if isinstance(body, dict) and "@type" in body:
            self.messages.append(body)

    def _on_request(self, request: httpx.Request) -> None:
        if "/dsp/" in request.url.path:
            self._keep(request.read())

    def _on_response(self, response: httpx.Response) -> None:
        if "/dsp/" in response.request.url.path:
            self._keep(response.read())


def test_all_messages_of_a_contract_and_its_ends_are_valid(
    tmp_path: Path, registry: Registry
) -> None:
    ours, theirs = Wire(), Wire()
    with (
        connector(tmp_path / "s", registry, "supplier", http=theirs.client) as supplier,
        connector(tmp_path / "b", registry, "buyer", http=ours.client) as buyer,
    ):
        agreed = contract(buyer, supplier)
        pid = agreed.transfer["pid"]
        for ending in ("suspension", "termination"):
            buyer.manage("POST", f"/transfers/{pid}/{ending}", json={"reason": "끝"})
        refused = request_message(buyer, publish(supplier.runtime, "withheld"))
        refused["offer"]["@id"] = "urn:uuid:none"
        answer = call(buyer, supplier, "POST", "/negotiations/request", json=refused)
        wait(supplier, f"/negotiations/{answer.json()['providerPid']}")
    seen = [*ours.messages, *theirs.messages, answer.json()]
    kinds = {said["@type"] for said in seen}
    assert kinds >= {
        "ContractRequestMessage",
        "ContractNegotiation",
        "ContractAgreementMessage",
        "ContractAgreementVerificationMessage",
        "ContractNegotiationEventMessage",
        "TransferRequestMessage",
        "TransferProcess",
        "TransferStartMessage",
        "TransferSuspensionMessage",
    }
    assert [(said, dsp.errors(said)) for said in seen if dsp.errors(said)] == []


def test_the_catalog_and_its_datasets_are_valid(tmp_path: Path, registry: Registry) -> None:
    with (
        connector(tmp_path / "s", registry, "supplier") as supplier,
        connector(tmp_path / "b", registry, "buyer") as buyer,
    ):
        query = {"@type": "QuerySpec", "offset": 0, "limit": 50, "filterExpression": []}
        ask = message("CatalogRequestMessage", filter=[query])
        empty = call(buyer, supplier, "POST", "/catalog/request", json=ask)
        dataset_id = publish(supplier.runtime, "energy").dataset.id
        full = call(buyer, supplier, "POST", "/catalog/request", json=ask)
        one = call(buyer, supplier, "GET", f"/catalog/datasets/{dataset_id}")
        none = call(buyer, supplier, "GET", "/catalog/datasets/urn:uuid:none")
        ask["filter"] = [{**query, "filterExpression": [{"operandLeft": "a"}]}]
        filtered = call(buyer, supplier, "POST", "/catalog/request", json=ask)
    assert [a.status_code for a in (empty, full, one, none, filtered)] == [200, 200, 200, 404, 400]
    for answer in (empty, full, one, none, filtered):
        assert dsp.errors(answer.json()) == []
    assert "dataset" not in empty.json()
    assert full.json()["dataset"][0]["@id"] == one.json()["@id"] == dataset_id
