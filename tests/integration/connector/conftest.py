"""A supplier and a buyer who have agreed, and calls in anybody's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.connectors import Registry, Running, connector


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
