"""What follows when one of our transfer messages was taken, or never will be."""

from __future__ import annotations

from typing import Any

from connector.dsp.remedy import Remedy
from connector.outbox.model import OutgoingMessage, Refused
from connector.runtime import Runtime
from connector.side import Side
from connector.transfer import service, store
from connector.transfer.machine import Message, State
from connector.transfer.reconcile import remedy_for
from databank.kit.db import UnitOfWork
from schemas.dsp.message import read_id
from schemas.ids import ProcessId


class TransferDelivery:
    """Keeps both sides of a transfer process in the same state."""

    def state_url(self, uow: UnitOfWork, message: OutgoingMessage) -> str | None:
        """Return where the counterparty shows the process, once its pid is known."""
        process = store.get(uow, ProcessId(message.process_key))
        if process is None:
            return None
        is_consumer = process.side is Side.CONSUMER
        peer_pid = process.provider_pid if is_consumer else process.consumer_pid
        return None if peer_pid is None else f"{process.peer_url}/transfers/{peer_pid}"

    def delivered(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, answer: dict[str, Any]
    ) -> None:
        """Learn the provider's pid from the answer to our request."""
        provider_pid = read_id(answer.get("providerPid"))
        if provider_pid is None:
            return
        process = store.get(uow, ProcessId(message.process_key))
        if process is None or process.provider_pid is not None:
            return
        service.learn_provider_pid(uow, runtime, process, ProcessId(provider_pid))

    def refused(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, refused: Refused
    ) -> bool:
        """Do what makes both sides hold the same again."""
        process = store.get(uow, ProcessId(message.process_key))
        if process is None:
            return False
        if process.provider_pid is None and not (refused.is_its_word or refused.is_last):
            # it may have begun one there: said until it is answered, so that its end can be told
            if process.state is not State.TERMINATED:
                service.give_up(uow, runtime, process, reason=refused.reason)
            return True
        kind = Message(message.body["@type"])
        shown = State(refused.shown) if refused.shown in set(State) else None
        remedy = remedy_for(process.state, kind, shown, is_last=refused.is_last)
        if remedy is Remedy.ADOPT:
            assert shown is not None
            service.end(uow, runtime, process, state=shown, reason=refused.reason, is_told=False)
        elif remedy is Remedy.END:
            state = State.TERMINATED
            service.end(uow, runtime, process, state=state, reason=refused.reason, is_told=True)
        elif kind is Message.SUSPEND and process.suspended_by == frozenset(Side):
            # who takes no pause on top of its own takes it once it has resumed
            return not refused.is_last
        return remedy is Remedy.AGAIN
