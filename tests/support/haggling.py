"""Steps of a negotiation in which people answer."""

from __future__ import annotations

from typing import Any

import httpx

from connector.offering.model import Published
from schemas.dataset import Listing
from tests.support.connectors import Running


def ask(buyer: Running, supplier: Running, published: Published, **changes: Any) -> str:
    """Let the buyer ask; return its pid."""
    body = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        **changes,
    }
    started = buyer.manage("POST", "/negotiations", json=body)
    assert started.status_code == 201, started.text
    return str(started.json()["pid"])


def inbox_of(running: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = running.manage("GET", "/inbox").json()["negotiations"]
    return found


def wait_for_turn(running: Running) -> dict[str, Any]:
    """Return the first proposal that waits for this side, once there is one."""
    while True:
        seen = running.runtime.processes.count
        found = inbox_of(running)
        if found:
            return found[0]
        assert running.runtime.processes.wait(seen, 20) != seen, "nothing arrives in the inbox"


def answer(running: Running, waiting: dict[str, Any], **said: Any) -> httpx.Response:
    """Answer what waits, as it was seen."""
    body = {"rounds_count": len(waiting["rounds"]), **said}
    return running.manage("POST", f"/negotiations/{waiting['pid']}/answer", json=body)


def listing_of(supplier: Running, published: Published, **changes: Any) -> Listing:
    """Return a dataset as the catalog would list it after a crawl."""
    registered = supplier.runtime.directory.find(supplier.runtime.did)
    assert registered is not None
    values: dict[str, Any] = {
        "dataset": published.dataset,
        "provider_id": registered.id,
        "provider_name": registered.name,
        "provider_handle": registered.handle,
        "dsp_url": supplier.runtime.dsp_url,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        "plan": published.plan,
        "approval": published.approval,
    }
    return Listing(**values | changes)
