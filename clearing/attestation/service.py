"""Buyers' acknowledgements: taken exactly once, as suppliers' batches are; then compared."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from clearing.agreements.model import Agreement
from clearing.agreements.service import look_up
from clearing.agreements.store import find_agreements
from clearing.attestation import store
from clearing.attestation.model import Signed, compare, difference_in, pairs_of
from clearing.attestation.store import AckBatch
from clearing.log.service import Log
from clearing.metering import store as metering
from clearing.metering.groups import Group, groups_of
from clearing.metering.problems import (
    AgreementPendingError,
    ChainBrokenError,
    EquivocationError,
    InvalidBatchError,
    RecordRefusedError,
    SequenceGapError,
)
from clearing.metering.stream import Fit, Position, first_difference
from databank.kit.db import Database, UnitOfWork
from schemas.attestation import Comparison
from schemas.ids import AgreementId, ParticipantId
from schemas.participant import Participant
from schemas.problem import ForbiddenError, ProblemError
from schemas.signature import BadSignatureError, PublicKey, peek_header
from schemas.slices import split_as
from schemas.usage import (
    ACKNOWLEDGEMENT_TYPE,
    BadBatchError,
    BatchHeader,
    Receipt,
    StreamPosition,
    UsageRecord,
    decode_batch,
    read_columns,
    sign_receipt,
    verify_header,
)

AHEAD_MAX: Final = timedelta(minutes=5)  # how far a buyer's clock may be ahead of ours
PAGE: Final = 64  # batches read at a time
Reading = Callable[[], AbstractContextManager[UnitOfWork]]


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A buyer's batch whose signature, hash and form were checked, by agreement."""

    batch: AckBatch
    signer: PublicKey
    groups: tuple[Group, ...]

    @property
    def header(self) -> BatchHeader:
        """What the buyer signed."""
        return self.batch.header


def read(jws: str, body: bytes, caller: Participant, *, now: datetime) -> Acknowledgement:
    """Check a batch by itself, under a key that the registry has for its sender.

    Raises:
        ForbiddenError: The header names another company.
        InvalidBatchError: Signature, hash or form are wrong.
    """
    try:
        key = caller.key_named(peek_header(jws).get("kid"), now)
        header = verify_header(jws, key, typ=ACKNOWLEDGEMENT_TYPE)
        if header.provider_id != caller.id:
            raise ForbiddenError(
                ko="자기 회사가 받은 이용만 확인할 수 있습니다.",
                en="A buyer acknowledges what it received itself.",
            )
        slices = split_as(header, read_columns(body, header))
    except (BadSignatureError, BadBatchError) as error:
        raise InvalidBatchError(
            ko=f"묶음을 다시 만들어 서명해 보내세요: {error}",
            en=f"Make and sign the batch again: {error}",
        ) from None
    return Acknowledgement(AckBatch(header, jws, body, None), key, groups_of(slices.parts))


def take(
    uow: UnitOfWork, sent: Acknowledgement, log: Log, *, now: datetime
) -> str | EquivocationError:
    """Keep a batch once and return its receipt; the same batch again gets the same receipt.

    Returns:
        The receipt, or `EquivocationError`, whose evidence has to be committed.

    Raises:
        SequenceGapError: Another number is due.
        ChainBrokenError: It follows another batch.
        AgreementPendingError: An agreement is not known yet: try again.
        RecordRefusedError: A record contradicts its agreement or the clock.
        LogBrokenError: The log does not continue what was signed.
    """
    header = sent.header
    position = store.lock_position(uow, header.provider_id, header.epoch)
    fit = position.fit(header)
    if fit is Fit.BEFORE:
        return _again(uow, sent, position, now)
    if fit is Fit.GAP:
        raise _gap(position)
    if fit is Fit.OTHER_CHAIN:
        raise ChainBrokenError(
            ko="previous_sha256이 마지막으로 받은 묶음과 다릅니다. "
            "GET /usage/acknowledgements/stream을 확인하세요.",
            en="previous_sha256 is not that of the batch taken last. "
            "Ask GET /usage/acknowledgements/stream.",
            expected_seq=position.next_seq,
            last_body_sha256=position.last_body_sha256,
        )
    ids = [group.agreement_id for group in sent.groups]
    _check(sent, find_agreements(uow, ids), now)
    (receipt,) = log.append_all(uow, [lambda index: _receipt(sent, log, index)])
    batch = replace(sent.batch, receipt=receipt)
    store.put(uow, batch, ids, after=position.after(header), now=now)
    return receipt


def position_of(uow: UnitOfWork, consumer_id: ParticipantId, epoch: int) -> StreamPosition:
    """Say what is due next in a buyer's stream."""
    found = store.position(uow, consumer_id, epoch)
    return StreamPosition(
        epoch=epoch, next_seq=found.next_seq, last_body_sha256=found.last_body_sha256
    )


def comparison_of(
    database: Database,
    agreement_id: AgreementId,
    party: ParticipantId,
    period: str,
    *,
    silence: timedelta,
    now: datetime,
) -> Comparison:
    """Compare what both sides have signed of an agreement's month, from the signed batches.

    Each page of batches is read in a transaction of its own, and worked on outside of any: batches
    are only ever added, in order.

    Raises:
        NotFoundError: The caller is no party of it.
    """
    with database.unit_of_work() as uow:
        agreement = look_up(uow, agreement_id, party)
    reading = database.unit_of_work
    return compared(reading, agreement, period, silence=silence, now=now).comparison


