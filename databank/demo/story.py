"""Who plays, what they offer and what the curator asks; no IO but writing generated files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from databank.demo import generate
from schemas.dataset import Domain, Industry
from schemas.ids import parse_brn
from schemas.management import ColumnChange
from schemas.money import MICRO_PER_WON
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.terms import Mode, Terms
from schemas.wire import Text

FIRST_DEPOSIT_WON: Final = 30_000
SECOND_DEPOSIT_WON: Final = 500_000


@dataclass(frozen=True, slots=True)
class Company:
    """A made-up company; its 사업자등록번호 has a valid check digit and belongs to nobody here."""

    handle: str
    name: Text
    brn_stem: str

    @property
    def brn(self) -> str:
        """The number with its check digit."""
        return with_check_digit(self.brn_stem)


@dataclass(frozen=True, slots=True)
class Offering:
    """A file and how its company offers it."""

    company: Company
    file: Path
    name: str
    title: Text
    description: Text
    domain: Domain
    industry: Industry
    keywords: tuple[str, ...]
    terms: Terms
    plan: PricePlan
    columns: tuple[ColumnChange, ...] = ()

    @property
    def ref(self) -> str:
        """Its name in SQL."""
        return f"{self.company.handle}.{self.name}"


@dataclass(frozen=True, slots=True)
class Story:
    """A cast with what it does; ``joined_sql`` reads all three offerings."""

    is_generated: bool
    source: Text
    carbon: Offering  # may be read
    process: Offering  # queries only
    chain: Offering  # costly
    curator: Company
    searches: tuple[str, ...]  # each finds something
    process_sql: str
    chain_sql: str
    joined_sql: str

    @property
    def offerings(self) -> tuple[Offering, Offering, Offering]:
        """All three, in the order of publication."""
        return (self.carbon, self.process, self.chain)


def with_check_digit(stem: str) -> str:
    """Return a valid 사업자등록번호 that begins with nine digits."""
    for digit in "0123456789":
        try:
            return parse_brn(stem + digit)
        except ValueError:
            continue
    raise AssertionError("one of ten digits fits")


def _plan(**won: float) -> PricePlan:
    return PricePlan(
        components=tuple(
            PriceComponent(kind=PriceKind(kind), amount_micro=round(amount * MICRO_PER_WON))
            for kind, amount in won.items()
        )
    )


CARBON_PLAN: Final = _plan(one_off=5_000, per_megabyte=900)
PROCESS_PLAN: Final = _plan(per_query=100, per_row=0.5)
CHAIN_PLAN: Final = _plan(one_off=120_000, per_query=250)
CARBON_TERMS: Final = Terms(modes=(Mode.QUERY, Mode.READ), valid_days=365)
PROCESS_TERMS: Final = Terms(modes=(Mode.QUERY,), valid_days=365, queries_max=1_000)
CHAIN_TERMS: Final = Terms(modes=(Mode.QUERY,), valid_days=90, purposes=("공급망 실사",))
_NOTE: Final = Text(ko=" 생성한 시연 데이터입니다.", en=" Generated for demonstration.")
CURATOR: Final = Company(
    "nuri", Text(ko="누리큐레이션(가상)", en="Nuri Curation (fictitious)"), "990010004"
)


def generated_story(folder: Path, seed: int) -> Story:
    """Return the story on generated data, writing its files into ``folder``."""
    return Story(
        is_generated=True,
        source=Text(
            ko=f"데이터는 모두 생성한 것입니다 (씨앗 {seed})",
            en=f"All data are generated (seed {seed})",
        ),
        carbon=_carbon(folder, seed),
        process=_process(folder, seed),
        chain=_chain(folder, seed),
        curator=CURATOR,
        searches=("탄소", "steel", "공급망"),
        process_sql="SELECT 설비, sum(불량수) AS 불량, count(*) AS 측정 "
        "FROM saebyeok.process GROUP BY 설비 ORDER BY 설비",
        chain_sql="SELECT plant, count(*) AS lots, sum(quantity) AS pieces "
        "FROM mirae.deliveries GROUP BY plant ORDER BY plant",
        joined_sql="""
            SELECT d.plant, count(DISTINCT c.lot) AS lots, round(avg(c.pcf), 2) AS kgco2e,
                   sum(p.불량수) AS defects
            FROM hanbit.carbon c
            JOIN saebyeok.process p ON p.lot = c.lot
            JOIN mirae.deliveries d ON d.lot = c.lot
            WHERE c.reporting_month = '2026-03' AND p.불량수 > 0
              AND d.delivered >= DATE '2026-03-22'
            GROUP BY d.plant ORDER BY d.plant""",
    )


def _carbon(folder: Path, seed: int) -> Offering:
    return Offering(
        Company("hanbit", Text(ko="한빛전지(가상)", en="Hanbit Cell (fictitious)"), "990010001"),
        generate.write_carbon(folder, seed),
        "carbon",
        Text(ko="배터리 셀 제품탄소발자국", en="Battery cell product carbon footprints"),
        Text(ko="로트별 탄소 배출량." + _NOTE.ko, en="Carbon by lot." + _NOTE.en),
        Domain.CARBON,
        Industry.BATTERY,
        ("탄소발자국", "PCF", "배터리", "carbon footprint"),
        CARBON_TERMS,
        CARBON_PLAN,
    )


def _process(folder: Path, seed: int) -> Offering:
    return Offering(
        Company(
            "saebyeok", Text(ko="새벽압연(가상)", en="Saebyeok Rolling (fictitious)"), "990010002"
        ),
        generate.write_process(folder, seed),
        "process",
        Text(ko="압연 공정 에너지와 불량", en="Rolling mill energy and defects"),
        Text(ko="15분 단위 공정 측정." + _NOTE.ko, en="Process every 15 min." + _NOTE.en),
        Domain.PROCESS,
        Industry.STEEL_ALUMINIUM,
        ("공정", "에너지", "불량률", "steel"),
        PROCESS_TERMS,
        PROCESS_PLAN,
    )


def _chain(folder: Path, seed: int) -> Offering:
    return Offering(
        Company(
            "mirae",
            Text(ko="미래차부품(가상)", en="Mirae Auto Parts (fictitious)"),
            "990010003",
        ),
        generate.write_deliveries(folder, seed),
        "deliveries",
        Text(ko="차체 부품 납품 이력", en="Body part deliveries"),
        Text(ko="로트별 납기와 수량." + _NOTE.ko, en="Due dates by lot." + _NOTE.en),
        Domain.SUPPLY_CHAIN,
        Industry.AUTOMOTIVE_PARTS,
        ("납품", "공급망", "supply chain"),
        CHAIN_TERMS,
        CHAIN_PLAN,
    )
