"""The desk: batches that are booked in one transaction, read and locked once, written once.

Each batch is judged as if it came alone, after those before it. Rating and posting happen in
memory; a batch that is refused on the way leaves nothing there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NewType

from clearing.agreements.model import Agreement
from clearing.agreements.store import find_agreements
from clearing.ledger.entries import Sale, entry_id, sale_entry
from clearing.ledger.model import Book, EntryId, Kind
from clearing.ledger.service import Books
from clearing.log.service import Log
from clearing.metering import store
from clearing.metering.groups import Group, Unmeterable, faults
from clearing.metering.problems import (
    AgreementPendingError,
    ChainBrokenError,
    EquivocationError,
    RecordRefusedError,
    SequenceGapError,
)
from clearing.metering.stream import Fit, Position, first_difference
from clearing.rating.rate import Meter, OutOfRangeError, Rated, charge
from clearing.rating.store import add_usage, lock_meters
from databank.kit.db import UnitOfWork
from schemas.ids import AgreementId
from schemas.problem import ProblemError
from schemas.signature import PublicKey
from schemas.usage import Receipt, decode_batch, sign_receipt

AHEAD_MAX: Final = timedelta(minutes=5)  # how far a meter's clock may be ahead of ours
Ticket = NewType("Ticket", int)  # stands for a receipt until it is signed


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch whose signature, hash and form were checked, by agreement.

    ``signer`` is the key that its header verified under.
    """

    signed: store.SignedBatch
    signer: PublicKey
    groups: tuple[Group, ...]
    last_at: datetime  # when its last act took place

    @property
    def stream(self) -> store.StreamKey:
        """Which stream the batch belongs to."""
        return self.signed.header.provider_id, self.signed.header.epoch

    @property
    def by_agreement(self) -> dict[AgreementId, Group]:
        """The groups by their agreements, in the order of the ids."""
        return {group.agreement_id: group for group in self.groups}


@dataclass(frozen=True, slots=True)
class _Taken:
    """A batch that is booked in memory."""

    batch: Batch
    rated: dict[AgreementId, Rated]
    entries: dict[AgreementId, EntryId]


