"""Usage batches: checked, rated and booked in one transaction with their stream's watermark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from clearing.agreements.service import look_up
from clearing.log.service import Log
from clearing.metering import store
from clearing.metering.desk import Batch, Desk
from clearing.metering.groups import groups_of
from clearing.metering.problems import InvalidBatchError
from databank.kit.db import UnitOfWork
from schemas.ids import AgreementId, ParticipantId
from schemas.participant import Participant
from schemas.problem import ForbiddenError, ProblemError
from schemas.signature import BadSignatureError, peek_header
from schemas.slices import split_as
from schemas.usage import (
    BadBatchError,
    RecordList,
    RecordView,
    StreamPosition,
    decode_batch,
    read_columns,
    verify_header,
)

PAGE_BATCHES_MAX: Final = 8


def read(jws: str, body: bytes, caller: Participant, *, now: datetime) -> Batch:
    """Check a batch by itself, under a key that the registry has for its sender.

    Raises:
        ForbiddenError: The header names another provider.
        InvalidBatchError: Signature, hash or form are wrong.
    """
    try:
        key = caller.key_named(peek_header(jws).get("kid"), now)
        header = verify_header(jws, key)
        if header.provider_id != caller.id:
            raise ForbiddenError(
                ko="자기 회사의 사용 기록만 보낼 수 있습니다.",
                en="A provider sends usage records of its own only.",
            )
        signed = store.SignedBatch(header, jws, body)
        table = read_columns(body, header)
        slices = split_as(header, table)
        return Batch(signed, key, groups_of(slices.parts), table["occurred_at"][-1].as_py())
    except (BadSignatureError, BadBatchError) as error:
        raise InvalidBatchError(
            ko=f"묶음을 다시 만들어 서명해 보내세요: {error}",
            en=f"Make and sign the batch again: {error}",
        ) from None


def take(uow: UnitOfWork, batch: Batch, log: Log, *, now: datetime) -> str:
    """Book a batch once and return its receipt; the same batch again gets the same receipt.

    Raises:
        ProblemError: As `take_all` returns.
        LogBrokenError: The log does not continue what was signed.
    """
    (outcome,) = take_all(uow, [batch], log, now=now)
    if isinstance(outcome, ProblemError):
        raise outcome
    return outcome


def take_all(
    uow: UnitOfWork, batches: Sequence[Batch], log: Log, *, now: datetime
) -> list[str | ProblemError]:
    """Book batches, each once and in this order, as if each came alone; return their receipts.

    In a receipt's place stands why a batch was refused: `SequenceGapError`, `ChainBrokenError`,
    `EquivocationError` (its evidence has to be committed), `AgreementPendingError` (try again),
    `RecordRefusedError`, or a problem of the books. A refused batch changes nothing else.

    Raises:
        LogBrokenError: The log does not continue what was signed.
    """
    log.check()
    desk = Desk.open(uow, batches, log, now=now)
    outcomes = [desk.take(batch) for batch in batches]
    receipts = desk.save()
    return [o if isinstance(o, ProblemError) else receipts[o] for o in outcomes]


def position_of(uow: UnitOfWork, provider_id: ParticipantId, epoch: int) -> StreamPosition:
    """Say what is due next in a stream."""
    position = store.position(uow, provider_id, epoch)
    return StreamPosition(
        epoch=epoch, next_seq=position.next_seq, last_body_sha256=position.last_body_sha256
    )


def records_of(
    uow: UnitOfWork, agreement_id: AgreementId, party: ParticipantId, *, cursor: int
) -> RecordList:
    """Return booked records of an agreement to one of its parties, a few batches at a time.

    Raises:
        NotFoundError: The caller is no party of it.
    """
    look_up(uow, agreement_id, party)
    found = store.batches_of(uow, agreement_id, after=cursor, limit=PAGE_BATCHES_MAX)
    records = tuple(
        RecordView(
            provider_id=batch.provider_id,
            epoch=batch.epoch,
            **{**asdict(record), "compute_ms": record.compute_ms or None},
        )
        for _, batch in found
        for record in decode_batch(batch.body, batch.header())
        if record.agreement_id == agreement_id
    )
    more = str(found[-1][0]) if len(found) == PAGE_BATCHES_MAX else None
    return RecordList(records=records, next_cursor=more)
