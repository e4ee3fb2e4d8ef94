"""Use cases of the management API that concern transfer processes."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from fastapi import Request

from connector.agreement import store as agreements
from connector.management.joining import active_supplier, check_joined
from connector.management.waiting import is_over, wait_aside, wait_for
from connector.runtime import Runtime
from connector.side import IllegalTransitionError, Side
from connector.transfer import service as transferring
from connector.transfer import store
from connector.transfer.decide import Move
from connector.transfer.machine import Message, State
from connector.transfer.model import TransferProcess
from schemas.ids import AgreementId, ProcessId
from schemas.management import EndRequest, ProcessRole, TransferView
from schemas.problem import ConflictError, NotFoundError
from schemas.refusal import RefusalCode
from schemas.wire import Text


class AgreementOverError(ConflictError):
    """The agreement was ended by one side, or its time is up."""

    slug = "agreement-over"
    title = Text(ko="끝난 합의입니다", en="The agreement has ended")


class Change(StrEnum):
    """How a transfer process can be changed from our side."""

    START = "start"
    COMPLETION = "completion"
    SUSPENSION = "suspension"
    TERMINATION = "termination"


_CHANGES: Final = {
    Change.START: Message.START,
    Change.COMPLETION: Message.COMPLETE,
    Change.SUSPENSION: Message.SUSPEND,
    Change.TERMINATION: Message.TERMINATE,
}


def transfer(runtime: Runtime, agreement_id: AgreementId) -> TransferView:
    """Start the transfer process of an agreement that we hold as consumer; errors as `running`."""
    return view_transfer(running(runtime, agreement_id))


def running(runtime: Runtime, agreement_id: AgreementId) -> TransferProcess:
    """Return the transfer process of an agreement that we hold as consumer; started if none runs.

    Raises:
        NotFoundError: There is no such agreement.
        AgreementOverError: The agreement has ended.
        NotJoinedError: We are not an active participant.
        SupplierSuspendedError: The supplier is not active.
    """
    with runtime.database.unit_of_work() as uow:
        agreement = agreements.get(uow, agreement_id)
        known = transferring.running_as_consumer(uow, agreement_id)
    if agreement is None or agreement.side is not Side.CONSUMER:
        raise NotFoundError(
            ko="우리가 수요기업인 합의 가운데 그런 것이 없습니다.",
            en="We hold no such agreement as consumer.",
        )
    if agreement.is_over(runtime.clock()):
        why = f" ({agreement.end.reason})" if agreement.end else ""
        raise AgreementOverError(
            ko=f"끝난 합의입니다{why}. 다시 합의하세요.",
            en=f"The agreement has ended{why}. Negotiate a new one.",
            code=agreement.end.code if agreement.end else RefusalCode.EXPIRED.value,
        )
    check_joined(runtime)
    provider = active_supplier(runtime, agreement.provider_id)
    if known is not None:
        return known
    with runtime.database.unit_of_work() as uow:
        return transferring.request(uow, runtime, agreement, peer_url=provider.dsp_url)


def view_transfer(process: TransferProcess) -> TransferView:
    """Return a transfer process as its owner sees it; the data address stays inside."""
    return TransferView(
        pid=process.pid,
        role=ProcessRole(process.side.value),
        consumer_pid=process.consumer_pid,
        provider_pid=process.provider_pid,
        counterparty_id=process.counterparty_id,
        agreement_id=process.agreement_id,
        state=process.state.value,
        reason=process.reason,
        reason_code=process.reason_code,
        updated_at=process.updated_at,
    )


def wait_until_started(runtime: Runtime, pid: ProcessId) -> TransferProcess:
    """Return a transfer process once it has left REQUESTED, or as it is after some seconds.

    Raises:
        NotFoundError: There is none with this pid.
    """
    return wait_for(
        runtime,
        pid,
        lambda uow: store.get(uow, pid),
        is_done=_has_left_requested,
        seconds=runtime.settings.start_wait_seconds,
    )


async def show_transfer(
    request: Request, runtime: Runtime, pid: ProcessId, seconds: float
) -> TransferView:
    """Return a transfer process once it has left REQUESTED or the wait is over; holds no thread.

    Raises:
        NotFoundError: There is none with this pid.
    """
    process = await wait_aside(
        request,
        runtime,
        pid,
        lambda uow: store.get(uow, pid),
        is_done=_has_left_requested,
        seconds=seconds,
    )
    return view_transfer(process)


def _has_left_requested(process: TransferProcess) -> bool:
    return process.state is not State.REQUESTED


def change_transfer(
    runtime: Runtime, pid: ProcessId, change: Change, said: EndRequest
) -> TransferView:
    """Start or resume, complete, suspend or terminate a transfer process from our side.

    Raises:
        NotFoundError: There is none with this pid.
        ConflictError: Its state forbids it, or the counterparty has suspended it.
    """
    with runtime.database.unit_of_work() as uow:
        process = store.get(uow, pid)
        if process is None:
            raise NotFoundError(ko="그런 전송이 없습니다.", en="There is no such transfer process.")
        try:
            move = Move(_CHANGES[change], said.reason, said.code)
            changed = transferring.act(uow, runtime, process, move)
        except IllegalTransitionError:
            raise is_over(process.state.value) from None
        return view_transfer(changed)
