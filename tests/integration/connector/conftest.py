"""A supplier and a buyer who have agreed, and calls in anybody's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.connectors import Registry, Running, connector
from tests.support.use import clearing_service


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def clearing(tmp_path: Path, registry: Registry) -> Iterator[str]:
    """Run a clearing service; the connectors know it where ``settings`` names it."""
    with clearing_service(tmp_path / "clearing", registry) as url:
        yield url


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings of both connectors; a module that needs others has its own."""
    return {}


@pytest.fixture
def supplier(tmp_path: Path, registry: Registry, settings: dict[str, Any]) -> Iterator[Running]:
    with connector(tmp_path / "supplier", registry, "supplier", **settings) as running:
        yield running


@pytest.fixture
def buyer(tmp_path: Path, registry: Registry, settings: dict[str, Any]) -> Iterator[Running]:
    with connector(tmp_path / "buyer", registry, "buyer", **settings) as running:
        yield running
