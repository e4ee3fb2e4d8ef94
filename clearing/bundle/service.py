"""Putting a bundle together from what is stored."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from clearing.agreements.model import Agreement
from clearing.agreements.store import find_agreements
from clearing.bundle.royalties import keys_needed, months_told
from clearing.disputes.store import end_of
from clearing.log.service import Log, path_reader
from clearing.log.store import witnessed as witnessed_checkpoint
from clearing.metering.store import StoredBatch, batches_of
from clearing.settlement.service import document_of
from clearing.settlement.store import Document, documents_of
from clearing.shares.model import Key, lines_of
from clearing.shares.store import StoredPlan, find_plans, find_reports
from databank.kit.db import UnitOfWork
from schemas.bank import Statement
from schemas.bundle import (
    BUNDLE_BYTES_MAX,
    Bundle,
    Leaf,
    ProvenAgreement,
    ProvenIncome,
    ProvenMove,
    ProvenPlan,
    ProvenSlice,
    ProvenStatement,
)
from schemas.canonical import canonical_bytes
from schemas.ids import AgreementId, DatasetId, ParticipantId
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
BEFORE_THE_LOG: Final = -1


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
    scope = _scope_of(uow, participant_id, target, place)
    binder = _Binder(uow, log, place, now=now)
    plans, incomes = _shares(uow, binder, scope, participant_id)
    agreements = find_agreements(uow, scope.agreements)
    bundle = Bundle(
        log_key=binder.log_key,
        checkpoint=binder.checkpoint,
        witness_keys=binder.witness_keys or None,
        statements=tuple(_statement(binder, each.document) for each in scope.said),
        agreements=tuple(_agreement(binder, agreements[id_]) for id_ in scope.agreements),
        slices=tuple(_slices(uow, binder, scope.agreements)),
        decisions=tuple(_ends(uow, binder, scope)) or None,
        plans=plans or None,
        incomes=incomes or None,
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


@dataclass(frozen=True, slots=True)
class _Said:
    """A statement and its place in the log."""

    place: int
    document: Document
    statement: Statement


@dataclass(frozen=True, slots=True)
class _Scope:
    """What a statement follows from: agreements, royalty keys, and the statements about them.

    Of each agreement it tells before which place its records are of interest.
    """

    agreements: dict[AgreementId, int]
    keys: set[Key]
    said: list[_Said]


def _scope_of(
    uow: UnitOfWork, participant_id: ParticipantId, target: Document, place: int
) -> _Scope:
    found = [
        _Said(at, document, Statement.model_validate_json(document.json))
        for document in documents_of(uow, participant_id)
        if (at := _place_of(document)) <= place
    ]
    found.sort(key=lambda each: each.place)
    statements = [each.statement for each in found]
    wanted = Statement.model_validate_json(target.json)
    credited = find_agreements(uow, {line.agreement_id for line in wanted.credits or ()})
    datasets = {id_: each.record.dataset_id for id_, each in credited.items()}
    shared = months_told(wanted, statements, datasets)
    keys = keys_needed(wanted, statements, shared)
    agreements = _agreements_in(wanted) | _agreements_sold(uow, shared, statements)
    chosen = [
        each
        for each in found
        if agreements & _agreements_in(each.statement)
        or keys & {key for key, _, _ in lines_of(each.statement)}
    ]
    for each in chosen:
        log_index(each.document.seal)  # which it has, or nothing can be proven
    until = {id_: each.place for each in chosen for id_ in _agreements_in(each.statement)}
    return _Scope({id_: until[id_] for id_ in sorted(agreements)}, keys, chosen)


def _place_of(document: Document) -> int:
    """Return where a statement's seal stands in the log; before all, if it was made before that."""
    return BEFORE_THE_LOG if document.seal is None else log_index(document.seal)


def _agreements_in(statement: Statement) -> set[AgreementId]:
    ids = {line.agreement_id for line in (*statement.purchases, *statement.sales)}
    return ids | {line.agreement_id for line in statement.credits or ()}


def _agreements_sold(
    uow: UnitOfWork, shared: Collection[tuple[DatasetId, str]], statements: Iterable[Statement]
) -> set[AgreementId]:
    """Return what was sold of products in months."""
    months = {month for _, month in shared}
    sold = {
        (line.agreement_id, statement.period)
        for statement in statements
        if statement.period in months
        for line in statement.sales
    }
    found = find_agreements(uow, {id_ for id_, _ in sold})
    return {id_ for id_, month in sold if (found[id_].record.dataset_id, month) in shared}


def _shares(
    uow: UnitOfWork, binder: _Binder, scope: _Scope, whose: ParticipantId
) -> tuple[tuple[ProvenPlan, ...], tuple[ProvenIncome, ...]]:
    """Return the split plans and income reports that the scope's royalties follow from."""
    lines = [
        line
        for each in scope.said
        for key, _, line in lines_of(each.statement)
        if key in scope.keys
    ]
    plans = find_plans(uow, (line.plan_sha256 for line in lines))
    reports = find_reports(uow, (line.income_id for line in lines))
    return (
        tuple(_plan(binder, plans[id_], whose) for id_ in sorted(plans)),
        tuple(
            ProvenIncome(report=report, seal=binder.leaf(seal))
            for _, (report, seal) in sorted(reports.items())
        ),
    )


def _plan(binder: _Binder, stored: StoredPlan, whose: ParticipantId) -> ProvenPlan:
    sealed = stored.document.sealed
    is_own = sealed.curator_id == whose
    edges = tuple(edge for edge in stored.document.edges if is_own or edge.party_id == whose)
    return ProvenPlan(plan=sealed, edges=edges, seal=binder.leaf(stored.seal))


def _statement(binder: _Binder, document: Document) -> ProvenStatement:
    assert document.seal is not None
    return ProvenStatement(
        document=Statement.model_validate_json(document.json), seal=binder.leaf(document.seal)
    )


def _agreement(binder: _Binder, agreement: Agreement) -> ProvenAgreement:
    log_index(agreement.seal)
    assert agreement.seal is not None
    return ProvenAgreement(agreement=agreement.sealed, seal=binder.leaf(agreement.seal))


def _ends(uow: UnitOfWork, binder: _Binder, scope: _Scope) -> Iterable[ProvenMove]:
    """Give the ends of the disputes that the scope's credits follow from."""
    wanted = {
        credit.dispute_id
        for each in scope.said
        for credit in each.statement.credits or ()
        if credit.agreement_id in scope.agreements
    }
    for dispute_id in sorted(wanted):
        end = end_of(uow, dispute_id)
        assert end is not None
        yield ProvenMove(document=end.move, seal=binder.leaf(end.seal))


def _slices(
    uow: UnitOfWork, binder: _Binder, until: Mapping[AgreementId, int]
) -> Iterable[ProvenSlice]:
    known: dict[tuple[str, int, int], _Booked] = {}
    made = 0
    for agreement_id, place in until.items():
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
