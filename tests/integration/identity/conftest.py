"""A broker that issues, a supplier that verifies, and a wallet of another make."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.connectors import Running, connector
from tests.support.registry import brn_of, running_broker
from tests.support.wallet import Issuer, Wallet, wallet


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    with running_broker(tmp_path / "broker") as url:
        yield url


@pytest.fixture
def issuer(broker: str, tmp_path: Path) -> Issuer:
    return Issuer.broker(broker, tmp_path / "broker")


@contextmanager
def member(folder: Path, broker: str, handle: str, **settings: Any) -> Iterator[Running]:
    """Run a connector that has joined."""
    with connector(folder, None, handle, broker_url=broker, **settings) as running:
        joined = join(running, handle)
        assert joined.status_code == 201, joined.text
        yield running


def join(running: Running, handle: str) -> httpx.Response:
    body = {"handle": handle, "name": handle, "brn": brn_of(handle)}
    return running.manage("POST", "/join", json=body)


@pytest.fixture
def supplier(tmp_path: Path, broker: str) -> Iterator[Running]:
    with member(tmp_path / "supplier", broker, "supplier") as running:
        yield running


@pytest.fixture
def buyer(tmp_path: Path, broker: str) -> Iterator[Running]:
    with member(tmp_path / "buyer", broker, "buyer") as running:
        yield running


@pytest.fixture
def stranger(broker: str, issuer: Issuer) -> Iterator[Wallet]:
    """A registered participant whose wallet holds a good credential."""
    with wallet() as running:
        running.join(broker, "stranger")
        running.credentials = [issuer.issue(running.did)]
        yield running