class Desk:
    """What one transaction needs to book its batches."""

    def __init__(
        self,
        uow: UnitOfWork,
        log: Log,
        now: datetime,
        positions: dict[store.StreamKey, Position],
        agreements: dict[AgreementId, Agreement],
    ) -> None:
        self._uow = uow
        self._log = log
        self._now = now
        self._positions = positions
        self._agreements = agreements
        self._moved: set[store.StreamKey] = set()
        self._meters: dict[AgreementId, Meter] = {}
        self._used: dict[AgreementId, Rated] = {}
        self._taken: list[_Taken] = []
        self._receipts: dict[Ticket, str] = {}
        self._books = Books(uow, {}, {}, now)

    @classmethod
    def open(cls, uow: UnitOfWork, batches: Sequence[Batch], log: Log, *, now: datetime) -> Desk:
        """Read and lock what the batches are about: streams, meters, accounts, in this order."""
        positions = store.lock_positions(uow, (batch.stream for batch in batches))
        agreements = find_agreements(uow, {id_ for b in batches for id_ in b.by_agreement})
        desk = cls(uow, log, now, positions, agreements)
        due = [b for b in batches if b.signed.header.first_seq >= positions[b.stream].next_seq]
        desk._lock([batch for batch in due if _is_plausible(batch, agreements)])
        return desk

    def _lock(self, batches: Sequence[Batch]) -> None:
        ids = {id_ for batch in batches for id_ in batch.by_agreement}
        monthly = [id_ for id_ in ids if self._agreements[id_].record.plan.counts_by_month]
        self._meters = lock_meters(self._uow, ids, by_month=monthly)
        priced = [id_ for id_ in sorted(ids) if not self._agreements[id_].record.plan.is_free]
        sales = [self._sale(id_, Rated(Meter(), {}, {})) for id_ in priced]
        accounts = {id_ for s in sales for id_ in (*s.wallet.accounts, *s.credit_accounts)}
        if not accounts:
            return
        self._books = Books.open(self._uow, accounts, now=self._now)
        for wallet in sorted({sale.wallet for sale in sales}, key=lambda w: w.owner_id):
            self._books.freshen(wallet)
        self._books.look_up(
            _entry_id(batch, id_) for batch in batches for id_ in batch.by_agreement
        )

    def take(self, batch: Batch) -> Ticket | ProblemError:
        """Book a batch in memory, or say why not."""
        try:
            return self._take(batch)
        except ProblemError as problem:
            return problem

    def _take(self, batch: Batch) -> Ticket:
        header = batch.signed.header
        position = self._positions[batch.stream]
        fit = position.fit(header)
        if fit is Fit.BEFORE:
            return self._again(batch, position)
        if fit is Fit.GAP:
            raise _gap(position)
        if fit is Fit.OTHER_CHAIN:
            raise ChainBrokenError(
                ko="previous_sha256이 마지막으로 받은 묶음과 다릅니다. "
                "GET /usage/stream을 확인하세요.",
                en="previous_sha256 is not that of the batch booked last. Ask GET /usage/stream.",
                expected_seq=position.next_seq,
                last_body_sha256=position.last_body_sha256,
            )
        _check(batch, self._agreements, self._now)
        rated = self._rate(batch)
        with self._books.all_or_nothing():
            entries = self._book(batch, rated)
        for id_, its in rated.items():
            self._meters[id_] = its.meter
            self._used[id_] = self._used[id_].then(its) if id_ in self._used else its
        self._positions[batch.stream] = position.after(header)
        self._moved.add(batch.stream)
        self._taken.append(_Taken(batch, rated, entries))
        return Ticket(len(self._taken) - 1)

    def _again(self, batch: Batch, position: Position) -> Ticket:
        """Answer a batch whose first record was booked: here, or in an earlier transaction."""
        header = batch.signed.header
        booked = store.overlapping(self._uow, header)
        fresh = {
            taken.batch.signed.header.first_seq: (Ticket(number), taken.batch)
            for number, taken in enumerate(self._taken)
            if taken.batch.stream == batch.stream
        }
        for stored in booked:
            if (stored.first_seq, stored.body_sha256) == (header.first_seq, header.body_sha256):
                return self._known(stored.receipt)
        ticket, same = fresh.get(header.first_seq, (Ticket(0), None))
        if same is not None and same.signed.header.body_sha256 == header.body_sha256:
            return ticket
        records = [r for s in booked for r in decode_batch(s.body, s.header())]
        for _, other in fresh.values():
            records += decode_batch(other.signed.body, other.signed.header)
        seq = first_difference(records, decode_batch(batch.signed.body, header))
        if seq is None:  # the same records, grouped in another way
            raise _gap(position)
        store.put_evidence(self._uow, batch.signed, contradicted_seq=seq, now=self._now)
        raise EquivocationError(
            ko=f"순번 {seq}은(는) 다른 내용으로 이미 기록되었습니다. 두 서명을 증거로 보관합니다.",
            en=f"Sequence number {seq} was booked with other content. Both signed batches are "
            "kept.",
            seq=seq,
            expected_seq=position.next_seq,
        )

    def _known(self, receipt: str) -> Ticket:
        ticket = Ticket(-1 - len(self._receipts))
        self._receipts[ticket] = receipt
        return ticket

    def _rate(self, batch: Batch) -> dict[AgreementId, Rated]:
        rated = {}
        for id_, group in batch.by_agreement.items():
            agreement = self._agreements[id_]
            plan, fee_bps = agreement.record.plan, agreement.fee_bps
            try:
                rated[id_] = charge(plan, self._meters[id_], group.runs, fee_bps=fee_bps)
            except OutOfRangeError:
                ko, en = "청구액이 너무 큽니다", "the charge is out of range"
                raise _refused(group.first_seq, ko, en) from None
        return rated

    def _sale(self, agreement_id: AgreementId, its: Rated) -> Sale:
        record = self._agreements[agreement_id].record
        return Sale(
            book=Book.ACCRUAL,
            agreement_id=agreement_id,
            consumer_id=record.consumer_id,
            provider_id=record.provider_id,
            memo=record.dataset_title,
            amounts=its.total,
        )

    def _book(self, batch: Batch, rated: dict[AgreementId, Rated]) -> dict[AgreementId, EntryId]:
        """Post one entry for each priced agreement; return their ids."""
        books = self._books
        booked: dict[AgreementId, EntryId] = {}
        for id_, its in rated.items():
            if not (its.total.paid or its.total.fee):
                continue
            sale = self._sale(id_, its)
            entry = sale_entry(
                sale,
                id_=_entry_id(batch, id_),
                kind=Kind.USAGE,
                deposit=books.account(sale.wallet.deposit),
                holds=books.holds_for(id_),
                occurred_at=batch.last_at,
            )
            if entry is not None and books.post(entry):
                booked[id_] = entry.id
        return booked

    def save(self) -> dict[Ticket, str]:
        """Write everything, sign the receipts, and return them by their tickets.

        Raises:
            LogBrokenError: The log does not continue what was signed.
        """
        self._books.save()
        if not self._taken:
            return self._receipts
        add_usage(self._uow, self._used)
        store.put_positions(self._uow, {key: self._positions[key] for key in self._moved})
        makers = [lambda index, taken=taken: self._receipt(taken, index) for taken in self._taken]
        receipts = self._log.append_all(self._uow, makers)
        new = [
            store.NewBatch(
                taken.batch.signed,
                receipt,
                taken.batch.signer.jwk["x"],
                {id_: taken.entries.get(id_) for id_ in taken.rated},
            )
            for taken, receipt in zip(self._taken, receipts, strict=True)
        ]
        store.put_batches(self._uow, new, now=self._now)
        return self._receipts | {Ticket(number): r for number, r in enumerate(receipts)}

    def _receipt(self, taken: _Taken, index: int) -> str:
        signed, entries = taken.batch.signed, sorted(taken.entries.values())
        header = signed.header
        receipt = Receipt(
            provider_id=header.provider_id,
            epoch=header.epoch,
            first_seq=header.first_seq,
            next_seq=header.first_seq + header.records_count,
            body_sha256=header.body_sha256,
            charged_micro=sum(its.total.supply for its in taken.rated.values()),
            entries_count=len(entries),
            entries_sha256=hashlib.sha256("\n".join(entries).encode()).hexdigest(),
            header_sha256=hashlib.sha256(signed.jws.encode()).hexdigest(),
            signer=taken.batch.signer.fingerprint,
            log_origin=self._log.origin,
            log_index=index,
            nonce=self._log.make_nonce(),
        )
        return sign_receipt(receipt, self._log.signing_key)


