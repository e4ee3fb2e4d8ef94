"""A close does its steps once, says beforehand what it will do, and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from clearing.closing.service import close
from clearing.settlement.netting import UnbalancedError, net_positions
from databank.kit.db import Database, UnitOfWork
from schemas.bank import AgreementRecord, Statement
from schemas.close import CloseReport, CloseStep
from tests.support.bank import Bank, Company, Meter, agreement, company, plan
from tests.support.ledger import open_ledger

NOVEMBER = datetime(2026, 11, 30, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 2, tzinfo=UTC)
CLOSE = "/periods/2026-11/close"


@pytest.fixture
def told(bank: Bank, steel: Company, curator: Company) -> AgreementRecord:
    record = agreement(steel, curator, plan(per_row=0.37, per_query=11))
    bank.agree(record, steel, curator)
    bank.deposit(curator, 10_000)
    return record


@pytest.fixture
def meter(bank: Bank, steel: Company, told: AgreementRecord) -> Meter:
    made = Meter(steel)
    bank.clock.now = DECEMBER
    _use(bank, steel, told, made, rows=100)
    return made


def _use(bank: Bank, who: Company, told: AgreementRecord, meter: Meter, *, rows: int) -> None:
    batch = meter.batch([meter.record(told, rows=rows, at=NOVEMBER)])
    assert bank.send(who, batch).status_code == 200


def _close(bank: Bank, query: str = "") -> CloseReport:
    answer = bank.admin("POST", CLOSE + query)
    assert answer.status_code == 200, answer.text
    return CloseReport.model_validate(answer.json())


def _everything(url: str) -> dict[str, list[str]]:
    """Return all rows of all of clearing's tables but checkpoints, which a thread signs."""
    database = Database(url)
    names = (
        "SELECT tablename FROM pg_tables WHERE tablename LIKE 'clearing%'"
        if url.startswith("postgresql")
        else "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'clearing%'"
    )
    with database.unit_of_work() as uow:
        tables = [row[0] for row in uow.run(text(names))]
        found = {t: sorted(map(repr, uow.run(text(f"SELECT * FROM {t}")))) for t in tables}
    database.close()
    assert len(found) > 10
    del found["clearing_checkpoint"]
    return found


@pytest.mark.usefixtures("meter")
def test_a_close_is_done_once_and_the_same_again(bank: Bank) -> None:
    report = _close(bank)
    assert report.is_closed
    assert [step.step for step in report.runs[0].steps] == list(CloseStep)
    bank.clock.advance(hours=1)
    assert _close(bank) == report
    assert CloseReport.model_validate(bank.admin("GET", CLOSE).json()) == report


@pytest.mark.usefixtures("meter")
def test_a_dry_run_tells_what_the_close_then_does_and_writes_nothing(
    bank: Bank, database_url: str
) -> None:
    before = _everything(database_url)
    foreseen = _close(bank, "?dry_run=true")
    assert _everything(database_url) == before
    assert foreseen.is_dry_run
    assert not foreseen.is_closed
    done = _close(bank)
    assert foreseen.runs == done.runs
    again = _close(bank, "?dry_run=true")
    assert again.runs == ()
    assert again.is_closed


@pytest.mark.usefixtures("meter")
def test_a_close_goes_on_where_it_stopped_and_says_how_far_it_is(bank: Bank) -> None:
    first = _close(bank, "?transactions_max=1")
    assert not first.is_closed
    done = [step.step for step in first.runs[0].steps]
    assert done == [CloseStep.CUT, CloseStep.STATEMENTS]
    foreseen = _close(bank, "?dry_run=true")
    bank.clock.advance(minutes=5)
    rest = _close(bank)
    assert rest.is_closed
    assert rest.runs[0].steps[:2] == first.runs[0].steps
    assert _results(foreseen) == _results(rest)


def _results(report: CloseReport) -> list[dict[str, Any]]:
    return [s.model_dump(exclude={"done_at"}) for run in report.runs for s in run.steps]


class Busy(Database):
    """A database that is used before every transaction of a close."""

    def __init__(self, database: Database, use: Callable[[], object]) -> None:
        self._database = database
        self._use = use

    @contextmanager
    def unit_of_work(self, *, waits_for_disk: bool = True) -> Iterator[UnitOfWork]:
        self._use()
        with self._database.unit_of_work(waits_for_disk=waits_for_disk) as uow:
            yield uow


def test_a_month_that_is_still_used_is_closed_as_it_was_when_asked() -> None:
    steel, curator = company("steel", "광양제철"), company("curator", "큐레이터")
    record, meter = agreement(steel, curator, plan(per_query=11)), Meter(steel)
    with open_ledger() as ledger:
        ledger.agree(record, steel, curator)

        def use() -> None:
            ledger.send(steel, meter.batch([meter.record(record, at=NOVEMBER)]), now=DECEMBER)

        report = close(Busy(ledger.database, use), "2026-11", ledger.log, clock=lambda: DECEMBER)
    assert [run.is_finished for run in report.runs] == [True]
    assert not report.is_closed


@pytest.mark.usefixtures("meter")
def test_statements_begin_the_close_that_then_finishes_them(bank: Bank) -> None:
    issued = bank.admin("POST", "/periods/2026-11/statements").json()["statements"]
    begun = CloseReport.model_validate(bank.admin("GET", CLOSE).json())
    assert not begun.is_closed
    report = _close(bank)
    assert report.is_closed
    (run,) = report.runs
    said = run.steps[1].statements
    assert said is not None
    assert set(said.statement_ids) == {each["statement_id"] for each in issued}


def test_usage_that_comes_later_is_a_run_of_its_own(
    bank: Bank, steel: Company, told: AgreementRecord, meter: Meter
) -> None:
    first = _close(bank)
    _use(bank, steel, told, meter, rows=7)
    assert not CloseReport.model_validate(bank.admin("GET", CLOSE).json()).is_closed
    second = _close(bank)
    assert second.is_closed
    assert second.runs[0] == first.runs[0]
    numbers = [run.number for run in second.runs]
    assert numbers == [1, 2]


@pytest.mark.usefixtures("meter")
def test_net_positions_add_up_to_zero_and_are_what_the_statements_say(
    bank: Bank, steel: Company, curator: Company
) -> None:
    (netting,) = (step.netting for step in _close(bank).runs[0].steps if step.netting)
    positions = {each.participant_id: each for each in netting.positions}
    assert sum(each.net_won for each in netting.positions) == 0
    assert positions[curator.id].net_won < 0 < positions["operator"].net_won
    answer = bank.admin("GET", "/admin/statements/2026-11").json()["statements"]
    statements = [Statement.model_validate(each) for each in answer]
    sold = next(s for s in statements if s.participant_id == steel.id)
    assert positions[steel.id].net_won == sold.sales_total_won
    with pytest.raises(UnbalancedError):
        net_positions([sold])  # a sale whose purchase is missing


def test_a_period_without_usage_has_nothing_to_close(bank: Bank) -> None:
    report = _close(bank)
    assert report.runs == ()
    assert not report.is_closed
    assert bank.admin("POST", "/periods/2026-13/close").status_code == 422
    assert bank.http.post(bank.url + CLOSE).status_code == 401


@pytest.mark.usefixtures("meter")
def test_what_a_close_recorded_cannot_be_changed(bank: Bank, database_url: str) -> None:
    _close(bank)
    database = Database(database_url)
    for statement in ("DELETE FROM clearing_close_step", "UPDATE clearing_close SET number = 9"):
        with pytest.raises(Exception, match="append-only"), database.unit_of_work() as uow:
            uow.run(text(statement))
    database.close()
