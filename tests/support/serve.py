"""A real server for an application: one thread, one free port of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import httpx
import uvicorn
from fastapi import FastAPI

from databank.up import listen

START_SECONDS_MAX: Final = 60.0
POLL_SECONDS: Final = 0.01


@contextmanager
def serve(app_factory: Callable[[int], FastAPI], *, port: int = 0) -> Iterator[str]:
    """Run the application that ``app_factory`` makes for a free, or this, port; yield its URL."""
    with listen("127.0.0.1", port) as listener:
        port = int(listener.getsockname()[1])
        config = uvicorn.Config(
            app_factory(port),
            ws="none",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=3,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(
            target=server.run, args=([listener],), name=f"serve-{port}", daemon=True
        )
        thread.start()
        try:
            _wait_until_started(server, thread)
            # FastAPI makes its routes when they are first looked through, and silences a warning
            # meanwhile for all threads: two applications at once would see it as an error
            httpx.get(f"http://127.0.0.1:{port}/no-such-page", timeout=START_SECONDS_MAX)
            yield f"http://localhost:{port}"
        finally:
            server.should_exit = True
            thread.join(START_SECONDS_MAX)
            assert not thread.is_alive(), "the server does not stop"


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    waited = 0.0
    while not server.started:
        assert thread.is_alive(), "the server ended at once"
        assert waited < START_SECONDS_MAX, "the server does not start"
        thread.join(POLL_SECONDS)
        waited += POLL_SECONDS