@dataclass(frozen=True, slots=True)
class Compared:
    """Both sides' signed counts, and by what they differ in that month alone (micro-won)."""

    comparison: Comparison
    difference_micro: int


def compared(
    reading: Reading, agreement: Agreement, period: str, *, silence: timedelta, now: datetime
) -> Compared:
    """Compare an agreement's month.

    Args:
        reading: Opens the transactions that pages of batches are read in.
        agreement: The agreement.
        period: The month in Seoul.
        silence: How long a buyer may take to sign.
        now: The time.
    """
    id_, plan = agreement.record.agreement_id, agreement.record.plan
    pairs = pairs_of(_metered(reading, id_), _acknowledged(reading, id_), silence=silence)
    comparison = compare(id_, plan, pairs, period=period, now=now)
    return Compared(comparison, difference_in(plan, pairs, period))


def _metered(reading: Reading, agreement_id: AgreementId) -> list[Signed]:
    signed: list[Signed] = []
    after: int | None = 0
    while after is not None:
        with reading() as uow:
            found = metering.batches_of(uow, agreement_id, after=after, limit=PAGE)
        after = found[-1][0] if found else None
        for _, batch in found:
            records = decode_batch(batch.body, batch.header())
            signed += _of(records, agreement_id, batch.received_at)
    return signed


def _acknowledged(reading: Reading, agreement_id: AgreementId) -> list[Signed]:
    signed: list[Signed] = []
    after: int | None = 0
    while after is not None:
        with reading() as uow:
            found = store.batches_of(uow, agreement_id, after=after, limit=PAGE)
        after = found[-1].serial if found else None
        for taken in found:
            records = decode_batch(taken.batch.body, taken.batch.header)
            signed += _of(records, agreement_id, taken.received_at)
    return signed


def _of(
    records: list[UsageRecord], agreement_id: AgreementId, received_at: datetime
) -> list[Signed]:
    return [
        Signed(record, received_at) for record in records if record.agreement_id == agreement_id
    ]


def _again(
    uow: UnitOfWork, sent: Acknowledgement, position: Position, now: datetime
) -> str | EquivocationError:
    header = sent.header
    known = store.overlapping(uow, header)
    for batch in known:
        same = (batch.header.first_seq, batch.header.body_sha256)
        if same == (header.first_seq, header.body_sha256):
            assert batch.receipt is not None
            return batch.receipt
    records = [r for batch in known for r in decode_batch(batch.body, batch.header)]
    seq = first_difference(records, decode_batch(sent.batch.body, header))
    if seq is None:  # the same records, grouped in another way
        raise _gap(position)
    if store.has_room_for_evidence(uow, header):
        store.put(uow, sent.batch, (), after=None, contradicts=seq, now=now)
    return EquivocationError(
        ko=f"순번 {seq}은(는) 다른 내용으로 이미 확인했습니다. 두 서명을 증거로 보관합니다.",
        en=f"Sequence number {seq} was acknowledged with other content. Both are kept.",
        seq=seq,
        expected_seq=position.next_seq,
    )


def _gap(position: Position) -> SequenceGapError:
    return SequenceGapError(
        ko=f"순번 {position.next_seq}부터 보내야 합니다.",
        en=f"Send from sequence number {position.next_seq} on.",
        expected_seq=position.next_seq,
        last_body_sha256=position.last_body_sha256,
    )


def _check(
    sent: Acknowledgement, agreements: Mapping[AgreementId, Agreement], now: datetime
) -> None:
    for group in sorted(sent.groups, key=lambda each: each.first_seq):
        fault = _fault(group, agreements.get(group.agreement_id), sent.header.provider_id, now)
        if fault is not None:
            raise fault


def _fault(
    group: Group, agreement: Agreement | None, consumer_id: ParticipantId, now: datetime
) -> ProblemError | None:
    seq, id_ = group.first_seq, group.agreement_id
    if agreement is None or not agreement.is_meterable:
        return AgreementPendingError(
            ko=f"순번 {seq}: 합의 {id_}을(를) 양쪽이 알리기 전입니다. 잠시 뒤 다시 보내세요.",
            en=f"Seq {seq}: both sides have not told agreement {id_} yet. Send it again later.",
            seq=seq,
            agreement_id=id_,
            retryable=True,
        )
    told = agreement.record
    if told.consumer_id != consumer_id or group.parties != {(consumer_id, told.dataset_id)}:
        reason = ("합의의 수요기업이나 데이터셋이 아닙니다", "not the agreement's buyer or dataset")
    elif group.earliest < told.agreed_at - AHEAD_MAX or group.latest > now + AHEAD_MAX:
        reason = ("합의 전이거나 미래의 시각입니다", "before the agreement or in the future")
    else:
        return None
    return RecordRefusedError(
        ko=f"순번 {seq}: {reason[0]}. 기록을 확인하세요.",
        en=f"Seq {seq}: {reason[1]}. Check the record.",
        seq=seq,
    )


def _receipt(sent: Acknowledgement, log: Log, index: int) -> str:
    header = sent.header
    receipt = Receipt(
        provider_id=header.provider_id,
        epoch=header.epoch,
        first_seq=header.first_seq,
        next_seq=header.first_seq + header.records_count,
        body_sha256=header.body_sha256,
        charged_micro=0,
        entries_count=0,
        entries_sha256=hashlib.sha256(b"").hexdigest(),
        header_sha256=hashlib.sha256(sent.batch.jws.encode()).hexdigest(),
        signer=sent.signer.fingerprint,
        log_origin=log.origin,
        log_index=index,
        nonce=log.make_nonce(),
    )
    return sign_receipt(receipt, log.signing_key)
