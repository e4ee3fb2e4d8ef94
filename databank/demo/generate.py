"""Generated industrial data, the same for the same seed; always labelled as generated.

Three suppliers of one car-body part: what a lot emitted, how it was made, when it arrived.
The process file is as a Korean factory's spreadsheet saves it: CP949, with a few bad cells.
"""

from __future__ import annotations

import csv
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet

LOTS_COUNT: Final = 6_000
ROWS_PER_LOT: Final = 8
BAD_CELLS: Final = {17: "점검중", 4_242: "N.D.", 20_001: "교체"}  # row of the file: text in `전력`
DEFECT_SHARE: Final = 0.03
FIRST_DAY: Final = date(2026, 1, 1)


def write_carbon(folder: Path, seed: int) -> Path:
    """Write the carbon footprint of each lot as Parquet."""
    rng = random.Random(f"carbon {seed}")  # noqa: S311 - a demo's numbers
    lots = range(LOTS_COUNT)
    table = pa.table(
        {
            "lot": [_lot(n) for n in lots],
            "product": [rng.choice(("EV-72Ah", "EV-94Ah", "ESS-280Ah")) for _ in lots],
            "reporting_month": [f"{_day(n):%Y-%m}" for n in lots],
            "pcf_kgco2e": [round(rng.gauss(61.0, 6.5), 3) for _ in lots],
            "recycled_share": [round(rng.betavariate(2, 9), 4) for _ in lots],
        }
    )
    path = folder / "battery_carbon.parquet"
    pyarrow.parquet.write_table(table, path)
    return path


def write_process(folder: Path, seed: int) -> Path:
    """Write process measurements as CSV in CP949."""
    rng = random.Random(f"process {seed}")  # noqa: S311 - a demo's numbers
    path = folder / "공정_에너지.csv"
    with path.open("w", encoding="cp949", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lot", "설비", "측정시각", "전력(kWh)", "온도(℃)", "불량수"])
        row = 1
        for number in range(LOTS_COUNT):
            start = datetime.combine(_day(number), datetime.min.time(), UTC)
            for step in range(ROWS_PER_LOT):
                row += 1
                power = BAD_CELLS.get(row, f"{rng.gauss(42, 8):.2f}")
                moment = start + timedelta(minutes=15 * step)
                defects = int(rng.random() < DEFECT_SHARE) * rng.randint(1, 4)
                celsius = f"{rng.gauss(640, 12):.1f}"
                machine = f"압연{rng.randint(1, 4)}호"
                said = f"{moment:%Y-%m-%d %H:%M}"
                writer.writerow([_lot(number), machine, said, power, celsius, defects])
    return path


def write_deliveries(folder: Path, seed: int) -> Path:
    """Write deliveries as CSV in UTF-8 with a byte order mark, as Excel does."""
    rng = random.Random(f"deliveries {seed}")  # noqa: S311 - a demo's numbers
    path = folder / "deliveries.csv"
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["lot", "plant", "due", "delivered", "quantity", "unit_price_krw"])
        for number in range(LOTS_COUNT):
            due = _day(number) + timedelta(days=21)
            late = max(0, int(rng.gauss(0, 3)))
            plant = rng.choice(("울산", "아산", "광주"))
            price = rng.randint(18_000, 24_000)
            writer.writerow(
                [
                    _lot(number),
                    plant,
                    due,
                    due + timedelta(days=late),
                    rng.randint(10, 400),
                    price,
                ]
            )
    return path


def _lot(number: int) -> str:
    return f"L{number:06d}"


def _day(number: int) -> date:
    return FIRST_DAY + timedelta(days=number % 180)
