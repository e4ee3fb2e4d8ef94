"""A server that does nothing but ``sendfile``: how fast this machine serves a file at all.

``python -m tests.support.sendfile FILE`` prints its port and answers every request with FILE.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import plain_environment


@dataclass(frozen=True)
class FileServer:
    """A running server."""

    port: int
    pid: int


@contextmanager
def file_server(file: Path) -> Iterator[FileServer]:
    """Serve ``file`` from a process of its own."""
    command = [sys.executable, "-m", "tests.support.sendfile", str(file)]
    with subprocess.Popen(command, env=plain_environment(), stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield FileServer(int(process.stdout.readline()), process.pid)
        finally:
            process.kill()


def main(path: str) -> None:
    """Serve until killed."""
    with socket.create_server(("127.0.0.1", 0)) as listener, Path(path).open("rb") as file:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - how the parent learns it
        while True:
            connection, _ = listener.accept()
            with connection:
                _answer(connection, file.fileno(), Path(path).stat().st_size)


def _answer(connection: socket.socket, file: int, size: int) -> None:
    while connection.recv(65_536):  # requests without a body come in one piece
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode())
        sent = 0
        while sent < size:
            sent += os.sendfile(connection.fileno(), file, sent, size - sent)


if __name__ == "__main__":
    main(sys.argv[1])
