"""Which addresses the operator's services may call: never their own network's by accident.

A name is resolved once, every answer is checked, and the connection goes to a checked
address, so that a second look-up cannot lead elsewhere.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

import httpcore
import httpx

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve: TypeAlias = Callable[[str, int], Iterable[str]]
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL: Final = ipaddress.ip_network("64:ff9b:1::/48")


def is_public(text: str) -> bool:
    """Return whether an address is one of the open internet, also inside its IPv4-in-6 forms."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return all(_is_global(inner) for inner in (address, *_inner(address)))


def _is_global(address: IpAddress) -> bool:
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _inner(address: IpAddress) -> list[IpAddress]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner: list[IpAddress] = [a for a in (address.ipv4_mapped, address.sixtofour) if a is not None]
    if address.teredo is not None:
        inner.extend(address.teredo)
    if address in _NAT64 or address in _NAT64_LOCAL:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return inner


def is_callable(url: str, *, resolve: Resolve) -> bool:
    """Return whether ``url`` is https at a name or address of the open internet."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if parts.scheme != "https" or not host or port == 0 or parts.username is not None:
        return False
    if host.endswith(".") or "%" in host or "\\" in url:
        return False
    addresses = list(resolve(host, port or 443))
    return bool(addresses) and all(is_public(address) for address in addresses)


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, none if it is unknown."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(entry[4][0]) for entry in found]


class GuardedBackend(httpcore.SyncBackend):
    """Connects to addresses of the open internet only."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,  # noqa: ANN401 - httpcore's own union
    ) -> httpcore.NetworkStream:
        """Connect to the first address of the host if all of them are public."""
        addresses = resolve(host, port)
        if not addresses or not all(is_public(address) for address in addresses):
            raise httpcore.ConnectError(f"{host} is not on the open internet")
        return super().connect_tcp(addresses[0], port, timeout, local_address, socket_options)


class GuardedTransport(httpx.HTTPTransport):
    """httpx's transport over ``GuardedBackend``; TLS still checks the host's name."""

    def __init__(self) -> None:
        super().__init__()
        self._pool.close()
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(), network_backend=GuardedBackend()
        )
