"""Clearing's services over one database, without HTTP: for tests that need many small histories."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from clearing.agreements.service import confirm
from clearing.agreements.store import find_agreements
from clearing.attestation import service as attestation
from clearing.attestation.service import compared
from clearing.bundle.service import make
from clearing.closing.service import state
from clearing.disputes import service as disputes
from clearing.disputes import store as dispute_store
from clearing.disputes.model import Terms as DisputeTerms
from clearing.disputes.refund import remaining_of
from clearing.ledger.service import take_deposit
from clearing.log.service import Log
from clearing.metering.service import read, take
from clearing.settlement.service import all_of
from clearing.shares.service import Terms, register
from databank.kit.clock import new_secret
from databank.kit.db import Database
from schemas.bank import AgreementRecord, DepositRequest, StatementList
from schemas.dispute import DisputeReason, MoveKind
from schemas.shares import PlanView, SplitPlanRequest
from schemas.signature import generate_key
from tests.support.bank import NOON, Company
from tests.support.migrated import with_tables

FEE_BPS: Final = 500


@dataclass(frozen=True)
class Ledger:
    """A database with its log."""

    database: Database
    log: Log

    def agree(self, told: AgreementRecord, *parties: Company, fee_bps: int = FEE_BPS) -> None:
        """Let parties tell an agreement."""
        for party in parties:
            with self.database.unit_of_work() as uow:
                confirm(uow, told, party.participant, self.log, fee_bps=fee_bps)

    def share(self, curator: Company, request: SplitPlanRequest) -> PlanView:
        """Register a split plan."""
        terms = Terms(sale_fee_bps=FEE_BPS, royalty_fee_bps=0)
        with self.database.unit_of_work() as uow:
            return register(uow, request, curator.participant, self.log, terms, now=NOON)

    def deposit(self, who: Company, amount_won: int, *, deposit_id: str | None = None) -> None:
        """Book money."""
        request = DepositRequest(
            deposit_id=deposit_id or new_secret(), participant_id=who.id, amount_won=amount_won
        )
        with self.database.unit_of_work() as uow:
            take_deposit(uow, request, who.participant, now=NOON)

    def send(self, who: Company, batch: tuple[str, bytes], *, now: datetime = NOON) -> str:
        """Book a batch and return its receipt."""
        checked = read(*batch, who.participant, now=now)
        with self.database.unit_of_work() as uow:
            receipt = take(uow, checked, self.log, now=now)
        assert isinstance(receipt, str), receipt
        return receipt

    def acknowledge(self, who: Company, batch: tuple[str, bytes], *, now: datetime = NOON) -> None:
        """Take what a buyer signs."""
        with self.database.unit_of_work() as uow:
            checked = attestation.read(*batch, who.participant, now=now)
            assert isinstance(attestation.take(uow, checked, self.log, now=now), str)

    def issue(self, period: str, *, now: datetime = NOON) -> StatementList:
        """Issue statements."""
        with self.database.unit_of_work() as uow:
            state(uow, period, self.log, now=now)
            return all_of(uow, period)

    def refund(
        self, told: AgreementRecord, period: str, won: int | None = None, *, now: datetime = NOON
    ) -> int:
        """Refund supply of an agreement's month, all that is left or at most ``won``; return it.

        Also what was contested before and left standing, which nobody may contest twice.
        """
        reading = self.database.unit_of_work
        with reading() as uow:
            lines = [e.line for e in dispute_store.lines_of(uow, told.agreement_id, period)]
            left = remaining_of(lines, dispute_store.credited(uow, told.agreement_id))
            agreement = find_agreements(uow, [told.agreement_id])[told.agreement_id]
            number = 1 + len(dispute_store.disputes_about(uow, told.agreement_id, period))
        won = left if won is None else min(won, left)
        if not won:
            return 0
        counts = compared(reading, agreement, period, silence=timedelta(hours=72), now=now)
        opening = disputes.Said(MoveKind.OPENED, "operator", "환불", won)
        dispute = disputes._new(
            disputes.Found(agreement, period, counts), DisputeReason.CANCELLED, won, opening,
            DisputeTerms(evidence=timedelta(0)), number=number, now=now,
        )  # fmt: skip
        decided = disputes.Said(MoveKind.DECIDED, "operator", "모두", won)
        with reading() as uow:
            disputes.hold(uow, [dispute], self.log, now=now)
        with reading() as uow:
            disputes.move(uow, dispute.id, decided, self.log, now=now)
        return won

    def bundle(self, who: Company, period: str, number: int | None = None) -> bytes:
        """Return a statement with all that it follows from."""
        with self.database.unit_of_work() as uow:
            return make(uow, period, who.id, self.log, number=number, now=NOON)


@contextmanager
def open_ledger(folder: Path | None = None, url: str | None = None) -> Iterator[Ledger]:
    """Give an empty ledger, in SQLite unless ``url`` names another database."""
    with tempfile.TemporaryDirectory() as made:
        place = folder or Path(made)
        database = Database(with_tables("clearing", url or f"sqlite:///{place}/ledger.db"))
        key = generate_key("did:web:clearing.example")
        log = Log(
            key,
            origin="clearing.example/log",
            memory=place / "log-checkpoint",
            make_nonce=new_secret,
        )
        with database.unit_of_work() as uow:
            log.open(uow)
        try:
            yield Ledger(database, log)
        finally:
            database.close()
