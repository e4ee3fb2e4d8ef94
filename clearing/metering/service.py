"""Usage batches: checked, rated and booked in one transaction with their stream's watermark."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Final

from clearing.agreements.model import Agreement
from clearing.agreements.service import look_up
from clearing.agreements.store import find_agreements
from clearing.ledger.entries import Sale, entry_id, sale_entry
from clearing.ledger.model import Book, EntryId, Kind
from clearing.ledger.service import Books
from clearing.log.service import Log
from clearing.metering import store
from clearing.metering.groups import Unmeterable, faults, first_seq, last_moment, runs_in
from clearing.metering.stream import Fit, Position, first_difference
from clearing.rating.rate import OutOfRangeError, Rated, charge
from clearing.rating.store import add_usage, lock_meters
from databank.kit.db import UnitOfWork
from schemas.ids import AgreementId, ParticipantId
from schemas.participant import Participant
from schemas.problem import ConflictError, ForbiddenError, InvalidRequestError
from schemas.signature import BadSignatureError, PublicKey, peek_header
from schemas.slices import Slice, read_slices
from schemas.usage import (
    BadBatchError,
    Receipt,
    RecordList,
    RecordView,
    StreamPosition,
    decode_batch,
    sign_receipt,
    verify_header,
)
from schemas.wire import Text

AHEAD_MAX: Final = timedelta(minutes=5)  # how far a meter's clock may be ahead of ours
PAGE_BATCHES_MAX: Final = 8


class InvalidBatchError(InvalidRequestError):
    """The batch is not what its header says, or the header is not the caller's."""

    slug = "invalid-batch"
    title = Text(ko="사용 기록 묶음이 올바르지 않습니다", en="The usage batch is invalid")


class SequenceGapError(ConflictError):
    """Another sequence number is due."""

    slug = "sequence-gap"
    title = Text(ko="사용 기록의 순번이 이어지지 않습니다", en="The batch is out of sequence")


class ChainBrokenError(ConflictError):
    """The batch follows another batch than the one that was booked."""

    slug = "batch-chain-broken"
    title = Text(ko="앞 묶음의 해시가 다릅니다", en="The batch follows another one than booked")


class EquivocationError(ConflictError):
    """Other content was signed under a sequence number that is booked."""

    slug = "equivocation"
    title = Text(ko="같은 순번으로 다른 기록이 있습니다", en="Two contents under one number")


class RecordRefusedError(InvalidRequestError):
    """One record contradicts its agreement or the clock."""

    slug = "record-refused"
    title = Text(ko="사용 기록을 받을 수 없습니다", en="A usage record is refused")


