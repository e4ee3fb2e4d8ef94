"""One connector inside a simulation: its real parts without a server, and its sudden death.

Requests go through the product's own edge and routes, called directly. A connector that is
killed loses everything but its folder. Moments at which that can make a difference are
counted: a transaction begins or is about to commit, a call leaves, its answer has come, our
own answer leaves.
"""

from __future__ import annotations

import inspect
import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import httpx
from fastapi import Request
from fastapi.routing import APIRoute
from sqlalchemy import event

from connector.app import create_context, create_courier, create_runtime
from connector.dsp.edge import DspError
from connector.negotiation.routes import router as negotiation_router
from connector.outbox.courier import Courier
from connector.outbox.model import QueuedMessage
from connector.runtime import Deciders, Runtime
from connector.settings import ConnectorSettings, IdentityCheck
from connector.transfer.routes import router as transfer_router
from schemas.problem import ProblemError
from tests.support.connectors import Registry
from tests.support.migrated import with_tables

CLEARING: Final = "http://clearing.test"
ROUTES: Final = [
    (method, re.compile(route.path_regex.pattern), route)
    for router in (negotiation_router, transfer_router)
    for route in router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
]
# Tables that a repeated message may not change; its token is another one each time.
WATCHED: Final = (
    *("connector_negotiation", "connector_transfer", "connector_agreement"),
    *("connector_outbox", "connector_received"),
)


class KilledError(BaseException):
    """This connector is gone; nothing of the product may catch it."""


@dataclass(frozen=True)
class Ground:
    """What outlasts a connector, and what is around it."""

    name: str
    folder: Path
    registry: Registry
    clock: Callable[[], datetime]
    make_id: Callable[[], str]
    deciders: Deciders
    transport: httpx.BaseTransport
    attempts_max: int

    @property
    def url(self) -> str:
        return f"http://{self.name}.test"


class Node:
    """A connector that can be killed and opened again."""

    runtime: Runtime
    courier: Courier

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.name = ground.name
        self.lives = 0
        self.is_up = False
        self._left: int | None = None
        self._books: sqlite3.Connection | None = None

    def open(self) -> None:
        """Start on what the folder holds."""
        if self.lives:
            self.runtime.database.close()
        ground = self.ground
        settings = ConnectorSettings(
            data_dir=ground.folder,
            public_url=ground.url,
            clearing_url=CLEARING,
            identity=IdentityCheck.REGISTRY,
            registry_max_age_seconds=0.0,
            outbox_attempts_max=ground.attempts_max,
        )
        with_tables("connector", settings.database())
        made = create_runtime(
            settings,
            clock=ground.clock,
            lookup=ground.registry.find,
            http=httpx.Client(transport=ground.transport),
            deciders=ground.deciders,
        )
        self.runtime = replace(made, make_id=ground.make_id)
        self.courier = create_courier(self.runtime)
        state = SimpleNamespace(runtime=self.runtime, context=create_context(self.runtime))
        self._app = SimpleNamespace(state=state, dependency_overrides={})
        self._watch(self.lives)
        self.is_up, self._left = True, None

    def _watch(self, life: int) -> None:
        engine = self.runtime.database.engine
        engine.dispose()  # processes die here, not machines: the disk need not be waited for
        event.listen(engine, "connect", lambda c, _: c.execute("PRAGMA synchronous=OFF").close())
        # before the product's own BEGIN: a transaction begun by the dead would stay open
        event.listen(engine, "begin", lambda _: self.moment(life), insert=True)
        event.listen(engine, "commit", lambda _: self.moment(life))

    def kill(self) -> None:
        """Lose everything but the folder."""
        self.lives += 1
        self.is_up, self._left = False, None

    def close(self) -> None:
        """End the simulation of this connector."""
        self.runtime.database.close()
        if self._books is not None:
            self._books.close()

    def arm(self, moments: int | None) -> None:
        """Die at the moment after so many others; None: do not die."""
        self._left = moments

    def moment(self, life: int) -> None:
        """Pass a moment at which a connector may die.

        Raises:
            KilledError: It died now, or while it waited.
        """
        if life == self.lives and self._left is not None:
            self._left -= 1
            if self._left < 0:
                self.kill()
        if life != self.lives:
            raise KilledError(self.name)

    def serve(self, request: httpx.Request) -> tuple[int, dict[str, Any]]:
        """Answer one request of the protocol; its transaction is over when this returns."""
        found = [
            (r.match(request.url.path), route) for m, r, route in ROUTES if m == request.method
        ]
        match, route = next((m, route) for m, route in found if m is not None)
        scope = {
            "type": "http",
            "path": request.url.path,
            "query_string": b"",
            "headers": [(k.lower().encode(), v.encode()) for k, v in request.headers.items()],
            "app": self._app,
        }
        life = self.lives
        known: dict[str, Any] = {
            "runtime": self.runtime,
            "body": request.content,
            "caller": Request(scope),
            **match.groupdict(),
        }
        names = inspect.signature(route.endpoint).parameters
        try:
            answer = route.endpoint(**{name: known[name] for name in names if name in known})
        except DspError as error:
            return error.status, error.body
        except ProblemError as problem:
            return problem.status, problem.to_json()
        self.moment(life)
        return answer.status_code, json.loads(answer.body)

    def due(self) -> list[QueuedMessage]:
        """Return what this side has to send now, one message of each process."""
        now = self.runtime.clock()
        return [queued for queued, next_at in self.courier.heads() if next_at <= now]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return what stands in a table, read past the product."""
        if self._books is None:
            self._books = sqlite3.connect(self.ground.folder / "service.db")
            self._books.row_factory = sqlite3.Row
        found = self._books.execute(f"SELECT * FROM {table}").fetchall()
        return [dict(row) for row in found]

    def watched(self) -> str:
        """Return everything that a repeated message may not change."""
        return repr([self.rows(table) for table in WATCHED])
