"""What follows when one of our negotiation messages was taken, or never will be."""

from __future__ import annotations

from typing import Any

from connector.dsp.remedy import Remedy
from connector.negotiation import service, store
from connector.negotiation.machine import State
from connector.negotiation.outgoing import kind_of, state_path
from connector.negotiation.reconcile import remedy_for
from connector.outbox.model import OutgoingMessage, Refused
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.dsp.message import read_id
from schemas.ids import ProcessId


class NegotiationDelivery:
    """Keeps both sides of a negotiation in the same state."""

    def state_url(self, uow: UnitOfWork, message: OutgoingMessage) -> str | None:
        """Return where the counterparty shows the negotiation, once its pid is known."""
        negotiation = store.get(uow, ProcessId(message.process_key))
        path = None if negotiation is None else state_path(negotiation)
        return None if negotiation is None or path is None else negotiation.peer_url + path

    def delivered(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, answer: dict[str, Any]
    ) -> None:
        """Learn the provider's pid from the answer to our request."""
        provider_pid = read_id(answer.get("providerPid"))
        if provider_pid is None:
            return
        negotiation = store.get(uow, ProcessId(message.process_key))
        if negotiation is None or negotiation.provider_pid is not None:
            return
        service.learn_provider_pid(uow, runtime, negotiation, ProcessId(provider_pid))

    def refused(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, refused: Refused
    ) -> bool:
        """Do what makes both sides hold the same again."""
        negotiation = store.get(uow, ProcessId(message.process_key))
        if negotiation is None:
            return False
        if negotiation.provider_pid is None and not (refused.is_its_word or refused.is_last):
            # it may have begun one there: said until it is answered, so that its end can be told
            if negotiation.state is not State.TERMINATED:
                service.give_up(uow, runtime, negotiation, reason=refused.reason)
            return True
        shown = State(refused.shown) if refused.shown in set(State) else None
        remedy = remedy_for(
            negotiation.state, kind_of(message.body), shown, is_last=refused.is_last
        )
        if remedy in {Remedy.ADOPT, Remedy.END}:
            service.end(
                uow, runtime, negotiation, reason=refused.reason, is_told=remedy is Remedy.END
            )
        return remedy is Remedy.AGAIN
