"""Costs are added and checked with VAT; texts of others are escaped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from databank.client.cost import BudgetExceededError, Cost, CostLine, charged
from databank.client.ref import Ref

REF = Ref("hanbit", "carbon")
LINE = CostLine(REF, "<b>한빛</b>", 3, 96, 1_000_000, 100_000)


def test_the_budget_is_compared_with_the_total_including_vat() -> None:
    cost = Cost((LINE, LINE), is_charged=False)
    assert cost.total_micro == 2_200_000
    cost.check(None)
    cost.check(3)
    with pytest.raises(BudgetExceededError):
        cost.check(2)


def test_a_charge_is_read_from_the_answers_headers() -> None:
    headers = {
        "Databank-Rows": "3",
        "Databank-Bytes": "96",
        "Databank-Charge-Micro": "1000000",
        "Databank-Vat-Micro": "100000",
    }
    assert charged(REF, LINE.supplier, headers) == LINE
    with pytest.raises(ValueError, match="missing"):
        charged(REF, LINE.supplier, {})


def test_costs_are_said_in_both_languages_and_escaped_in_html() -> None:
    cost = Cost((LINE,), is_charged=True)
    assert [text.en for text in cost.said()] == [
        "hanbit.carbon (<b>한빛</b>): 3 rows, 96 bytes, ₩1 + VAT ₩0.1",
        "₩1.1 charged (with VAT)",
    ]
    assert "<b>" not in cost._repr_html_()
    assert "&lt;b&gt;" in cost._repr_html_()


def test_processor_time_is_said_with_the_most_that_it_may_cost() -> None:
    headers = {
        "Databank-Rows": "3",
        "Databank-Bytes": "96",
        "Databank-Charge-Micro": "1000000",
        "Databank-Vat-Micro": "100000",
        "Databank-Compute-Ms": "1250",
    }
    line = charged(REF, LINE.supplier, headers)
    assert line == replace(LINE, compute_ms=1250)
    bill = Cost((line, LINE), is_charged=True)
    assert [text.ko for text in bill.notes()] == ["hanbit.carbon: 연산 1.25초"]
    quote = Cost((replace(line, total_most_micro=33_000_000),), is_charged=False)
    (note,) = quote.notes()
    assert "1분 안에" in note.ko
    assert "최대 ₩33 " in note.ko
    assert note.en.startswith("hanbit.carbon: 1.25 compute seconds; as quoted within a minute")
    assert "at most ₩33 (with VAT)" in str([text.en for text in quote.said()])


def test_what_was_paid_before_is_said() -> None:
    line = CostLine(REF, "한빛", 0, 0, 0, 0, is_paid_before=True)
    assert "이미 낸 몫" in str(Cost((line,), is_charged=False))
    assert "이미 낸 몫" not in str(Cost((LINE,), is_charged=False))
