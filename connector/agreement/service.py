"""Use cases of agreements that end: by one side, or because their time is up.

Effective at the next read: the data plane looks at the agreement in the transaction of every
act. The protocol has no message for it, so the other side learns of it in two ways: its
transfer processes are terminated (every DSP connector), and it is told directly (ours).
"""

from __future__ import annotations

from connector.agreement import store
from connector.agreement.model import Agreement, End
from connector.outbox.model import Kind, OutgoingMessage
from connector.outbox.service import enqueue
from connector.runtime import Runtime
from connector.side import Side
from connector.transfer import service as transferring
from connector.transfer import store as transfers
from connector.transfer.decide import Move
from connector.transfer.machine import Message
from databank.kit.db import UnitOfWork
from schemas.ids import ParticipantId
from schemas.participant import Participant
from schemas.problem import NotFoundError
from schemas.refusal import RefusalCode, Termination, said_in_both


def end(
    uow: UnitOfWork,
    runtime: Runtime,
    termination: Termination,
    *,
    agreement: Agreement,
    counterparty: Participant,
) -> None:
    """End an agreement from our side, and tell the other."""
    said = End(runtime.did, termination.code, termination.reason, runtime.clock())
    _end(uow, runtime, agreement, said)
    message = OutgoingMessage(
        kind=Kind.AGREEMENT_END,
        process_key=f"agreement-end:{agreement.id}",
        url=f"{counterparty.connector_url.rstrip('/')}/agreements/terminations",
        audience=counterparty.id,
        body=termination.to_json(),
    )
    enqueue(uow, runtime, message)


def hear_end(
    uow: UnitOfWork, runtime: Runtime, termination: Termination, caller_id: ParticipantId
) -> None:
    """Take the counterparty's word that it ends an agreement; the same again changes nothing.

    Raises:
        NotFoundError: We hold no such agreement with the caller.
    """
    agreement = store.get(uow, termination.agreement_id)
    if agreement is None or agreement.counterparty_id != caller_id:
        raise NotFoundError(ko="그런 합의가 없습니다.", en="There is no such agreement.")
    if agreement.end is None:
        said = End(caller_id, termination.code, termination.reason, runtime.clock())
        store.put_end(uow, agreement.id, said)
        uow.after_commit(runtime.processes.give)


def expire(uow: UnitOfWork, runtime: Runtime, agreement: Agreement) -> None:
    """Close an agreement whose time is up; each side does so by its own clock."""
    assert agreement.ends_at is not None
    code = RefusalCode.EXPIRED
    _end(uow, runtime, agreement, End(runtime.did, code, said_in_both(code), agreement.ends_at))


def _end(uow: UnitOfWork, runtime: Runtime, agreement: Agreement, said: End) -> None:
    store.put_end(uow, agreement.id, said)
    if said.at == agreement.ends_at and agreement.side is Side.CONSUMER:
        return  # its time is up: the supplier ends its transfer processes, and clocks differ
    for process in transfers.running(uow, agreement.id):
        move = Move(Message.TERMINATE, said.reason, said.code)
        transferring.act(uow, runtime, process, move)
