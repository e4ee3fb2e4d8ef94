"""Statements and passbooks as files over HTTP, whose paper leads to what the bundle proves."""

from __future__ import annotations

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, Final

import pytest

from clearing.bundle.verify import verify_bundle
from clearing.documents import passbook
from clearing.documents.service import TooManyLinesError, lines_of
from databank.cli.proving import NotProvenError, compare_with_paper
from databank.kit.db import Database
from tests.support.bank import NOON, Bank, Company, Meter, agreement, company, plan
from tests.support.pdf import qr_codes_of, text_of

PERIOD: Final = "2026-11"
WAIT_SECONDS: Final = 25.0  # less than SQLite waits for a lock, and than a call lasts


@pytest.fixture
def closed(bank: Bank, steel: Company, curator: Company) -> Bank:
    """A month in which the curator bought twice and the second statement followed the first."""
    told, meter = agreement(steel, curator, plan(per_row=0.37)), Meter(steel)
    bank.agree(told, steel, curator)
    bank.deposit(curator, 10_000)
    for rows in (1_000, 500):
        batch = meter.batch([meter.record(told, rows=rows, at=NOON)])
        assert bank.send(steel, batch).status_code == 200
        assert bank.admin("POST", f"/periods/{PERIOD}/close").status_code == 200
    return bank


def test_the_paper_of_a_statement_is_the_statement_that_its_bundle_proves(
    closed: Bank, curator: Company
) -> None:
    answer = closed.call(curator, "GET", f"/statements/{PERIOD}/pdf?number=1")
    assert answer.headers["content-type"] == "application/pdf"
    (paper,) = qr_codes_of(answer.content)
    assert "₩407" in text_of(answer.content)  # 370 and VAT
    first, second = (
        verify_bundle(
            closed.call(curator, "GET", f"/statements/{PERIOD}/bundle?number={n}").content
        )
        for n in (1, 2)
    )
    compare_with_paper(first, paper)
    for proven, text in ((second, paper), (first, paper.replace("/log/", "x/log/")), (first, "?")):
        with pytest.raises(NotProvenError):
            compare_with_paper(proven, text)


def test_a_passbook_comes_as_csv_and_pdf_with_all_of_its_lines(
    closed: Bank, curator: Company
) -> None:
    told = closed.call(curator, "GET", "/passbook?limit=500").json()["lines"]
    answer = closed.call(curator, "GET", "/passbook/csv")
    rows = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row[-1] for row in rows[1:]] == [line["entry_id"] for line in told]
    assert len(rows) > 3
    own = f"/admin/passbook/csv?participant_id={curator.id}"
    assert closed.admin("GET", own).content == answer.content
    assert (
        len(closed.call(curator, "GET", "/passbook/csv?period=2026-10").content.splitlines()) == 1
    )
    text = text_of(closed.call(curator, "GET", "/passbook/pdf").content)
    assert "큐레이터" in text
    assert "₩10,000" in text


def test_documents_are_only_for_their_owner_and_the_operator(
    closed: Bank, curator: Company
) -> None:
    other = company("other", "다른 회사")
    closed.join(other)
    assert closed.call(other, "GET", f"/statements/{PERIOD}/pdf").status_code == 404
    assert closed.call(curator, "GET", "/statements/2026-13/pdf").status_code == 422
    assert closed.call(curator, "GET", "/passbook/csv?period=x").status_code == 422
    path = f"/admin/statements/{PERIOD}/pdf?participant_id={curator.id}"
    assert closed.admin("GET", path).content[:5] == b"%PDF-"
    assert closed.http.get(closed.url + path).status_code == 401


def test_money_moves_while_a_document_is_drawn(
    bank: Bank, curator: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drawing is held up until money has moved, which it could not inside a transaction."""
    draw, is_drawing, may_go_on = passbook.passbook_pdf, Event(), Event()

    def held_up(*args: Any, **options: Any) -> bytes:
        is_drawing.set()
        assert may_go_on.wait(WAIT_SECONDS)
        return draw(*args, **options)

    monkeypatch.setattr(passbook, "passbook_pdf", held_up)
    with ThreadPoolExecutor(1) as pool:
        drawing = pool.submit(bank.call, curator, "GET", "/passbook/pdf")
        try:
            assert is_drawing.wait(WAIT_SECONDS)
            assert bank.deposit(curator, 1, deposit_id="meanwhile").status_code == 200
            assert not drawing.done()
        finally:
            may_go_on.set()
        assert drawing.result().content[:5] == b"%PDF-"


def test_a_months_lines_are_those_that_were_recorded_in_it(
    bank: Bank, steel: Company, curator: Company, database_url: str
) -> None:
    told, meter = agreement(steel, curator, plan(per_row=1)), Meter(steel)
    bank.agree(told, steel, curator)
    bank.deposit(curator, 10_000)
    for rows in (100, 50):  # one on 24 November, one eight days later
        batch = meter.batch([meter.record(told, rows=rows, at=NOON)])
        assert bank.send(steel, batch).status_code == 200
        bank.clock.advance(hours=8 * 24)
    database = Database(database_url)
    try:
        every = list(lines_of(database, steel.id, None, lines_max=2))
        assert [line.balance_micro for line in every] == [104_500_000, 156_750_000]
        months = [
            list(lines_of(database, steel.id, f"2026-{n}", lines_max=2)) for n in (10, 11, 12)
        ]
        assert months == [[], every[:1], every[1:]]
        for long_ago in ("0000-01", "9999-12"):
            assert list(lines_of(database, steel.id, long_ago, lines_max=2)) == []
        with pytest.raises(TooManyLinesError, match="/passbook/csv"):
            list(lines_of(database, steel.id, None, lines_max=1))
    finally:
        database.close()
