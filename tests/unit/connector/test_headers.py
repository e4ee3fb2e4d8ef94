"""A header says its unit only where a known unit stands."""

from __future__ import annotations

import pytest

from connector.publish.headers import read_header, read_headers


@pytest.mark.parametrize(
    ("cell", "name", "unit"),
    [
        ("전력사용량(kWh)", "전력사용량", "kWh"),
        ("단가(원)", "단가", "원"),
        ("온도 [℃]", "온도", "°C"),
        ("면적(㎡)", "면적", "m2"),
        ("원단위（kgCO2e/kWh）", "원단위", "kgCO2e/kWh"),
        ("토크(N·m)", "토크", "N·m"),
        ("Usage_kWh", "usage", "kWh"),
        ("Weight (Kilograms)", "weight", "Kilograms"),
        ("Product's carbon footprint (PCF, kg CO2e)", "product_s_carbon_footprint_pcf", "kg CO2e"),
        ("Adjustments to raw data (if any)", "adjustments_to_raw_data_if_any", None),
        ("온도(입구)", "온도_입구", None),
        ("비고(선택)", "비고_선택", None),
        ("Unit of Measure (Per Pack)", "unit_of_measure_per_pack", None),
        ("temp_min", "temp_min", None),
        ("ITEM_CD", "item_cd", None),
        ("item_nm", "item_nm", None),
        ("(kWh)", "kwh", None),
    ],
)
def test_the_unit_is_a_known_one_or_none(cell: str, name: str, unit: str | None) -> None:
    header = read_header(cell)
    assert (header.name, header.unit) == (name, unit)


def test_remarks_in_brackets_tell_columns_apart() -> None:
    headers, warnings = read_headers(["온도(입구)", "온도(출구)"])
    assert [header.name for header in headers] == ["온도_입구", "온도_출구"]
    assert warnings == []
