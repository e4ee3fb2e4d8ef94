from __future__ import annotations

import socket

import pytest

from tests.support.loopback import OutsideConnectionError


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1", "example.org", "0.0.0.0"])
def test_a_connection_to_another_machine_is_refused(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as sock:
        with pytest.raises(OutsideConnectionError):
            sock.connect((address, 80))
        with pytest.raises(OutsideConnectionError):
            sock.connect_ex((address, 80))


def test_a_connection_to_this_machine_works() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        client.sendall(b"x")
        accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(1) == b"x"