class AgreementPendingError(ConflictError):
    """A record's agreement is not confirmed yet."""

    slug = "agreement-pending"
    title = Text(ko="합의가 아직 확정되지 않았습니다", en="The agreement is not confirmed yet")


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch whose signature, hash and form were checked, by agreement.

    ``signer`` is the key that its header verified under.
    """

    signed: store.SignedBatch
    signer: PublicKey
    slices: tuple[Slice, ...]

    @property
    def by_agreement(self) -> dict[AgreementId, Slice]:
        """The slices by their agreements, in the order of the ids."""
        return {part.agreement_id: part for part in self.slices}


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
        return Batch(signed, key, read_slices(body, header).parts)
    except (BadSignatureError, BadBatchError) as error:
        raise InvalidBatchError(
            ko=f"묶음을 다시 만들어 서명해 보내세요: {error}",
            en=f"Make and sign the batch again: {error}",
        ) from None


def take(uow: UnitOfWork, batch: Batch, log: Log, *, now: datetime) -> str | EquivocationError:
    """Book a batch once and return its receipt; the same batch again gets the same receipt.

    A contradiction is returned, not raised, because its evidence has to be committed.

    Raises:
        SequenceGapError: Another sequence number is due.
        ChainBrokenError: The batch follows another one than booked.
        AgreementPendingError: An agreement is unknown or half confirmed; try again.
        RecordRefusedError: A record contradicts its agreement or the clock.
        LogBrokenError: The log does not continue what was signed.
    """
    log.check()
    header = batch.signed.header
    position = store.lock_position(uow, header.provider_id, header.epoch)
    fit = position.fit(header)
    if fit is Fit.BEFORE:
        return _again(uow, batch, position, now)
    if fit is Fit.GAP:
        raise _gap(position)
    if fit is Fit.OTHER_CHAIN:
        raise ChainBrokenError(
            ko="previous_sha256이 마지막으로 받은 묶음과 다릅니다. GET /usage/stream을 확인하세요.",
            en="previous_sha256 is not that of the batch booked last. Ask GET /usage/stream.",
            expected_seq=position.next_seq,
            last_body_sha256=position.last_body_sha256,
        )
    agreements = find_agreements(uow, batch.by_agreement)
    _check(batch, agreements, now)
    rated = _rate(uow, batch, agreements)
    entries = _book(uow, batch, rated, agreements, now)
    receipt = log.append(
        uow, lambda i: sign_receipt(_receipt(batch, rated, entries, log, i), log.signing_key)
    )
    store.put_batch(
        uow,
        batch.signed,
        entries=[(agreement_id, entries.get(agreement_id)) for agreement_id in rated],
        receipt=receipt,
        signer=batch.signer.jwk["x"],
        after=position.after(header),
        now=now,
    )
    return receipt


def _again(
    uow: UnitOfWork, batch: Batch, position: Position, now: datetime
) -> str | EquivocationError:
    header = batch.signed.header
    booked = store.overlapping(uow, header)
    first = booked[0]
    if (first.first_seq, first.body_sha256) == (header.first_seq, header.body_sha256):
        return first.receipt
    records = [record for stored in booked for record in decode_batch(stored.body, stored.header())]
    seq = first_difference(records, decode_batch(batch.signed.body, header))
    if seq is None:  # the same records, grouped in another way
        raise _gap(position)
    store.put_evidence(uow, batch.signed, contradicted_seq=seq, now=now)
    return EquivocationError(
        ko=f"순번 {seq}은(는) 다른 내용으로 이미 기록되었습니다. 두 서명을 증거로 보관합니다.",
        en=f"Sequence number {seq} was booked with other content. Both signed batches are kept.",
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


def _check(batch: Batch, agreements: dict[AgreementId, Agreement], now: datetime) -> None:
    """Check each record against its agreement and the clock."""
    slices = sorted(batch.slices, key=first_seq)
    behind = {id_: found.record.agreed_at - AHEAD_MAX for id_, found in agreements.items()}
    provider_id = batch.signed.header.provider_id
    for fault in faults(slices, agreements, provider_id, ahead=now + AHEAD_MAX, behind=behind):
        if not isinstance(fault, Unmeterable):
            raise _refused(fault.seq, fault.ko, fault.en)
        raise AgreementPendingError(
            ko=f"순번 {fault.seq}: 합의 {fault.agreement_id}을(를) 양쪽이 알리기 전입니다. "
            "잠시 뒤 다시 보내세요.",
            en=f"Seq {fault.seq}: both sides have not told agreement {fault.agreement_id} yet. "
            "Send it again later.",
            seq=fault.seq,
            agreement_id=fault.agreement_id,
            retryable=True,
        )


def _refused(seq: int, ko: str, en: str) -> RecordRefusedError:
    return RecordRefusedError(
        ko=f"순번 {seq}: {ko}. 기록을 확인하세요.",
        en=f"Seq {seq}: {en}. Check the record.",
        seq=seq,
    )


def _rate(
    uow: UnitOfWork, batch: Batch, agreements: dict[AgreementId, Agreement]
) -> dict[AgreementId, Rated]:
    parts = batch.by_agreement
    meters = lock_meters(uow, parts)
    rated = {}
    for agreement_id, part in parts.items():
        agreement = agreements[agreement_id]
        try:
            rated[agreement_id] = charge(
                agreement.record.plan,
                meters[agreement_id],
                runs_in(part),
                fee_bps=agreement.fee_bps,
            )
        except OutOfRangeError:
            ko, en = "청구액이 너무 큽니다", "the charge is out of range"
            raise _refused(first_seq(part), ko, en) from None
    add_usage(uow, rated)
    return rated


def _book(
    uow: UnitOfWork,
    batch: Batch,
    rated: dict[AgreementId, Rated],
    agreements: dict[AgreementId, Agreement],
    now: datetime,
) -> dict[AgreementId, EntryId]:
    """Book one entry for each priced agreement; return their ids."""
    header = batch.signed.header
    sales = [
        Sale(
            book=Book.ACCRUAL,
            agreement_id=agreement_id,
            consumer_id=agreements[agreement_id].record.consumer_id,
            provider_id=header.provider_id,
            memo=agreements[agreement_id].record.dataset_title,
            amounts=its.total,
        )
        for agreement_id, its in rated.items()
        if its.total.paid or its.total.fee
    ]
    accounts = {id_ for sale in sales for id_ in (*sale.wallet.accounts, *sale.credit_accounts)}
    books = Books.open(uow, accounts, now=now)
    for wallet in {sale.wallet for sale in sales}:
        books.freshen(wallet)
    cause = (header.provider_id, header.epoch, header.first_seq)
    ids = {
        s.agreement_id: entry_id(Book.ACCRUAL, Kind.USAGE, *cause, s.agreement_id) for s in sales
    }
    books.look_up(ids.values())
    last = last_moment(batch.slices)
    booked: dict[AgreementId, EntryId] = {}
    for sale in sales:
        entry = sale_entry(
            sale,
            id_=ids[sale.agreement_id],
            kind=Kind.USAGE,
            deposit=books.account(sale.wallet.deposit),
            holds=books.holds_for(sale.agreement_id),
            occurred_at=last,
        )
        if entry is not None and books.post(entry):
            booked[sale.agreement_id] = entry.id
    books.save()
    return booked


def _receipt(
    batch: Batch,
    rated: dict[AgreementId, Rated],
    entries: dict[AgreementId, EntryId],
    log: Log,
    index: int,
) -> Receipt:
    header = batch.signed.header
    return Receipt(
        provider_id=header.provider_id,
        epoch=header.epoch,
        first_seq=header.first_seq,
        next_seq=header.first_seq + header.records_count,
        body_sha256=header.body_sha256,
        charged_micro=sum(its.total.supply for its in rated.values()),
        entries_count=len(entries),
        entries_sha256=hashlib.sha256("\n".join(sorted(entries.values())).encode()).hexdigest(),
        header_sha256=hashlib.sha256(batch.signed.jws.encode()).hexdigest(),
        signer=batch.signer.fingerprint,
        log_origin=log.origin,
        log_index=index,
        nonce=log.make_nonce(),
    )


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
            **asdict(record),
        )
        for _, batch in found
        for record in decode_batch(batch.body, batch.header())
        if record.agreement_id == agreement_id
    )
    more = str(found[-1][0]) if len(found) == PAGE_BATCHES_MAX else None
    return RecordList(records=records, next_cursor=more)
