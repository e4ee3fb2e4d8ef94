"""Plans that count by the month: booked in any grouping, stated month by month."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from schemas.price import Run, Usage, rate
from schemas.price_form import parse_plan
from schemas.usage import UsageRecord
from tests.support.bank import Bank, Company, Meter, agreement

MONTHS = {
    "2026-11": datetime(2026, 11, 30, tzinfo=UTC),
    "2026-12": datetime(2026, 12, 31, tzinfo=UTC),
    "2027-01": datetime(2027, 1, 2, tzinfo=UTC),
}
PRICES = (
    "month=300 row=1/free:500/monthly",
    "row=0.37/over:100:0.21/over:900:0.01/volume/monthly mb=3",
    "query=7 row=0.3/block:50/monthly minimum=200 cap=450.5",
    "compute=33.3/free:5/over:12:20/over:90:7/monthly query=1",
    "compute=90/over:20:40/volume",
    "row=0.1 compute=250/block:30/monthly minimum=200 cap=450.5",
)


def used(records: list[UsageRecord]) -> Usage:
    usage = Usage()
    months = {at: month for month, at in MONTHS.items()}
    for record in records:
        run = Run(
            months[record.occurred_at], 1, record.queries_count, record.rows_count,
            record.bytes_count, record.compute_ms,
        )  # fmt: skip
        usage = usage.plus(run, is_new_month=not usage.has_month(run.month))
    return usage


@pytest.mark.parametrize("text", PRICES)
def test_months_cost_what_the_plan_says_however_their_records_come(
    bank: Bank, steel: Company, curator: Company, text: str
) -> None:
    plan, random = parse_plan(text), Random(text)
    told = agreement(steel, curator, plan)
    bank.clock.now = MONTHS["2026-11"]
    bank.agree(told, steel, curator)
    bank.deposit(curator, 1_000_000)
    bank.clock.now = MONTHS["2027-01"]
    meter, sent = Meter(steel), list[UsageRecord]()
    for _ in range(8):
        records = [
            meter.record(
                told,
                rows=random.randrange(400),
                bytes_=random.randrange(10**7),
                compute_ms=random.choice([0, random.randrange(30_000)]),
                at=random.choice(list(MONTHS.values())),
            )
            for _ in range(random.randrange(1, 6))
        ]
        assert bank.send(steel, meter.batch(records)).status_code == 200
        sent += records
        period = random.choice(list(MONTHS))
        assert bank.admin("POST", f"/periods/{period}/statements").status_code == 200

    whole = rate(plan, used(sent))
    charged = 0
    for period, at in MONTHS.items():
        bank.admin("POST", f"/periods/{period}/statements")
        answer = bank.admin("GET", f"/admin/payments?period={period}").json()
        charged += sum(int(paid["supply_micro"]) for paid in answer["payments"])
        of_month = [r for r in sent if r.occurred_at == at]
        if plan.has_monthly_limit and of_month:
            paid = int(answer["payments"][0]["supply_micro"])
            assert 200_000_000 <= paid <= 450_500_000
            assert paid == rate(plan, used(of_month))
    assert charged == whole > 0
    spent = 1_000_000 * 10**6 - bank.balance(curator)["deposit"]
    assert spent == whole + whole // 10
