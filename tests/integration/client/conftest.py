"""A supplier and a buyer with clearing, and no catalog anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from databank.client.profile import Profile
from databank.client.session import Session
from tests.support.connectors import Registry, Running, connector
from tests.support.use import clearing_service

NOWHERE = "http://localhost:9"


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def clearing(tmp_path: Path, registry: Registry) -> Iterator[str]:
    with clearing_service(tmp_path / "clearing", registry) as url:
        yield url


@pytest.fixture
def supplier(tmp_path: Path, registry: Registry, clearing: str) -> Iterator[Running]:
    folder = tmp_path / "supplier"
    with connector(folder, registry, "supplier", clearing_url=clearing) as running:
        yield running


@pytest.fixture
def buyer(tmp_path: Path, registry: Registry, clearing: str) -> Iterator[Running]:
    folder = tmp_path / "buyer"
    with connector(
        folder, registry, "buyer", clearing_url=clearing, catalog_url=NOWHERE
    ) as running:
        yield running


@pytest.fixture
def session(buyer: Running) -> Iterator[Session]:
    with Session(Profile(buyer.url, buyer.app.state.context.admin_token)) as opened:
        yield opened
