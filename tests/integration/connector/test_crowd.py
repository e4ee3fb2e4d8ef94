"""Many callers at once: everybody is answered."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import httpx
import pytest

from connector.negotiation import store as negotiations
from connector.negotiation.machine import State
from connector.negotiation.model import Negotiation
from connector.side import Side
from databank.kit.clock import new_urn
from schemas.ids import DatasetId, ParticipantId, ProcessId
from tests.support.connectors import NOW, Registry, Running, connector, publish
from tests.support.contracts import DSP, message
from tests.support.processes import wait_for

CALLERS: Final = 150  # more than a service has threads
PATIENCE_SECONDS: Final = 60


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def buyer(tmp_path: Path, registry: Registry) -> Iterator[Running]:
    with connector(tmp_path / "buyer", registry, "buyer") as running:
        yield running


@pytest.fixture
def supplier(tmp_path: Path, registry: Registry) -> Iterator[Running]:
    with connector(tmp_path / "supplier", registry, "supplier") as running:
        yield running


def test_more_callers_than_threads_are_all_answered(supplier: Running, buyer: Running) -> None:
    publish(supplier.runtime, "energy")
    client = buyer.runtime.client

    def ask(_: int) -> int:
        headers = client.authorization(supplier.runtime.did)
        url = f"{supplier.url}{DSP}/catalog/request"
        with httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False) as http:
            return http.post(
                url, json=message("CatalogRequestMessage"), headers=headers
            ).status_code

    with ThreadPoolExecutor(CALLERS) as crowd:
        answers = list(crowd.map(ask, range(CALLERS)))
    assert answers == [200] * CALLERS


def test_more_waits_than_places_do_not_keep_others_out(supplier: Running) -> None:
    """Whoever waits for a process holds neither a place nor a thread."""
    pid = new_urn()
    waiting = Negotiation(
        side=Side.CONSUMER,
        consumer_pid=ProcessId(pid),
        provider_pid=None,
        counterparty_id=ParticipantId("did:web:nobody"),
        peer_url="http://localhost:9",
        dataset_id=DatasetId("d"),
        dataset_title="",
        offer={"@id": "o"},
        state=State.REQUESTED,
        updated_at=NOW,
    )
    runtime = supplier.runtime
    with runtime.database.unit_of_work() as uow:
        negotiations.put(uow, waiting)

    def wait(_: int) -> str:
        path = f"/negotiations/{pid}"
        with httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False) as http:
            own = Running(supplier.url, supplier.app, http)
            answer = own.manage("GET", path, params={"wait_seconds": 50})
        return str(answer.json()["state"])

    ended = replace(waiting, state=State.TERMINATED)
    with ThreadPoolExecutor(CALLERS) as crowd:
        answers = [crowd.submit(wait, n) for n in range(CALLERS)]
        try:
            wait_for(lambda: runtime.processes.watchers(pid) == CALLERS or None, what="the crowd")
            assert supplier.manage("GET", "/meter").status_code == 200
        finally:
            with runtime.database.unit_of_work() as uow:
                negotiations.put(uow, ended)
                uow.after_commit(lambda: runtime.processes.tell(ProcessId(pid), ended))
        assert [answer.result() for answer in answers] == ["TERMINATED"] * CALLERS
