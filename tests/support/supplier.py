"""A company's connector as the broker sees it: its catalog over DSP, well or ill behaved."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from schemas.dataset import Dataset
from schemas.dcat import dataset_to_wire
from schemas.ids import did_web
from tests.support.listings import make_offer

CONTEXT: Final = "https://w3id.org/dspace/2025/1/context.jsonld"


class Answering(BaseHTTPRequestHandler):
    """One request to a supplier; ``Supplier.behave`` writes the answer."""

    supplier: Supplier

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.supplier.requests.append((self.path, dict(self.headers), body))
        if self.path == "/registry/notices":
            self.supplier.stopping.wait(self.supplier.notice_seconds)
            self.send(200, body)
            return
        try:
            self.supplier.behave(self)
        except OSError:
            self.close_connection = True  # the broker hung up, as it should

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 304:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        del format, args


@dataclass
class Supplier:
    """A supplier's state; tests set ``datasets`` or ``behave``."""

    url: str
    datasets: list[Any] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    notice_seconds: float = 0.0
    behave: Callable[[Answering], None] = field(init=False)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.behave = self.answer_well

    def publish(self, *datasets: Dataset) -> None:
        """Let the catalog hold these datasets from now on."""
        self.datasets = [
            dataset_to_wire(one, offer=make_offer(n), service_id=self.url)
            for n, one in enumerate(datasets)
        ]

    def catalog(self, datasets: list[Any] | None = None, **changes: Any) -> bytes:
        held = self.datasets if datasets is None else datasets
        message: dict[str, Any] = {
            "@context": [CONTEXT],
            "@id": f"{self.url}/catalog",
            "@type": "Catalog",
            "participantId": did_web(self.url),
        }
        if held:
            message["dataset"] = held
        return json.dumps(message | changes).encode()

    def answer_well(self, request: Answering) -> None:
        """Answer the whole catalog in one page, or 304."""
        body = self.catalog()
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        if request.headers.get("if-none-match") == etag:
            self.statuses.append(304)
            request.send(304, ETag=etag)
        else:
            self.statuses.append(200)
            request.send(200, body, ETag=etag)


@contextmanager
def running_supplier() -> Iterator[Supplier]:
    """Run a supplier on a free port."""
    handler: type[Answering] = type("Handler", (Answering,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    supplier = Supplier(f"http://localhost:{server.server_address[1]}")
    handler.supplier = supplier
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield supplier
    finally:
        supplier.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
