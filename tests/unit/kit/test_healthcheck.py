from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from databank.kit.healthcheck import is_healthy


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_only_a_200_is_healthy(url: str) -> None:
    assert is_healthy(f"{url}/readyz")
    assert not is_healthy(f"{url}/other")


def test_silence_is_not_healthy() -> None:
    with socket.socket() as bound:  # holds the port, answers nobody
        bound.bind(("127.0.0.1", 0))
        assert not is_healthy(f"http://127.0.0.1:{bound.getsockname()[1]}/readyz")
    assert not is_healthy("not a url")
