"""Deciders that wait at first and then say the lines of a script, each after a pause."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from typing import Final

from connector.negotiation import service as negotiating
from connector.negotiation import store as negotiations
from connector.negotiation.decide import Move as NegotiationMove
from connector.negotiation.decide import Situation
from connector.negotiation.model import Negotiation
from connector.outbox import store as outbox
from connector.runtime import Runtime
from connector.transfer import service as transferring
from connector.transfer import store as transfers
from connector.transfer.decide import Move as TransferMove
from connector.transfer.model import TransferProcess
from databank.kit.db import UnitOfWork
from schemas.ids import ProcessId
from tests.tck.scripts import negotiation_lines, transfer_lines

POLL_SECONDS: Final = 0.02


class Player(ABC):
    """Says scripted lines; how many were said is counted for each process by itself."""

    def __init__(self, pause_seconds: float) -> None:
        self._pause_seconds = pause_seconds
        self._said: dict[ProcessId, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._time = threading.Event()  # never set: waiting for it is a pause
        self.runtime: Runtime | None = None  # known once the application is made

    def cue(self, pid: ProcessId) -> None:
        """Look soon whether the process stands where the next line belongs."""
        threading.Thread(target=self._play, args=(pid,), name=f"play-{pid}", daemon=True).start()

    def _play(self, pid: ProcessId) -> None:
        runtime = self.runtime
        assert runtime is not None
        while self._is_sending(runtime, pid):
            self._time.wait(POLL_SECONDS)
        self._time.wait(self._pause_seconds)
        with self._lock:
            with runtime.database.unit_of_work() as uow:
                is_said = self.say_next(uow, runtime, pid, self._said[pid])
            self._said[pid] += is_said
        if is_said:
            self.cue(pid)

    def _is_sending(self, runtime: Runtime, pid: ProcessId) -> bool:
        with runtime.database.unit_of_work() as uow:
            return outbox.count(uow, pid) > 0

    @abstractmethod
    def say_next(self, uow: UnitOfWork, runtime: Runtime, pid: ProcessId, said: int) -> bool:
        """Say the line after ``said`` lines if its state is the process's."""


class NegotiationPlayer(Player):
    """Follows the script of the negotiation's dataset."""

    def next_move(self, negotiation: Negotiation, situation: Situation) -> NegotiationMove | None:
        """Wait; the script goes on in a moment."""
        del situation
        self.cue(negotiation.pid)
        return None

    def say_next(self, uow: UnitOfWork, runtime: Runtime, pid: ProcessId, said: int) -> bool:
        negotiation = negotiations.get(uow, pid)
        assert negotiation is not None
        for line in negotiation_lines(negotiation.dataset_id)[said : said + 1]:
            if line.state is negotiation.state:
                negotiating.act(uow, runtime, negotiation, NegotiationMove(line.message))
                return True
        return False


class TransferPlayer(Player):
    """Follows the script of the process's agreement."""

    def next_move(self, process: TransferProcess) -> TransferMove | None:
        """Wait; the script goes on in a moment."""
        self.cue(process.pid)
        return None

    def say_next(self, uow: UnitOfWork, runtime: Runtime, pid: ProcessId, said: int) -> bool:
        process = transfers.get(uow, pid)
        assert process is not None
        for line in transfer_lines(process.agreement_id)[said : said + 1]:
            if line.state is process.state:
                transferring.act(uow, runtime, process, TransferMove(line.message))
                return True
        return False
