"""What usage costs, as cumulative functions of an agreement's whole usage.

``charge(after) - charge(before)`` over runs of acts: however acts are grouped into batches,
and however often a batch comes again, the sums are the same to the micro-won.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from schemas.money import vat_on
from schemas.price import PricePlan, Usage, rate
from schemas.price import Run as Run  # noqa: PLC0414 - whoever rates, counts in runs
from schemas.usage import UsageRecord

SEOUL: Final = ZoneInfo("Asia/Seoul")
MONTHS: Final = 12  # of a year
BASIS_POINTS: Final = 10_000
COUNT_MAX: Final = 2**63 - 1  # what the databases' big integers hold
CHARGE_MICRO_MAX: Final = 10**18  # a million million won on one agreement


class OutOfRangeError(ValueError):
    """Usage or charge of an agreement beyond what can be counted."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """Supply, its VAT, the operator's fee on it and the fee's VAT, all in one unit."""

    supply: int = 0
    vat: int = 0
    fee: int = 0
    fee_vat: int = 0

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.supply + other.supply,
            self.vat + other.vat,
            self.fee + other.fee,
            self.fee_vat + other.fee_vat,
        )

    def __sub__(self, other: Amounts) -> Amounts:
        return Amounts(
            self.supply - other.supply,
            self.vat - other.vat,
            self.fee - other.fee,
            self.fee_vat - other.fee_vat,
        )

    @property
    def paid(self) -> int:
        """What the consumer pays."""
        return self.supply + self.vat

    @property
    def earned(self) -> int:
        """What remains of the supply for the supplier after the fee and its VAT."""
        return self.supply - self.fee - self.fee_vat


@dataclass(frozen=True, slots=True)
class Meter:
    """Usage of an agreement since its beginning, and the months that had any."""

    usage: Usage = field(default_factory=Usage)
    months: frozenset[str] = frozenset()

    def plus(self, run: Run) -> Meter:
        """Return the meter after a run of acts."""
        usage = self.usage.plus(run, is_new_month=run.month not in self.months)
        return Meter(usage, self.months | {run.month})


@dataclass(frozen=True, slots=True)
class Rated:
    """What runs of acts cost, by month, and the meter after them."""

    meter: Meter
    by_month: dict[str, Amounts]
    counts_by_month: dict[str, Run]

    @property
    def total(self) -> Amounts:
        """The charge over all months."""
        return sum(self.by_month.values(), Amounts())

    def then(self, later: Rated) -> Rated:
        """Return what these runs and the later ones cost together."""
        by_month, counts = dict(self.by_month), dict(self.counts_by_month)
        for month, amounts in later.by_month.items():
            by_month[month] = by_month.get(month, Amounts()) + amounts
            counts[month] = counts.get(month, Run(month)).plus(later.counts_by_month[month])
        return Rated(later.meter, by_month, counts)


def cumulative(plan: PricePlan, usage: Usage, fee_bps: int) -> Amounts:
    """Return what all of ``usage`` costs, in micro-won."""
    supply = rate(plan, usage)
    fee = supply * fee_bps // BASIS_POINTS
    return Amounts(supply, vat_on(supply), fee, vat_on(fee))


def charge(plan: PricePlan, before: Meter, runs: Iterable[Run], *, fee_bps: int) -> Rated:
    """Rate runs of acts in their order.

    Raises:
        OutOfRangeError: The sums would leave the range of the ledger.
    """
    meter, counted = before, cumulative(plan, before.usage, fee_bps)
    by_month: dict[str, Amounts] = {}
    counts: dict[str, Run] = {}
    for run in runs:
        meter = meter.plus(run)
        after = cumulative(plan, meter.usage, fee_bps)
        by_month[run.month] = by_month.get(run.month, Amounts()) + (after - counted)
        counts[run.month] = counts.get(run.month, Run(run.month)).plus(run)
        counted = after
    usage = meter.usage
    most = max(usage.queries, usage.rows, usage.bytes, usage.compute_ms)
    if most > COUNT_MAX or counted.supply > CHARGE_MICRO_MAX:
        raise OutOfRangeError(f"supply {counted.supply}, usage {usage}")
    return Rated(meter, by_month, counts)


def runs_of(records: Iterable[UsageRecord]) -> list[Run]:
    """Group the records of one agreement, in their order, into runs."""
    runs: list[Run] = []
    month, acts, queries, rows, bytes_, compute = "", 0, 0, 0, 0, 0
    for record in records:
        its_month = month_of(record.occurred_at)
        if its_month != month:
            if acts:
                runs.append(Run(month, acts, queries, rows, bytes_, compute))
            month, acts, queries, rows, bytes_, compute = its_month, 0, 0, 0, 0, 0
        acts += 1
        queries += record.queries_count
        rows += record.rows_count
        bytes_ += record.bytes_count
        compute += record.compute_ms
    if acts:
        runs.append(Run(month, acts, queries, rows, bytes_, compute))
    return runs


def month_of(moment: datetime) -> str:
    """Return the calendar month in Seoul, ``YYYY-MM``."""
    return _month_of_hour(moment.replace(minute=0, second=0, microsecond=0))


def span_of(month: str) -> tuple[datetime, datetime]:
    """Return when a calendar month in Seoul begins and when the next one does.

    Years before 1970 or after 9998, in which nothing happens, count as those.
    """
    year, number = int(month[:4]), int(month[5:])
    year = min(max(year, 1970), 9998)
    after = (year + 1, 1) if number == MONTHS else (year, number + 1)
    return datetime(year, number, 1, tzinfo=SEOUL), datetime(*after, 1, tzinfo=SEOUL)


@lru_cache(maxsize=4096)
def _month_of_hour(hour: datetime) -> str:
    return hour.astimezone(SEOUL).strftime("%Y-%m")
