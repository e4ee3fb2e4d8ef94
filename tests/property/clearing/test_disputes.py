"""Whatever is contested, decided and paid out meanwhile: no won appears, is lost or goes twice."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from clearing.agreements.store import find_agreements
from clearing.attestation.service import compared
from clearing.bundle.verify import BadBundleError, verify_bundle
from clearing.disputes import service
from clearing.disputes.model import Terms
from clearing.disputes.refusals import DisputeStateError, NothingToDisputeError
from clearing.disputes.service import Found, Said
from clearing.ledger.model import Code
from schemas.dispute import DisputeReason, DisputeView, MoveKind, OpenRequest
from schemas.money import MICRO_PER_WON
from tests.property.clearing.test_bundle import CHANGES, changed, leaves_of
from tests.property.clearing.test_payouts import DEALS, PEOPLE, PERIOD, Month
from tests.support.bank import NOON, Receiver
from tests.support.ledger import Ledger, open_ledger

SILENCE = timedelta(hours=72)
REASONS = list(DisputeReason)
amounts = st.integers(0, 4_000)
deals = st.integers(0, len(DEALS) - 1)
acts = st.one_of(
    st.tuples(st.just("deposit"), st.integers(0, 2), st.integers(1, 20_000)),
    st.tuples(st.just("use"), deals, st.integers(0, 30_000)),
    st.tuples(st.just("signed"), deals, st.integers(0, 30_000)),
    st.tuples(st.just("close"), st.just(0), st.just(0)),
    st.tuples(st.just("payout"), deals, amounts),
    st.tuples(st.just("bank"), st.integers(0, 1), st.integers(0, 3)),
    st.tuples(st.just("contest"), deals, amounts),
    st.tuples(st.just("end"), st.integers(0, 5), amounts),
)


class Contested(Month):
    """Books of a month in which companies also quarrel."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self.receivers = {each.id: Receiver(each) for each in PEOPLE}

    def signed(self, deal: int, rows: int) -> None:
        """Let the buyer sign three quarters of what the supplier meters."""
        told = DEALS[deal]
        buyer = next(p for p in PEOPLE if p.id == told.consumer_id)
        seller = next(p for p in PEOPLE if p.id == told.provider_id)
        meter, receiver = self.meters[seller.id], self.receivers[buyer.id]
        self.ledger.send(seller, meter.batch([meter.record(told, rows=rows, at=NOON)]))
        said = receiver.record(told, rows=rows * 3 // 4, at=NOON)
        self.ledger.acknowledge(buyer, receiver.batch([said]))

    def meanwhile(self, first: int, second: int) -> None:
        """Contest a sale between two approvals: it takes nothing of the payout."""
        self.contest(first, second)

    def contest(self, deal: int, amount: int) -> None:
        told = DEALS[deal]
        reading = self.ledger.database.unit_of_work
        with reading() as uow:
            agreement = find_agreements(uow, [told.agreement_id])[told.agreement_id]
        counts = compared(reading, agreement, PERIOD, silence=SILENCE, now=NOON)
        wish = OpenRequest(
            agreement_id=told.agreement_id,
            period=PERIOD,
            reason=REASONS[amount % len(REASONS)],
            text="다툼",
            amount_won=amount or None,
        )
        held = self.cash(Code.EARNED, Code.VAT_OUT, Code.DISPUTE_HOLD)
        try:
            with reading() as uow:
                view = service.open_dispute(
                    uow, Found(agreement, PERIOD, counts), wish, told.consumer_id,
                    self.ledger.log, terms=Terms(), now=NOON,
                )  # fmt: skip
        except (NothingToDisputeError, DisputeStateError):
            return
        assert view.claimed_won > 0
        assert self.cash(Code.EARNED, Code.VAT_OUT, Code.DISPUTE_HOLD) == held

    def end(self, place: int, amount: int) -> None:
        """End a running dispute: decided, settled, withdrawn or expired, then again."""
        running = self.running()
        if not running:
            return
        view = running[place % len(running)]
        end = [MoveKind.DECIDED, MoveKind.WITHDRAWN, MoveKind.EXPIRED][amount % 3]
        if end is MoveKind.EXPIRED:
            later = view.ends_at
            assert service.expire(self.ledger.database, self.ledger.log, now=later) >= 1
            return
        by = "operator" if end is MoveKind.DECIDED else view.consumer_id
        won = min(amount, view.claimed_won) if end is MoveKind.DECIDED else None
        for _ in range(2):
            with self.ledger.database.unit_of_work() as uow:
                done = service.move(
                    uow, view.dispute_id, Said(end, by, "끝", won), self.ledger.log,
                    now=view.evidence_until,
                )  # fmt: skip
        assert done.refunded_won == (won or 0)

    def running(self) -> list[DisputeView]:
        with self.ledger.database.unit_of_work() as uow:
            found = service.all_disputes(uow, None).disputes
        return [each for each in found if each.refunded_won is None]

    def accounts(self) -> dict[str, int]:
        """Return the balances of both books that are not empty."""
        query = text("SELECT id, credits_posted - debits_posted AS won FROM clearing_account")
        with self.ledger.database.unit_of_work() as uow:
            return {str(row.id): int(row.won) for row in uow.run(query) if row.won}

    def check(self) -> None:
        """As for payouts; what is kept back is what running disputes say; both books say it."""
        super().check()
        running = self.running()
        assert self.cash(Code.DISPUTE_HOLD) == sum(each.held_won for each in running)
        assert self.cash(Code.RECOVERABLE) <= 0
        found = self.accounts()
        for id_, won in found.items():
            book, code, owner = id_.split(":", 2)
            if book == "cash" and code in (Code.DISPUTE_HOLD, Code.RECOVERABLE, Code.IN_TRANSIT):
                assert found[f"accrual:{code}:{owner}"] == won * MICRO_PER_WON

    def refund_all(self) -> None:
        """Refund all that is left of every line."""
        for view in self.running():
            self._decide(view)
        for told in DEALS:
            self.ledger.refund(told, PERIOD)

    def _decide(self, view: DisputeView) -> None:
        said = Said(MoveKind.DECIDED, "operator", "모두", view.claimed_won)
        with self.ledger.database.unit_of_work() as uow:
            service.move(uow, view.dispute_id, said, self.ledger.log, now=view.evidence_until)


@settings(max_examples=8, deadline=None)
@given(st.lists(acts, max_size=14))
@example(
    [
        ("deposit", 2, 20_000), ("use", 1, 30_000), ("close", 0, 0), ("payout", 0, 0),
        ("contest", 1, 4_001), ("end", 0, 3_000), ("signed", 1, 30_000), ("close", 0, 0),
        ("payout", 0, 0), ("contest", 1, 7), ("bank", 0, 0), ("end", 0, 5),
    ]
)  # fmt: skip
def test_disputes_move_exactly_what_they_say(history: list[tuple[Any, int, int]]) -> None:
    with open_ledger() as ledger:
        month = Contested(ledger)
        for what, place, amount in history:
            getattr(month, what)(place, amount)
            month.check()
        month.close(0, 0)
        month.check()
        for period in (PERIOD, "2026-12"):
            for statement in ledger.issue(period).statements:
                who = next(p for p in PEOPLE if p.id == statement.participant_id)
                content = ledger.bundle(who, period, statement.number)
                assert verify_bundle(content).statement == statement


def test_what_was_paid_out_and_then_refunded_is_set_off_against_later_earnings() -> None:
    with open_ledger() as ledger:
        month = Contested(ledger)
        month.deposit(2, 60_000)
        month.use(1, 30_000)
        month.close(0, 0)
        month.payout(0, 0)
        month.contest(1, 4_001)
        assert month.cash(Code.DISPUTE_HOLD) == 0, "nothing is left to keep back"
        month.end(0, 3_000)
        # 3,000 of 11,103: VAT 299 of 1,110, fee 149 of 555, its VAT 14 of 55
        assert month.cash(Code.RECOVERABLE) == -(3_000 + 299 - 149 - 14)
        month.check()
        month.payout(0, 0)
        month.use(1, 3_000)
        month.close(0, 0)
        earned = 1_113 + 111 - 55 - 6
        assert month.cash(Code.RECOVERABLE) == -3_136 + earned
        month.use(1, 30_000)
        month.close(0, 0)
        assert month.cash(Code.RECOVERABLE) == 0
        month.check()


def test_no_bundle_with_a_changed_credit_or_decision_is_accepted() -> None:
    with open_ledger() as ledger:
        month = Contested(ledger)
        month.deposit(2, 60_000)
        month.use(1, 30_000)
        month.close(0, 0)
        month.contest(1, 4_001)
        month.end(0, 3_000)  # in December
        ledger.issue("2026-12")
        (buyer,) = (who for who in PEOPLE if who.id == DEALS[1].consumer_id)
        content = ledger.bundle(buyer, "2026-12")
        assert verify_bundle(content).statement.credits is not None
        tried = 0
        for path in leaves_of(json.loads(content)):
            if "credits" not in path and "decisions" not in path:
                continue
            for change in CHANGES:
                bent = changed(content, path, change)
                if bent != content:
                    with pytest.raises(BadBundleError):
                        verify_bundle(bent)
                    tried += 1
        assert tried > 80


def test_a_credit_that_clearing_signs_without_the_dispute_is_not_proven() -> None:
    with open_ledger() as ledger:
        month = Contested(ledger)
        month.deposit(2, 60_000)
        month.use(1, 30_000)
        month.close(0, 0)
        month.contest(1, 4_001)
        with ledger.database.unit_of_work() as uow:
            # the sealed decision says 3,000; the books credit a won more
            (view,) = service.all_disputes(uow, None).disputes
            said = Said(MoveKind.DECIDED, "operator", "", 3_000)
            service.move(uow, view.dispute_id, said, ledger.log, now=view.evidence_until)
            uow.run(text("DROP TRIGGER clearing_credit_no_update"))
            uow.run(text("UPDATE clearing_credit SET supply_won = supply_won + 1"))
            uow.run(text("UPDATE clearing_credit SET issue_period = '2026-11'"))
        ledger.issue(PERIOD)
        (buyer,) = (who for who in PEOPLE if who.id == DEALS[1].consumer_id)
        with pytest.raises(BadBundleError, match="supply_won 3001 ≠ 3000"):
            verify_bundle(ledger.bundle(buyer, PERIOD))


@settings(max_examples=8, deadline=None)
@given(st.lists(acts, max_size=10))
def test_when_all_is_refunded_everybody_has_what_it_had(
    history: list[tuple[Any, int, int]],
) -> None:
    with open_ledger() as ledger:
        month = Contested(ledger)
        for what, place, amount in history:
            getattr(month, what)(place, amount)
        month.close(0, 0)
        month.refund_all()
        month.check()
        found = month.accounts()
        wealth: dict[str, int] = {}
        for id_, won in found.items():
            book, _, owner = id_.split(":", 2)
            if book == "cash" and "bank" not in id_:
                wealth[owner] = wealth.get(owner, 0) + won
        # what is left is what was paid in, less what banks were told to pay out
        assert sum(wealth.values()) == month.paid_in - month.paid_out
        assert wealth.get("operator", 0) == 0, "no fee of a sale that is undone"
        assert not any(f":{Code.DISPUTE_HOLD}:" in id_ for id_ in found)
