"""What plans cost, worked out by hand: a plan as it is typed, what was used, the won it costs.

Usage is told by month: ``10:2q 30r 4mb`` are 2 acts with 2 queries, 30 rows and 4 megabytes in
October; ``10:2a`` are two acts that delivered nothing that counts, ``10:2q 1500ms`` two queries
that computed for 1.5 seconds. Months stand in the order given.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import pytest

from schemas.money import MICRO_PER_WON
from schemas.price import PriceComponent, PriceKind, PricePlan, Run, Usage, price_sentence, rate
from schemas.price_form import BadPriceError, parse_plan

VECTORS: Final = """
free                                              | 10:5q 900r 70mb            | 0
once=5000                                         |                            | 0
once=5000                                         | 10:1a                      | 5000
once=5000                                         | 10:3q / 11:9q              | 5000
month=30000                                       | 10:1a                      | 30000
month=30000                                       | 10:9q / 11:1q / 12:4q      | 90000
query=100                                         | 10:3q                      | 300
query=100                                         | 10:3q / 11:2q              | 500
row=0.5                                           | 10:1q 3r                   | 1.5
mb=2                                              | 10:1q 4mb                  | 8
mb=0.000001                                       | 10:1q 0.5mb                | 0
mb=0.000001                                       | 10:1q 1.5mb                | 0.000002
once=1 month=2 query=3 row=4 mb=5                 | 10:2q 3r 4mb / 11:1q       | 46
compute=100                                       | 10:2q 1500ms               | 150
compute=100                                       | 10:1q 9r 9mb               | 0
compute=0.000001                                  | 10:1q 500ms                | 0
compute=100 query=3                               | 10:2q 1500ms / 11:1q 1ms   | 159.1
compute=100/free:2                                | 10:2q 1500ms / 11:1q 750ms | 25
compute=100/free:2/monthly                        | 10:2q 1500ms / 11:1q 2750ms| 75
compute=100/over:2:40                             | 10:1q 1500ms / 11:1q 1500ms| 240
compute=100/over:2:40/volume                      | 10:1q 1000ms               | 80.04
compute=100/over:2:40/volume                      | 10:1q 3000ms               | 120
compute=50/block:10                               | 10:1q 1ms / 11:1q 10000ms  | 100
compute=100 minimum=30 cap=200                    | 10:1q 1ms / 11:1q 9000ms   | 230
query=100/free:3                                  | 10:2q                      | 0
query=100/free:3                                  | 10:3q                      | 0
query=100/free:3                                  | 10:4q                      | 100
query=100/free:3                                  | 10:2q / 11:4q              | 300
query=100/free:3/monthly                          | 10:2q / 11:4q              | 100
query=100/free:3/monthly                          | 10:5q / 11:4q              | 300
row=0.5/free:1000                                 | 10:1q 1000r                | 0
row=0.5/free:1000                                 | 10:1q 1001r                | 0.5
row=0.5/free:1000/monthly                         | 10:1q 999r / 11:1q 1500r   | 250
mb=10/free:5                                      | 10:1q 5mb                  | 0
mb=10/free:5                                      | 10:1q 5.5mb                | 5
mb=10/free:5/monthly                              | 10:1q 4mb / 11:1q 6mb      | 10
month=30000 row=1/free:100/monthly                | 10:1q 150r / 11:1q 100r    | 60050
row=1/over:100:0.5                                | 10:1q 100r                 | 100
row=1/over:100:0.5                                | 10:1q 101r                 | 100.5
row=1/over:100:0.5                                | 10:1q 300r                 | 200
row=1/over:100:0.5/over:200:0.1                   | 10:1q 200r                 | 150
row=1/over:100:0.5/over:200:0.1                   | 10:1q 300r                 | 160
row=1/over:100:0.5/over:200:0                     | 10:1q 9999r                | 150
row=1/over:100:2                                  | 10:1q 150r                 | 200
row=1/over:100:0.5                                | 10:1q 80r / 11:1q 80r      | 130
row=1/over:100:0.5/monthly                        | 10:1q 80r / 11:1q 80r      | 160
row=1/over:100:0.5/monthly                        | 10:1q 120r / 11:1q 80r     | 190
row=1/free:50/over:100:0.5                        | 10:1q 150r                 | 100
row=1/free:50/over:100:0.5                        | 10:1q 250r                 | 150
query=100/over:10:80                              | 10:12q                     | 1160
mb=10/over:2:5                                    | 10:1q 1.5mb                | 15
mb=10/over:2:5                                    | 10:1q 3mb                  | 25
row=1/over:100:0.5/volume                         | 10:1q 50r                  | 50
row=1/over:100:0.5/volume                         | 10:1q 51r                  | 50.5
row=1/over:100:0.5/volume                         | 10:1q 100r                 | 50.5
row=1/over:100:0.5/volume                         | 10:1q 101r                 | 50.5
row=1/over:100:0.5/volume                         | 10:1q 102r                 | 51
row=1/over:100:0.5/volume                         | 10:1q 300r                 | 150
row=1/over:100:0.5/over:1000:0.1/volume           | 10:1q 150r                 | 75
row=1/over:100:0.5/over:1000:0.1/volume           | 10:1q 900r                 | 100.1
row=1/over:100:0.5/over:1000:0.1/volume           | 10:1q 2000r                | 200
row=1/over:100:0.5/volume/monthly                 | 10:1q 90r / 11:1q 30r      | 80.5
row=1/free:10/over:100:0.5/volume                 | 10:1q 60r                  | 50
query=100/over:10:50/volume                       | 10:8q                      | 550
mb=10/over:2:5/volume                             | 10:1q 1mb                  | 10
mb=10/over:2:5/volume                             | 10:1q 3mb                  | 15
row=100/block:50                                  | 10:1q                      | 0
row=100/block:50                                  | 10:1q 1r                   | 100
row=100/block:50                                  | 10:1q 50r                  | 100
row=100/block:50                                  | 10:1q 51r                  | 200
row=100/block:50                                  | 10:1q 30r / 11:1q 30r      | 200
row=100/block:50/monthly                          | 10:1q 60r / 11:1q 30r      | 300
row=100/free:20/block:50                          | 10:1q 70r                  | 100
row=100/free:20/block:50                          | 10:1q 71r                  | 200
query=900/block:10                                | 10:21q                     | 2700
mb=7/block:10                                     | 10:1q 10mb                 | 7
mb=7/block:10                                     | 10:1q 10.000001mb          | 14
mb=7/block:1                                      | 10:1q 0.2mb                | 7
row=1 cap=100                                     | 10:1q 99r                  | 99
row=1 cap=100                                     | 10:1q 101r                 | 100
row=1 cap=100                                     | 10:1q 500r / 11:1q 30r     | 130
month=80 row=1 cap=100                            | 10:1q 50r                  | 100
once=70 row=1 cap=100                             | 10:1q 500r                 | 170
row=1 minimum=40                                  | 10:1a                      | 40
row=1 minimum=40                                  | 10:1q 39r                  | 40
row=1 minimum=40                                  | 10:1q 41r                  | 41
row=1 minimum=40                                  | 10:1q 10r / 12:1q 90r      | 130
month=30 row=1 minimum=40                         | 10:1q 5r                   | 40
row=1 minimum=40 cap=100                          | 10:1q 1r / 11:1q 999r      | 140
row=1 minimum=40 cap=40                           | 10:1q 1r / 11:1q 999r      | 80
once=70 row=1 minimum=40                          | 10:1a                      | 110
row=1/free:50/monthly minimum=40                  | 10:1q 50r / 11:1q 100r     | 90
row=1/over:10:0/monthly query=5 cap=20            | 10:3q 99r / 11:1q 99r      | 35
mb=0.000001 cap=1                                 | 10:1q 0.5mb / 11:1q 0.5mb  | 0
"""
CASES: Final = [
    tuple(part.strip() for part in line.split("|")) for line in VECTORS.strip().splitlines()
]


def usage_of(text: str) -> Usage:
    usage = Usage()
    for told in filter(None, (each.strip() for each in text.split("/"))):
        month, _, counts = told.partition(":")
        found = {word.lstrip("0123456789."): word for word in counts.split()}
        number = {unit: Fraction(word.removesuffix(unit)) for unit, word in found.items()}
        acts = int(number.get("a", number.get("q", Fraction())))
        size = number.get("mb", Fraction()) * 10**6
        assert size.denominator == 1
        run = Run(
            f"2026-{month}",
            acts,
            int(number.get("q", Fraction())),
            int(number.get("r", Fraction())),
            int(size),
            int(number.get("ms", Fraction())),
        )
        usage = usage.plus(run, is_new_month=not usage.has_month(run.month))
    return usage


@pytest.mark.parametrize(("plan", "used", "won"), CASES)
def test_a_plan_costs_what_a_reader_works_out(plan: str, used: str, won: str) -> None:
    assert Fraction(rate(parse_plan(plan), usage_of(used)), MICRO_PER_WON) == Fraction(won)


@pytest.mark.parametrize(
    ("plan", "ko", "en"),
    [
        ("free", "무료", "free of charge"),
        ("month=30000", "이용한 달마다 ₩30,000 (부가세 별도)",
         "₩30,000 for each month with use (VAT not included)"),
        ("row=0.5/free:1000/monthly cap=100000",
         "1행당 ₩0.5 (처음 1,000행 무료, 달마다 새로 셈), 한 달 최대 ₩100,000 (부가세 별도)",
         ("₩0.5 per row (the first 1,000 rows free, counted anew each month), at most ₩100,000 "
         "a month (VAT not included)")),
        ("query=100/over:10:80", "질의 1건당 ₩100 (10건 초과분은 ₩80) (부가세 별도)",
         "₩100 per query (₩80 for those above 10 queries) (VAT not included)"),
        ("compute=90/free:60",
         "연산 1초당 ₩90 (처음 연산 60초 무료) (부가세 별도)",
         "₩90 per compute second (the first 60 compute seconds free) (VAT not included)"),
        ("mb=10/over:2:5/volume",
         "1MB당 ₩10 (2MB 초과 시 전체에 ₩5, 더 쓴 값보다 비싸지 않음) (부가세 별도)",
         ("₩10 per megabyte (₩5 for all above 2 MB, never more than a larger use would cost) "
         "(VAT not included)")),
        ("row=100/free:20/block:50 once=1",
         "50행 묶음을 시작할 때마다 ₩100 (처음 20행 무료, 나머지를 셈) + 일시불 ₩1 (부가세 별도)",
         ("₩100 per started block of 50 rows (the first 20 rows free, the rest counted) + ₩1 once, "
         "at the first use (VAT not included)")),
        ("row=1 minimum=40", "1행당 ₩1, 이용한 달은 최소 ₩40 (부가세 별도)",
         "₩1 per row, at least ₩40 in a month with use (VAT not included)"),
    ],
)  # fmt: skip
def test_each_form_is_said_in_both_languages(plan: str, ko: str, en: str) -> None:
    said = price_sentence(parse_plan(plan))
    assert (said.ko, said.en) == (ko, en)


@pytest.mark.parametrize(
    ("text", "ko", "en"),
    [
        ("", "cap=원", "cap=WON"),
        ("hour=3", "cap=원", "cap=WON"),
        ("row", "cap=원", "cap=WON"),
        ("row=0", "cap=원", "cap=WON"),
        ("row=1/free", "cap=원", "cap=WON"),
        ("row=1/free:0", "cap=원", "cap=WON"),
        ("row=1/free:1/free:2", "cap=원", "cap=WON"),
        ("row=1/over:5", "cap=원", "cap=WON"),
        ("row=1/monthly:yes", "cap=원", "cap=WON"),
        ("row=1 cap=1 cap=2", "cap=원", "cap=WON"),
        ("row=1 cap=0", "cap=원", "cap=WON"),
        ("once=5/free:1", "무료 제공량", "no free units"),
        ("month=5/monthly", "무료 제공량", "no free units"),
        ("row=1/monthly", "달마다 셀", "nothing is counted by the month"),
        ("row=1/volume", "함께", "together"),
        ("row=1/over:5:2/over:5:3", "작은 수부터", "ascend"),
        ("row=1/over:9:2/over:5:3", "작은 수부터", "ascend"),
        ("row=1/over:5:0.5/block:3", "묶음과 구간", "block or steps"),
        ("row=1/over:5:2/volume", "점점 싸지고", "fall"),
        ("row=1/over:5:0/volume", "점점 싸지고", "fall"),
        ("cap=5", "이용에 따른 요금", "amount for use"),
        ("once=5 minimum=5", "이용에 따른 요금", "amount for use"),
        ("row=1/free:5 cap=9", "monthly", "monthly"),
        ("row=1 minimum=9 cap=5", "최대 금액보다", "above the cap"),
        ("royalty=5", "--term royalty", "--term royalty"),
    ],
)  # fmt: skip
def test_what_is_no_price_is_explained_in_both_languages(text: str, ko: str, en: str) -> None:
    with pytest.raises(BadPriceError) as refused:
        parse_plan(text)
    assert ko in refused.value.reason.ko
    assert en.lower() in refused.value.reason.en.lower()


def test_a_plan_never_holds_a_kind_that_nothing_counts() -> None:
    assert {kind.value for kind in PriceKind} == {
        "one_off", "monthly", "per_query", "per_row", "per_megabyte",
        "per_compute_second",
    }  # fmt: skip
    with pytest.raises(ValueError, match="royalty"):
        PriceComponent.model_validate({"kind": "royalty", "amount_micro": "5"})
    assert PricePlan().is_free
