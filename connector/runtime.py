"""What every feature of one connector works with; several connectors live in one process."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import Request

from connector.identity.verifier import Verifier
from connector.negotiation import decide as negotiating
from connector.settings import ConnectorSettings
from connector.transfer import decide as transferring
from databank.kit.clock import Clock, IdMaker
from databank.kit.db import Database
from databank.kit.directory import Directory
from databank.kit.http import Identity, ServiceClient
from databank.kit.resolver import Resolver
from schemas.ids import ParticipantId


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


@dataclass(frozen=True, slots=True)
class Deciders:
    """Who decides for the company; by default what it has published decides."""

    negotiation: negotiating.Decider = field(default_factory=negotiating.CompanyDecider)
    transfer: transferring.Decider = field(default_factory=transferring.AutomaticDecider)


@dataclass(frozen=True, slots=True)
class Runtime:
    """One connector's parts.

    ``outbox`` wakes the dispatcher, ``usage`` the shipper of usage records, ``processes``
    those who wait for a negotiation or transfer process, ``standing`` the keeper of our
    credential, ``credentials`` those who wait for one, ``deadlines`` who ends what is due.
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
    outbox: Signal = field(default_factory=Signal)
    usage: Signal = field(default_factory=Signal)
    processes: Signal = field(default_factory=Signal)
    standing: Signal = field(default_factory=Signal)
    credentials: Signal = field(default_factory=Signal)
    deadlines: Signal = field(default_factory=Signal)
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


def get_runtime(request: Request) -> Runtime:
    """Return the connector that serves this request."""
    runtime: Runtime = request.app.state.runtime
    return runtime
