"""Putting a bundle together from what is stored."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clearing.agreements.model import Agreement
from clearing.agreements.store import find_agreements
from clearing.disputes.store import end_of
from clearing.log.service import Log, path_reader
from clearing.log.store import witnessed as witnessed_checkpoint
from clearing.metering.store import StoredBatch, batches_of
from clearing.settlement.service import document_of
from clearing.settlement.store import Document, documents_of
from databank.kit.db import UnitOfWork
from schemas.bank import Statement
from schemas.bundle import (
    BUNDLE_BYTES_MAX,
    Bundle,
    Leaf,
    ProvenAgreement,
    ProvenMove,
    ProvenSlice,
    ProvenStatement,
)
from schemas.canonical import canonical_bytes
from schemas.ids import AgreementId, ParticipantId
from schemas.merkle import prove_inclusion
from schemas.note import open_checkpoint
from schemas.participant import Jwk
from schemas.problem import ConflictError
from schemas.signature import peek_payload
from schemas.slices import Slices, split
from schemas.usage import read_columns
from schemas.wire import Text

BATCHES_PAGE: Final = 32
SLICES_MAX: Final = 20_000


class NotProvableError(ConflictError):
    """Some of what a statement follows from was booked before there was a log."""

    slug = "statement-not-provable"
    title = Text(ko="증빙 자료를 만들 수 없습니다", en="The statement cannot be proven")


@dataclass(frozen=True, slots=True)
class _Booked:
    """A batch with its place in the log."""

    log_index: int
    batch: StoredBatch
    slices: Slices


class _Binder:
    """Makes leaves under one checkpoint, a witnessed one if that holds leaf ``place``."""

    def __init__(self, uow: UnitOfWork, log: Log, place: int, *, now: datetime) -> None:
        witnessed = witnessed_checkpoint(uow, log.quorum.needed)
        if witnessed is not None and witnessed.size > place:
            self.checkpoint, self.witness_keys = witnessed.text, witnessed.keys
        else:
            self.checkpoint, self.witness_keys = log.publish(uow, now=now), ()
        self.log_key = str(log.key)
        self._size = open_checkpoint(self.checkpoint, log.key).size
        self._node = path_reader(uow)

    def leaf(self, jws: str) -> Leaf:
        """Return a signed object with its audit path."""
        path = prove_inclusion(log_index(jws), self._size, self._node)
        return Leaf(jws=jws, proof=tuple(part.hex() for part in path))


def log_index(jws: str | None) -> int:
    """Return where a signed object stands in the log.

    Raises:
        NotProvableError: It was made before there was a log.
    """
    found = None if jws is None else peek_payload(jws).get("log_index")
    if not isinstance(found, int):
        raise NotProvableError(
            ko="청산 기록이 생기기 전에 기록된 이용이 있어 이 명세서는 증빙할 수 없습니다.",
            en="Some usage in this statement was booked before there was a log.",
        )
    return found


def make(
    uow: UnitOfWork,
    period: str,
    participant_id: ParticipantId,
    log: Log,
    *,
    number: int | None,
    now: datetime,
) -> bytes:
    """Return a participant's statement with all that it follows from.

    Raises:
        NotFoundError: There is no such statement.
        NotProvableError: Usage was booked before there was a log, or the bundle is too large.
        LogBrokenError: The log does not continue what was signed.
    """
    target = document_of(uow, period, participant_id, number=number)
    place = log_index(target.seal)
    ids = _agreements_in(target)
    binder = _Binder(uow, log, place, now=now)
    agreements = find_agreements(uow, ids)
    documents = _up_to(uow, participant_id, place, set(ids))
    bundle = Bundle(
        log_key=binder.log_key,
        checkpoint=binder.checkpoint,
        witness_keys=binder.witness_keys or None,
        statements=tuple(_statement(binder, document) for document in documents),
        agreements=tuple(_agreement(binder, agreements[id_]) for id_ in ids),
        slices=tuple(_slices(uow, binder, ids, place)),
        decisions=tuple(_ends(uow, binder, documents, set(ids))) or None,
    )
    content = canonical_bytes(bundle.to_json())
    if len(content) > BUNDLE_BYTES_MAX:
        raise _too_large()
    return content


def _too_large() -> NotProvableError:
    return NotProvableError(
        ko=f"증빙 자료가 {BUNDLE_BYTES_MAX:,}바이트나 묶음 {SLICES_MAX:,}개를 넘습니다. "
        "운영기관에 자료를 요청하세요.",
        en=f"The bundle is over {BUNDLE_BYTES_MAX:,} bytes or {SLICES_MAX:,} slices. "
        "Ask the operator for the material.",
    )


def _agreements_in(document: Document) -> list[AgreementId]:
    told = Statement.model_validate_json(document.json)
    ids = {line.agreement_id for line in (*told.purchases, *told.sales)}
    return sorted(ids | {line.agreement_id for line in told.credits or ()})


def _up_to(
    uow: UnitOfWork, participant_id: ParticipantId, place: int, ids: set[AgreementId]
) -> list[Document]:
    """Return the statements about these agreements until ``place``, in the order of the log."""
    found = [
        (log_index(document.seal), document)
        for document in documents_of(uow, participant_id)
        if ids & set(_agreements_in(document))
    ]
    return [document for at, document in sorted(found, key=lambda f: f[0]) if at <= place]


def _statement(binder: _Binder, document: Document) -> ProvenStatement:
    assert document.seal is not None
    return ProvenStatement(
        document=Statement.model_validate_json(document.json), seal=binder.leaf(document.seal)
    )


def _agreement(binder: _Binder, agreement: Agreement) -> ProvenAgreement:
    log_index(agreement.seal)
    assert agreement.seal is not None
    return ProvenAgreement(agreement=agreement.sealed, seal=binder.leaf(agreement.seal))


def _ends(
    uow: UnitOfWork, binder: _Binder, documents: Iterable[Document], ids: set[AgreementId]
) -> Iterable[ProvenMove]:
    """Give the ends of the disputes that the statements' credits about these follow from."""
    wanted = {
        credit.dispute_id
        for document in documents
        for credit in Statement.model_validate_json(document.json).credits or ()
        if credit.agreement_id in ids
    }
    for dispute_id in sorted(wanted):
        end = end_of(uow, dispute_id)
        assert end is not None
        yield ProvenMove(document=end.move, seal=binder.leaf(end.seal))


