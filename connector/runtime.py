"""What every feature of one connector works with; several connectors live in one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from fastapi import Request

from connector.identity.verifier import Verifier
from connector.negotiation import decide as negotiating
from connector.outbox.model import QueuedMessage
from connector.receiving.waited import Waited
from connector.settings import ConnectorSettings
from connector.transfer import decide as transferring
from databank.kit.clock import Clock, IdMaker
from databank.kit.db import Database
from databank.kit.directory import Directory
from databank.kit.http import Identity, ServiceClient
from databank.kit.resolver import Resolver
from schemas.ids import ParticipantId, ProcessId


class Signal:
    """Wakes whoever waits for the next change; never lost between two looks."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    @property
    def count(self) -> int:
        """How often the signal was given."""
        return self._count

    def give(self) -> None:
        """Wake all waiters."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seen: int, timeout_seconds: float) -> int:
        """Wait until the signal was given more often than ``seen``; return the count."""
        with self._condition:
            self._condition.wait_for(lambda: self._count != seen, timeout_seconds)
            return self._count


CLOCK_LOOK_SECONDS: Final = 60.0  # a clock that was set, or a machine that slept, is noticed


class Alarm(Signal):
    """Wakes one sleeper early, and only for what is due before it wakes by itself."""

    def __init__(self, *, look_seconds: float = CLOCK_LOOK_SECONDS) -> None:
        super().__init__()
        self._look_seconds = look_seconds
        self._wakes_at: datetime | None = None  # while it sleeps

    def give_for(self, at: datetime) -> None:
        """Tell of something that is due at this time."""
        with self._condition:
            if self._wakes_at is None or at < self._wakes_at:
                self.give()

    def sleep_until(self, seen: int, at: datetime, *, clock: Clock) -> None:
        """Sleep unless the signal was given more often than ``seen``.

        It ends when the clock says so, and looks at it often enough; at the latest after the
        time that it was to last when it began.
        """
        ends = time.monotonic() + (at - clock()).total_seconds()
        with self._condition:
            self._wakes_at = at
            try:
                while self._count == seen and clock() < at:
                    left = ends - time.monotonic()
                    if left <= 0:
                        break
                    self._condition.wait(min(left, self._look_seconds))
            finally:
                self._wakes_at = None


class Processes(Signal):
    """Tells of each change of a negotiation or transfer process, to all or to who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: dict[str, list[Callable[[Any], None]]] = {}

    def tell(self, pid: ProcessId, process: object) -> None:
        """Pass a process as it is now to those who watch its pid."""
        with self._condition:
            watchers = list(self._watchers.get(pid, ()))
        for watcher in watchers:
            watcher(process)
        self.give()

    @contextmanager
    def watched(self, pid: ProcessId, watcher: Callable[[Any], None]) -> Iterator[None]:
        """Call ``watcher`` with the process after each change of it that is stored meanwhile."""
        with self._condition:
            self._watchers.setdefault(pid, []).append(watcher)
        try:
            yield
        finally:
            with self._condition:
                self._watchers[pid].remove(watcher)
                if not self._watchers[pid]:
                    del self._watchers[pid]

    def watchers(self, pid: str) -> int:
        """Return how many wait for a process."""
        with self._condition:
            return len(self._watchers.get(pid, ()))


class Sender(Protocol):
    """Who delivers messages."""

    def take(self, queued: QueuedMessage) -> bool:
        """Send the first message of its process soon; return False if that is not possible now."""

    def wait_behind(self, process_key: str) -> bool:
        """Send what waits behind a message that is being sent; return False if none is."""


class Outlet(Signal):
    """Hands messages over to the running dispatcher; where it cannot take one, it is woken."""

    def __init__(self) -> None:
        super().__init__()
        self.sender: Sender | None = None

    def hand_over(self, process_key: str, first: QueuedMessage | None) -> None:
        """Pass a queued message on, or None if another of its process waits before it."""
        sender = self.sender
        if sender is None:
            is_seen_to = False
        else:
            is_seen_to = sender.take(first) if first else sender.wait_behind(process_key)
        if not is_seen_to:
            self.give()


@dataclass(frozen=True, slots=True)
class Deciders:
    """Who decides for the company; by default what it has published decides."""

    negotiation: negotiating.Decider = field(default_factory=negotiating.CompanyDecider)
    transfer: transferring.Decider = field(default_factory=transferring.AutomaticDecider)


@dataclass(frozen=True, slots=True)
class Runtime:
    """One connector's parts.

    ``outbox`` reaches the dispatcher, ``usage`` the shipper of usage records, ``processes``
    those who wait for a negotiation or transfer process, ``standing`` the keeper of our
    credential, ``credentials`` those who wait for one, ``deadlines`` who ends what is due,
    ``copies`` who makes engine copies of published files. ``waited`` counts our waits for answers.
    ``before_queries`` are called when a consumer has got an address where it may ask with SQL.
    """

    settings: ConnectorSettings
    identity: Identity
    database: Database
    directory: Directory
    client: ServiceClient
    clock: Clock
    make_id: IdMaker
    resolver: Resolver
    verifier: Verifier
    deciders: Deciders = field(default_factory=Deciders)
    outbox: Outlet = field(default_factory=Outlet)
    usage: Signal = field(default_factory=Signal)
    received: Signal = field(default_factory=Signal)
    waited: Waited = field(default_factory=Waited)
    processes: Processes = field(default_factory=Processes)
    standing: Signal = field(default_factory=Signal)
    credentials: Signal = field(default_factory=Signal)
    deadlines: Alarm = field(default_factory=Alarm)
    copies: Signal = field(default_factory=Signal)
    before_queries: list[Callable[[], None]] = field(default_factory=list)
    rotating: threading.Lock = field(default_factory=threading.Lock)

    @property
    def did(self) -> ParticipantId:
        """Our participant id."""
        return self.identity.did

    @property
    def data_folder(self) -> Path:
        """Where the published Arrow files lie."""
        return self.settings.data_dir / "data"

    @property
    def dsp_url(self) -> str:
        """Where we speak DSP 2025-1; also the callback address that we send."""
        return f"{self.settings.url}/dsp/2025-1"


async def get_runtime(request: Request) -> Runtime:
    """Return the connector that serves this request; not by way of a thread."""
    return runtime_of(request)


def runtime_of(request: Request) -> Runtime:
    """Return the connector that serves this request."""
    runtime: Runtime = request.app.state.runtime
    return runtime
