"""A connector whose power fails at a chosen moment.

Moments are where a crash can make a difference: a transaction begins, a transaction is about
to commit, a call to another service leaves, its answer has come, our own answer leaves. They
are counted; at the chosen one and at all later ones everything that goes on raises
``PowerCutError``, so nothing is written or sent any more. What was not committed is lost, as
in a crash; what was committed stays.
"""

from __future__ import annotations

import threading
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import event
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from connector.runtime import Runtime


class PowerCutError(Exception):
    """There is no power."""


class Power:
    """Counts moments from ``arm`` on and fails at the one that was chosen."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_armed = False
        self._cut_at: int | None = None
        self.moments = 0
        self.failed = threading.Event()

    def arm(self, cut_at: int | None) -> None:
        """Start counting; None means that the power never fails."""
        with self._lock:
            self._is_armed, self._cut_at = True, cut_at

    def moment(self) -> None:
        """Count a moment.

        Raises:
            PowerCutError: The power has failed.
        """
        with self._lock:
            if not self._is_armed:
                return
            self.moments += 1
            if self._cut_at is not None and self.moments >= self._cut_at:
                self.failed.set()
                raise PowerCutError

    def drive(self, app: FastAPI) -> None:
        """Make an application of a connector depend on this power."""
        runtime: Runtime = app.state.runtime
        engine = runtime.database.engine
        # before the product's own BEGIN: a transaction begun without power would stay open
        event.listen(engine, "begin", lambda _: self.moment(), insert=True)
        event.listen(engine, "commit", lambda _: self.moment())
        app.add_middleware(_PoweredAnswers, power=self)


class _PoweredAnswers:
    def __init__(self, app: ASGIApp, power: Power) -> None:
        self._app = app
        self._power = power

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_if_powered(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._power.moment()
            await send(message)

        await self._app(scope, receive, send_if_powered)


class PoweredTransport(httpx.HTTPTransport):
    """Outgoing calls that depend on power."""

    def __init__(self, power: Power, **options: Any) -> None:
        super().__init__(**options)
        self._power = power

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, unless the power is cut; lose the answer if it fails meanwhile."""
        self._power.moment()
        response = super().handle_request(request)
        try:
            self._power.moment()
        except PowerCutError:
            response.close()
            raise
        return response