def _is_plausible(batch: Batch, agreements: dict[AgreementId, Agreement]) -> bool:
    """Whether all agreements are this supplier's and ready: only then is anything locked."""
    provider_id = batch.signed.header.provider_id
    found = [agreements.get(id_) for id_ in batch.by_agreement]
    return all(a is not None and a.record.provider_id == provider_id and a.is_meterable
               for a in found)  # fmt: skip


def _entry_id(batch: Batch, agreement_id: AgreementId) -> EntryId:
    header = batch.signed.header
    cause = (header.provider_id, header.epoch, header.first_seq)
    return entry_id(Book.ACCRUAL, Kind.USAGE, *cause, agreement_id)


def _gap(position: Position) -> SequenceGapError:
    return SequenceGapError(
        ko=f"순번 {position.next_seq}부터 보내야 합니다.",
        en=f"Send from sequence number {position.next_seq} on.",
        expected_seq=position.next_seq,
        last_body_sha256=position.last_body_sha256,
    )


def _check(batch: Batch, agreements: dict[AgreementId, Agreement], now: datetime) -> None:
    """Check each record against its agreement and the clock."""
    groups = sorted(batch.groups, key=lambda group: group.first_seq)
    behind = {id_: found.record.agreed_at - AHEAD_MAX for id_, found in agreements.items()}
    provider_id = batch.signed.header.provider_id
    for fault in faults(groups, agreements, provider_id, ahead=now + AHEAD_MAX, behind=behind):
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
