"""Single histories of refunded royalties in which something was wrong once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from clearing.bundle.verify import BadBundleError, verify_bundle
from clearing.closing import service as closing
from clearing.invoices.service import invoices_in
from clearing.rating.store import lock_meters
from clearing.shares.service import royalties_in
from databank.kit.db import UnitOfWork
from schemas.ids import AgreementId
from schemas.invoice import Issuing
from schemas.issuer import Issuer
from schemas.shares import Basis
from tests.property.clearing.test_royalty_bundle import DECEMBER, MONTHS, NOVEMBER, A, C
from tests.property.clearing.test_royalty_refunds import Refunding
from tests.support.bank import plan
from tests.support.ledger import Ledger, open_ledger
from tests.support.splits import request, told_edge

ISSUER = Issuer("산업데이터은행", "1000000009", "https://clearing.example")


def due(ledger: Ledger, month: str = "2026-11") -> dict[tuple[str, str], tuple[int, int]]:
    """Return what is due and stated of royalties, by titles."""
    with ledger.database.unit_of_work() as uow:
        found = royalties_in(uow, month).royalties
    return {(r.product_title, r.upstream_title): (r.due_micro, r.stated_won) for r in found}


@pytest.mark.postgres
def test_closes_of_two_months_do_not_wait_for_each_other(
    make_postgres_url: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """December tells a credit of November: it needs both months, and locks them first."""
    with open_ledger(url=make_postgres_url()) as ledger:
        world = Refunding(ledger, 123_457, 250_001, None)
        world.play([(0, "2026-11", 900), "2026-11", (0, "2026-12", 50), (0, "2026-11", 10)])
        ledger.refund(world.deals[0][1], "2026-11", 200, now=DECEMBER)
        december_holds, november_waits = threading.Event(), threading.Event()

        def locking(uow: UnitOfWork, ids: Iterable[AgreementId], **more: Any) -> Any:
            found = lock_meters(uow, ids, **more)
            december_holds.set()
            november_waits.wait(1)  # November comes as far as it can
            return found

        monkeypatch.setattr("clearing.settlement.service.lock_meters", locking)
        errors: list[Exception] = []

        def close(month: str) -> None:
            try:
                with ledger.database.unit_of_work() as uow:
                    closing.state(uow, month, ledger.log, now=DECEMBER)
            except Exception as error:  # noqa: BLE001 - a deadlock, whatever the driver calls it
                errors.append(error)

        december = threading.Thread(target=close, args=("2026-12",))
        november = threading.Thread(target=close, args=("2026-11",))
        december.start()
        assert december_holds.wait(20)
        november.start()
        for each in (december, november):
            each.join(30)
        assert errors == []
        assert len(ledger.issue("2026-11", now=DECEMBER).statements) > 3


def test_a_statement_that_tells_a_credit_and_takes_no_royalty_back_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open_ledger() as ledger:
        world = Refunding(ledger, 123_457, 250_001, None)
        world.play([(0, "2026-11", 900), "2026-11", ("refund", 0, "2026-11", 200, "2026-12")])
        monkeypatch.setattr("clearing.shares.booking.credited_in", lambda *_, **__: {})
        ledger.issue("2026-12", now=DECEMBER)
        with pytest.raises(BadBundleError, match=r"micro-won told of 2026-11"):
            verify_bundle(ledger.bundle(C, "2026-12"))


def test_what_waits_of_one_product_holds_up_no_refund_of_another() -> None:
    with open_ledger() as ledger:
        world = Refunding(ledger, 123_457, 250_001, None)
        source = world._told(A, C, "source")
        sold = [world._told(C, A, name, plan(per_row=1)) for name in ("huge", "huge2")]
        for number, record in enumerate(sold):  # together more than a curator may owe
            most = [told_edge(source, Basis.FIXED_PER_PERIOD, 10**15) for _ in range(10)]
            ledger.share(C, request(record, *most, request_id=f"huge{number}"))
        world.play([(0, "2026-11", 900), "2026-11"])
        meter = world.meters[C.id]
        records = [
            meter.record(record, rows=1000, at=NOVEMBER) for record in (*sold, world.deals[0][1])
        ]
        ledger.send(C, meter.batch(records), now=DECEMBER)
        ledger.issue("2026-11", now=DECEMBER)
        with ledger.database.unit_of_work() as uow:
            report = closing.report_of(uow, "2026-11", now=DECEMBER)
        assert report.royalties_waiting == (C.id,)
        world.refund_all()
        ledger.issue("2026-12", now=DECEMBER)
        assert due(ledger)["데이터 product", "데이터 ac"] == (0, 0)


def test_a_plan_that_no_statement_has_followed_yet_holds_up_no_refund() -> None:
    with open_ledger() as ledger:
        world = Refunding(ledger, 123_457, 250_001, None)
        other = world._told(C, A, "other", plan(per_row=1))
        source = world._told(A, C, "source")
        meter = world.meters[C.id]
        ledger.send(C, meter.batch([meter.record(other, rows=500, at=NOVEMBER)]), now=DECEMBER)
        world.play([(0, "2026-11", 900), "2026-11"])
        ledger.share(  # the first plan of the running month, after a statement of it
            C, request(other, told_edge(source, Basis.PCT_OF_GROSS, 100_000), request_id="r2")
        )
        ledger.refund(world.deals[0][1], "2026-11", 200, now=DECEMBER)
        report = closing.rehearse(ledger.database, "2026-12", now=DECEMBER)
        assert report.royalties_waiting is None
        told = ledger.issue("2026-12", now=DECEMBER).statements
        (curator,) = (each for each in told if each.participant_id == C.id)
        assert {line.product_title for line in curator.royalties_paid or ()} == {"데이터 product"}
        assert sum(line.supply_won for line in curator.royalties_paid or ()) < 0
        ledger.issue("2026-11", now=DECEMBER)
        assert due(ledger)["데이터 other", "데이터 source"] == (50_000_000, 50)


def test_what_is_due_so_far_keeps_what_was_used_after_a_refund() -> None:
    with open_ledger() as ledger:
        world = Refunding(ledger, 100_000, 100_000, None)
        world.play([(0, "2026-11", 900), "2026-11"])
        ledger.refund(world.deals[0][1], "2026-11", now=DECEMBER)
        world.play([(0, "2026-11", 900)])
        before = {key: micro for key, (micro, _) in due(ledger).items()}
        ledger.issue("2026-12", now=DECEMBER)
        ledger.issue("2026-11", now=DECEMBER)
        assert before == {key: micro for key, (micro, _) in due(ledger).items()}
        assert max(before.values()) > 0


@pytest.mark.parametrize("first_rows", [5, 90])
def test_amended_drafts_amend_what_was_drafted_and_never_below_zero(first_rows: int) -> None:
    """With five rows the first royalty is less than a won, so that there is no draft of it."""
    with open_ledger() as ledger:
        world = Refunding(ledger, 123_457, 250_001, None)
        world.play([(0, "2026-11", first_rows), "2026-11", (0, "2026-11", 900), "2026-11"])
        ledger.refund(world.deals[0][1], "2026-11", 40, now=DECEMBER)
        ledger.issue("2026-12", now=DECEMBER)
        world.refund_all()
        ledger.issue("2026-12", now=DECEMBER)
        drafts = [
            each
            for month in MONTHS
            for each in invoices_in(
                ledger.database, month, ISSUER, issuing=Issuing.PRINCIPAL
            ).invoices
        ]
        assert len({each.invoice_id for each in drafts}) == len(drafts)
        left = {e.invoice_id: [e.supply_won, e.vat_won] for e in drafts if not e.amendment_code}
        amended = [each for each in drafts if each.original_invoice_id is not None]
        assert amended
        assert all(line.purchased_on <= e.written_on for e in amended for line in e.lines)
        for each in amended:
            assert each.original_invoice_id is not None
            left[each.original_invoice_id][0] += each.supply_won
            left[each.original_invoice_id][1] += each.vat_won
            assert min(left[each.original_invoice_id]) >= 0
        assert {tuple(each) for each in left.values()} == {(0, 0)}, "all was refunded"
