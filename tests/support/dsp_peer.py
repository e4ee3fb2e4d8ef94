"""A strict counterparty of the Dataspace Protocol: it hears only what it listens for.

It behaves as the official kit does: a message is taken once and only while it is awaited,
any other gets 404; it looks at our state once, a tenth of a second after its message.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import httpx

from databank.kit.clock import new_urn
from schemas.dsp.message import CONTEXT
from tests.support.contracts import message

WAIT_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 0.1
REFUSED: Final = range(400, 500)


@dataclass
class Awaited:
    """One message that is listened for, and what is answered."""

    path: re.Pattern[str]
    answer: dict[str, Any] | None
    has_come: threading.Event = field(default_factory=threading.Event)
    body: dict[str, Any] = field(default_factory=dict)

    def wait(self) -> dict[str, Any]:
        assert self.has_come.wait(WAIT_SECONDS), f"nothing comes to {self.path.pattern}"
        return self.body


class Peer:
    """The counterparty: listens at ``url``, speaks to the connector at ``target``."""

    def __init__(self, url: str, target: str, authorization: str) -> None:
        self.url = url
        self._target = target
        self._http = httpx.Client(
            timeout=30, trust_env=False, headers={"Authorization": authorization}
        )
        self._lock = threading.Lock()
        self._awaited: list[Awaited] = []
        self.unexpected: list[str] = []
        self.received: list[dict[str, Any]] = []

    def reset(self) -> None:
        """Forget everything; the next exchange begins."""
        with self._lock:
            self._awaited, self.unexpected, self.received = [], [], []

    def close(self) -> None:
        self._http.close()

    def listen(self, path: str, answer: dict[str, Any] | None = None) -> Awaited:
        """Take the next message at ``path``, once."""
        awaited = Awaited(re.compile(path), answer)
        with self._lock:
            self._awaited.append(awaited)
        return awaited

    def take(self, path: str, raw: bytes) -> tuple[int, dict[str, Any] | None]:
        """Answer a message of the connector."""
        body = json.loads(raw)
        with self._lock:
            found = next((a for a in self._awaited if a.path.fullmatch(path)), None)
            if found is None:
                self.unexpected.append(f"{body.get('@type')} at {path}")
                return 404, None
            self._awaited.remove(found)
            self.received.append(body)
            answer = found.answer
            if answer is not None:  # the pid that is known only now
                pids = {n: body[n] for n in ("consumerPid", "providerPid") if n in body}
                answer = {**answer, **pids}
        found.body = body
        found.has_come.set()
        return 200, answer

    def get(self, path: str) -> dict[str, Any]:
        """Return what the connector shows, a moment after what was said last."""
        threading.Event().wait(LOOK_SECONDS)
        answer = self._http.get(self._target + path)
        assert answer.status_code == 200, answer.text
        shown: dict[str, Any] = answer.json()
        self.received.append(shown)
        return shown

    def ask(self, path: str) -> httpx.Response:
        """Return the answer to a GET, whatever it is; of another URL too."""
        return self._http.get(self._url_of(path))

    def _url_of(self, path: str) -> str:
        return path if path.startswith("http") else self._target + path

    def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Post any JSON to the connector, or to an absolute URL."""
        return self._http.post(self._url_of(path), json=body)

    def say(self, path: str, kind: str, **fields: Any) -> dict[str, Any]:
        """Say something that has to be taken."""
        answer = self.post(path, message(kind, **{"@id": new_urn(), **fields}))
        assert answer.is_success, f"{kind}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    def say_wrongly(self, path: str, kind: str, **fields: Any) -> dict[str, Any]:
        """Say something that has to be refused, but not as if we did not know the process."""
        answer = self.post(path, message(kind, **{"@id": new_urn(), **fields}))
        assert answer.status_code in REFUSED, f"{kind}: {answer.status_code} {answer.text}"
        assert answer.status_code != 404, f"{kind}: {answer.text}"
        said: dict[str, Any] = answer.json()
        self.received.append(said)
        return said


def acknowledged(kind: str, **fields: Any) -> dict[str, Any]:
    """Return the body that answers a request; the pids are filled in."""
    return {"@context": list(CONTEXT), "@type": kind, "@id": new_urn(), **fields}


@contextmanager
def listening() -> Iterator[tuple[str, list[Peer]]]:
    """Listen on a free port; the peer that hears is put into the list later."""
    peers: list[Peer] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = peers[0].take(self.path, raw)
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            if answer is not None:
                self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", peers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        for peer in peers:
            peer.close()
