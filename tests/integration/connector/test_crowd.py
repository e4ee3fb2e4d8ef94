"""Many callers at once: everybody is answered."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.support.connectors import Registry, Running, connector, publish
from tests.support.contracts import DSP, message

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