def _slices(
    uow: UnitOfWork, binder: _Binder, ids: Iterable[AgreementId], place: int
) -> Iterable[ProvenSlice]:
    known: dict[tuple[str, int, int], _Booked] = {}
    made = 0
    for agreement_id in ids:
        for batch in _batches(uow, agreement_id):
            key = (batch.provider_id, batch.epoch, batch.first_seq)
            if key not in known:
                known[key] = _booked(batch)
            booked = known[key]
            if booked.log_index > place:
                break
            made += 1
            if made > SLICES_MAX:
                raise _too_large()
            yield _slice(binder, booked, agreement_id)


def _batches(uow: UnitOfWork, agreement_id: AgreementId) -> Iterable[StoredBatch]:
    """Give the batches that hold records of an agreement, in the order of booking."""
    after = 0
    while page := batches_of(uow, agreement_id, after=after, limit=BATCHES_PAGE):
        yield from (batch for _, batch in page)
        after = page[-1][0]


def _booked(batch: StoredBatch) -> _Booked:
    index = log_index(batch.receipt)
    return _Booked(index, batch, split(read_columns(batch.body, batch.header())))


def _slice(binder: _Binder, booked: _Booked, agreement_id: AgreementId) -> ProvenSlice:
    batch = booked.batch
    assert batch.signer is not None
    places = {part.agreement_id: place for place, part in enumerate(booked.slices.parts)}
    index = places[agreement_id]
    return ProvenSlice(
        receipt=binder.leaf(batch.receipt),
        header=batch.jws,
        signer=Jwk(x=batch.signer),
        records=base64.b64encode(booked.slices.parts[index].content).decode(),
        index=index,
        proof=tuple(part.hex() for part in booked.slices.proof(index)),
    )
