"""Steps of contracts between two running connectors, by message or by management call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import httpx

from connector.offering.model import Published
from databank.kit.clock import new_urn
from schemas.dsp.message import CONTEXT
from tests.support.connectors import Running, publish

DSP: Final = "/dsp/2025-1"


def call(
    caller: Running, target: Running, method: str, path: str, **options: Any
) -> httpx.Response:
    """Call ``target`` as ``caller``, signed."""
    headers = caller.runtime.client.authorization(target.runtime.did)
    headers |= options.pop("headers", {})
    return caller.http.request(method, f"{target.url}{DSP}{path}", headers=headers, **options)


def message(kind: str, **fields: Any) -> dict[str, Any]:
    return {"@context": list(CONTEXT), "@type": kind, **fields}


def request_message(buyer: Running, published: Published, **changes: Any) -> dict[str, Any]:
    """Return a consumer's initial request for an offer as it stands."""
    offer = {**published.offer(), "target": published.dataset.id}
    fields = {"consumerPid": new_urn(), "callbackAddress": f"{buyer.url}{DSP}", "offer": offer}
    return message("ContractRequestMessage", **{**fields, **changes})


def negotiate(buyer: Running, supplier: Running, published: Published) -> dict[str, Any]:
    """Let the buyer negotiate; return the negotiation as the buyer sees it at the end."""
    body = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        "dataset_title": published.dataset.title.ko,
    }
    started = buyer.manage("POST", "/negotiations", json=body)
    assert started.status_code == 201, started.text
    return wait(buyer, f"/negotiations/{started.json()['pid']}")


def wait(running: Running, path: str) -> dict[str, Any]:
    shown: dict[str, Any] = running.manage("GET", f"{path}?wait_seconds=20").json()
    return shown


@dataclass(frozen=True, slots=True)
class Contract:
    """A finalized negotiation and its started transfer process, as the buyer sees them."""

    negotiation: dict[str, Any]
    transfer: dict[str, Any]

    def pids(self, name: str) -> dict[str, str]:
        process = getattr(self, name)
        return {"consumerPid": process["consumer_pid"], "providerPid": process["provider_pid"]}


def contract(buyer: Running, supplier: Running) -> Contract:
    negotiation = negotiate(buyer, supplier, publish(supplier.runtime, "energy"))
    assert negotiation["state"] == "FINALIZED", negotiation
    body = {"agreement_id": negotiation["agreement_id"]}
    started = buyer.manage("POST", "/transfers", json=body).json()
    transfer = wait(buyer, f"/transfers/{started['pid']}")
    assert transfer["state"] == "STARTED", transfer
    return Contract(negotiation, transfer)
