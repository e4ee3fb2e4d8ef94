"""The same story on real, public data, where the folder with them is at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from databank.demo.story import (
    CARBON_PLAN,
    CARBON_TERMS,
    CHAIN_PLAN,
    CHAIN_TERMS,
    CURATOR,
    PROCESS_PLAN,
    PROCESS_TERMS,
    Company,
    Offering,
    Story,
)
from schemas.dataset import ColumnType, Domain, Industry
from schemas.management import ColumnChange
from schemas.wire import Text

STEEL: Final = Path("process/steel-industry-gwangyang/Steel_industry_data.csv")
CARBON: Final = Path(
    "carbon/carbon-catalogue/PublicTablesForCarbonCatalogueDataDescriptor_v30Oct2021.xlsx"
)
DELIVERIES: Final = Path("supply-chain/usaid-scms/SCMS_Delivery_History_Dataset.csv")

# An estimate, as a curator would offer it: what was shipped, by way of transport, at the median
# intensity of the catalogue's chemical products, and how long the steel plant takes to emit that.
JOINED_SQL: Final = """
    WITH d AS (SELECT shipment_mode AS mode, sum(weight) / 1000 AS tonnes
               FROM scms.deliveries GROUP BY 1),
         c AS (SELECT median(carbon_intensity) AS kg_per_kg FROM pcf.catalogue
               WHERE company_s_gics_industry_group = 'Chemicals'),
         e AS (SELECT sum(co2) / 12 AS tco2_a_month FROM steel.energy)
    SELECT d.mode, round(d.tonnes) AS tonnes, round(d.tonnes * c.kg_per_kg) AS tco2e_estimated,
           round(d.tonnes * c.kg_per_kg / e.tco2_a_month) AS plant_months
    FROM d CROSS JOIN c CROSS JOIN e ORDER BY d.tonnes DESC"""


def real_story(folder: Path) -> Story:
    """Return the story on the three public sets in ``folder``.

    Raises:
        FileNotFoundError: One of them is not there.
    """
    for file in (STEEL, CARBON, DELIVERIES):
        if not (folder / file).is_file():
            raise FileNotFoundError(f"데이터 파일이 없습니다 (no such data file): {folder / file}")
    return Story(
        is_generated=False,
        source=Text(
            ko="공개된 실제 데이터: 광양 철강공장 전력(UCI 851, CC BY 4.0), Carbon Catalogue"
            "(CC BY 4.0), USAID SCMS 납품 이력. 회사는 가상입니다",
            en="Real public data: steel plant at Gwangyang (UCI 851, CC BY 4.0), Carbon Catalogue "
            "(CC BY 4.0), USAID SCMS deliveries. The companies are fictitious",
        ),
        carbon=_carbon(folder),
        process=_process(folder),
        chain=_chain(folder),
        curator=CURATOR,
        searches=("탄소", "steel", "공급망"),
        process_sql="SELECT load_type, count(*) AS quarters, round(sum(usage)) AS kwh "
        "FROM steel.energy GROUP BY load_type ORDER BY load_type",
        chain_sql="SELECT country, count(*) AS lines, round(sum(weight)) AS kg "
        "FROM scms.deliveries GROUP BY country ORDER BY lines DESC LIMIT 5",
        joined_sql=JOINED_SQL,
    )


def _carbon(folder: Path) -> Offering:
    return Offering(
        Company("pcf", Text(ko="탄소공시(가상)", en="Carbon Papers (fictitious)"), "990020001"),
        folder / CARBON,
        "catalogue",
        Text(ko="제품탄소발자국 866건", en="866 product carbon footprints"),
        Text(
            ko="기업이 CDP에 공시한 제품탄소발자국 (Meinrenken et al. 2022).",
            en="Product carbon footprints reported to CDP (Meinrenken et al. 2022).",
        ),
        Domain.CARBON,
        Industry.OTHER,
        ("탄소발자국", "PCF", "carbon footprint"),
        CARBON_TERMS,
        CARBON_PLAN,
    )


def _process(folder: Path) -> Offering:
    return Offering(
        Company("steel", Text(ko="광양철강(가상)", en="Gwangyang Steel (fictitious)"), "990020002"),
        folder / STEEL,
        "energy",
        Text(ko="철강공장 15분 전력", en="Steel plant energy every 15 minutes"),
        Text(
            ko="2018년 광양 철강공장의 전력과 탄소 배출 (UCI 851).",
            en="Energy and emissions of a steel plant at Gwangyang in 2018 (UCI 851).",
        ),
        Domain.PROCESS,
        Industry.STEEL_ALUMINIUM,
        ("공정", "전력", "에너지", "steel"),
        PROCESS_TERMS,
        PROCESS_PLAN,
    )


def _chain(folder: Path) -> Offering:
    return Offering(
        Company("scms", Text(ko="나라물류(가상)", en="Nara Logistics (fictitious)"), "990020003"),
        folder / DELIVERIES,
        "deliveries",
        Text(ko="의약품 납품 이력", en="Delivery history of medical supplies"),
        Text(
            ko="2006–2015년 주문, 선적, 납품 가운데 무게가 숫자로 적힌 행 (USAID SCMS).",
            en="Orders, shipments and deliveries 2006–2015 whose weight is a number (USAID SCMS).",
        ),
        Domain.SUPPLY_CHAIN,
        Industry.OTHER,
        ("납품", "공급망", "supply chain"),
        CHAIN_TERMS,
        CHAIN_PLAN,
        # where the weight is a remark ("Weight Captured Separately"), the row stays out
        (ColumnChange(name="weight", type=ColumnType.NUMBER),),
    )
