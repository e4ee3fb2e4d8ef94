"""Tests talk to this machine only: any other address is an error, not a slow test."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest


class OutsideConnectionError(Exception):
    """A test tried to leave the machine; not an OSError, so that no client swallows it."""


@pytest.fixture(scope="session", autouse=True)
def only_loopback() -> Iterator[None]:
    """Refuse connections to other machines for the whole session."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def guarded(self: socket.socket, address: Any) -> None:
        _check(self.family, address)
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        _check(self.family, address)
        return connect_ex(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket.socket, "connect_ex", guarded_ex)
        yield


def _check(family: int, address: Any) -> None:
    if family == socket.AF_UNIX:
        return
    host = str(address[0])
    if host != "localhost" and not _is_loopback(host):
        raise OutsideConnectionError(f"connection to {host}: tests stay on this machine")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
