"""Attacks by differences on statistics, and the made-up companies that they are about.

Each attack is a chain of questions and what their answers are worth together: a number that
stands for one company, or for fewer than may be told of. Which attacks work is shown by an
engine without any rules, over the same rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

Row = dict[str, Any]
COLUMNS: Final = ("company", "region", "branch", "grade", "kwh", "mj", "gas", "plan", "total")
REGIONS: Final = ("서울", "부산", "울산", "광주")
BRANCHES: Final = ("강판", "주물", "도금")
EACH: Final = 6  # companies of a region and branch
MJ: Final = 3.6  # to a kWh: one column follows from another
SECRET: Final = 77.0  # alone in its grade
HALF_KNOWN: Final = 64.0  # has no value in the column that follows
NOWHERE: Final = 88.0  # alone without a region
PAIR: Final = 41.0 + 43.0  # two in a region
SPELLED: Final = 20.0 + 21.0 + 22.0 + 23.0  # one company under four spellings
SPELLINGS: Final = ("Solo Steel", "SOLO STEEL", "solo  steel", "Ｓｏｌｏ Steel")
OFF_PLAN: Final = {"울산-도금-3": 31.0}  # all others use what they planned
OFF_TOTAL: Final = {"광주-강판-2": 27.0}  # all others' total is that of kWh and gas
GREAT: Final = 900.0  # all but a few percent of its region
NEAR: Final = 0.1  # share by which a dominated total may miss the great one's value


def companies() -> list[Row]:
    """Return all rows; ``None`` is no value."""
    rows: list[Row] = []

    def add(company: str, place: tuple[str | None, str, str], kwh: float) -> None:
        gas = 10.0 + len(rows) % 7
        plan, total = kwh - OFF_PLAN.get(company, 0.0), kwh + gas + OFF_TOTAL.get(company, 0.0)
        values = (company, *place, kwh, round(kwh * MJ, 3), gas, plan, total)
        rows.append(dict(zip(COLUMNS, values, strict=True)))

    for region in REGIONS:
        for branch in BRANCHES:
            for number in range(EACH):
                add(f"{region}-{branch}-{number}", (region, branch, "보통"), 50.5 + len(rows) % 13)
    add("victim", ("서울", "강판", "특수"), SECRET)
    add("half", ("부산", "주물", "보통"), HALF_KNOWN)
    rows[-1]["mj"] = None
    add("nowhere", (None, "도금", "보통"), NOWHERE)
    for company, kwh in (("one", 41.0), ("two", 43.0)):
        add(company, ("세종", "도금", "보통"), kwh)
    for number, spelling in enumerate(SPELLINGS):
        add(spelling, ("제주", "강판", "보통"), 20.0 + number)
    add("great", ("강원", "주물", "보통"), GREAT)
    for number in range(4):
        add(f"small-{number}", ("강원", "주물", "보통"), 5.0 + number)
    return rows


def as_csv(rows: list[Row]) -> bytes:
    """Return rows as an upload."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


@dataclass(frozen=True)
class Step:
    """A question, which rows of its answer count, how much each is worth, and with what sign."""

    sql: str
    sign: float = 1.0
    where: dict[str, Any] = field(default_factory=dict)
    value: Callable[[Row], float | None] = lambda row: row["v"]

    def worth(self, rows: list[Row]) -> float | None:
        """Return what the answer adds; None if it does not tell."""
        values = [
            self.value(row)
            for row in rows
            if all(row[name] == value for name, value in self.where.items())
        ]
        known = [value for value in values if value is not None]
        return self.sign * sum(known) if known and len(known) == len(values) else None


@dataclass(frozen=True)
class Attack:
    """Questions whose answers together are ``target``, within a share of it."""

    steps: tuple[Step, ...]
    target: float = SECRET
    within: float = 1e-6

    def estimate(self, ask: Callable[[int, str], list[Row] | None]) -> float | None:
        """Return what the chain tells, asked in order; None if a part of it is not answered."""
        worths = []
        for number, step in enumerate(self.steps):
            rows = ask(number, step.sql)
            worths.append(None if rows is None else step.worth(rows))
        known = [worth for worth in worths if worth is not None]
        return sum(known) if len(known) == len(worths) else None

    def is_reached(self, estimate: float | None) -> bool:
        """Whether an estimate tells the target."""
        return estimate is not None and abs(estimate - self.target) <= self.within * self.target

    def backwards(self) -> Attack:
        """Return the same attack in the other order: who asks first shapes what others get."""
        return Attack(tuple(reversed(self.steps)), self.target, self.within)


SUM: Final = "SELECT sum(kwh) AS v FROM $data"
NORMAL: Final = "grade = '보통'"
KNOWN: Final = "region IN ('서울', '부산', '울산', '광주')"
EVERY_REGION: Final = "region IN ('서울', '부산', '울산', '광주', '세종', '제주', '강원')"
SEOUL: Final = f"{SUM} WHERE region = '서울'"
STEEL: Final = f"{SUM} WHERE branch = '강판'"
COATED: Final = f"{SUM} WHERE branch = '도금'"
CELL: Final = f"{SUM} WHERE region = '부산' AND branch = '주물'"
AVERAGE: Final = "SELECT avg(kwh) AS a, count(*) AS n FROM $data"
PLANNED: Final = AVERAGE.replace("kwh", "plan")


def _minus(first: str, *rest: str, target: float = SECRET, within: float = 1e-6) -> Attack:
    steps = (Step(first), *(Step(sql, -1.0) for sql in rest))
    return Attack(steps, target, within)


def _by(columns: str, sql: str = SUM) -> str:
    return sql.replace("SELECT", f"SELECT {columns},", 1) + f" GROUP BY {columns}"


def _mj(sql: str, sign: float = 1.0, **where: str) -> Step:
    return Step(sql.replace("kwh", "mj"), sign / MJ, where)


def _difference(row: Row) -> float | None:
    return None if None in {row["a"], row["n"]} else row["a"] - row["n"]


def _times(row: Row) -> float | None:
    return None if row["a"] is None else row["a"] * row["n"]


ATTACKS: Final[dict[str, Attack]] = {
    "its own cell": _minus(f"{SUM} WHERE grade = '특수'"),
    "its own cell, narrower": _minus(f"{SEOUL} AND grade = '특수'"),
    "all minus the others": _minus(SUM, f"{SUM} WHERE {NORMAL}"),
    "the others of a region": _minus(SEOUL, f"{SEOUL} AND {NORMAL}"),
    "the others of a branch": _minus(STEEL, f"{STEEL} AND {NORMAL}"),
    "the others of its cell": _minus(
        f"{SEOUL} AND branch = '강판'", f"{SEOUL} AND branch = '강판' AND {NORMAL}"
    ),
    "a complement by lists": _minus(
        STEEL,
        f"{STEEL} AND region IN ('부산', '울산', '광주', '제주')",
        f"{STEEL} AND region = '서울' AND {NORMAL}",
    ),
    "an individual tracker": _minus(
        SEOUL,
        f"{SEOUL} AND branch IN ('주물', '도금')",
        f"{SEOUL} AND branch = '강판' AND {NORMAL}",
    ),
    "a general tracker": Attack(
        (
            Step(f"{SUM} WHERE region IN ('서울', '부산')"),
            Step(f"{SUM} WHERE region IN ('부산', '울산')", -1.0),
            Step(f"{SUM} WHERE region = '울산'"),
            Step(f"{SEOUL} AND {NORMAL}", -1.0),
        )
    ),
    "a double tracker": Attack(
        (
            Step(f"{SUM} WHERE branch IN ('강판', '주물')"),
            Step(f"{SUM} WHERE branch IN ('주물', '도금')", -1.0),
            Step(COATED),
            Step(f"{STEEL} AND {NORMAL}", -1.0),
        )
    ),
    "three margins": _minus(
        STEEL,
        f"{STEEL} AND region IN ('부산', '울산')",
        f"{STEEL} AND region IN ('광주', '제주')",
        f"{STEEL} AND region = '서울' AND {NORMAL}",
    ),
    "grouped: the small cell": Attack((Step(_by("grade"), where={"grade": "특수"}),)),
    "grouped: all minus a group": Attack((Step(SUM), Step(_by("grade"), -1.0, {"grade": "보통"}))),
    "grouped by two and by three": Attack(
        (
            Step(_by("region, branch"), 1.0, {"region": "서울", "branch": "강판"}),
            Step(
                _by("region, branch, grade"),
                -1.0,
                {"region": "서울", "branch": "강판", "grade": "보통"},
            ),
        )
    ),
    "grouped by one, parts by another": Attack(
        (
            Step(_by("region"), 1.0, {"region": "서울"}),
            Step(f"{SEOUL} AND branch IN ('주물', '도금')", -1.0),
            Step(_by("branch", f"{SEOUL} AND {NORMAL}"), -1.0, {"branch": "강판"}),
        )
    ),
    "grouped by place": Attack(
        (
            Step(SUM),
            Step(f"{SUM.replace('SELECT', 'SELECT grade,')} GROUP BY 1", -1.0, {"grade": "보통"}),
        )
    ),
    "an average times a count": Attack(
        (Step(AVERAGE, value=_times), Step(f"{AVERAGE} WHERE {NORMAL}", -1.0, value=_times))
    ),
    "mean instead of avg": Attack(
        (
            Step("SELECT mean(kwh) AS a, count(kwh) AS n FROM $data", value=_times),
            Step(f"{SUM} WHERE {NORMAL}", -1.0),
        )
    ),
    "a column that follows": Attack((_mj(SEOUL), Step(f"{SEOUL} AND {NORMAL}", -1.0))),
    "the column that follows alone": Attack((_mj(SEOUL), _mj(f"{SEOUL} AND {NORMAL}", -1.0))),
    "how many there are": _minus(
        "SELECT count(*) AS v FROM $data",
        f"SELECT count(*) AS v FROM $data WHERE {NORMAL}",
        target=1.0,
    ),
    "how many, by rows and by values": _minus(
        "SELECT count(*) AS v FROM $data WHERE region = '서울'",
        f"SELECT count(kwh) AS v FROM $data WHERE region = '서울' AND {NORMAL}",
        target=1.0,
    ),
    "in capitals": _minus(SUM, "select SUM(KWH) as v from $data where GRADE = '보통'"),
    "with comments and spaces": _minus(
        SUM, f"/* */ SELECT   sum( kwh )\n AS v FROM $data -- x\n WHERE  ( {NORMAL} )"
    ),
    "under an alias": _minus(SUM, "SELECT sum(x.kwh) AS v FROM $data AS x WHERE x.grade = '보통'"),
    "a value named twice": _minus(SUM, f"{SUM} WHERE grade IN ('보통', '보통', '없음')"),
    "a condition said twice": _minus(SUM, f"{SUM} WHERE {NORMAL} AND grade IN ('보통', '없음')"),
    "who has no region": _minus(SUM, f"{SUM} WHERE {EVERY_REGION}", target=NOWHERE),
    "who has no region, grouped": Attack((Step(_by("region"), 1.0, {"region": None}),), NOWHERE),
    "who has no region, of a branch": _minus(
        COATED, f"{COATED} AND {EVERY_REGION}", target=NOWHERE
    ),
    "no value in the other column": Attack((Step(SUM), _mj(SUM, -1.0)), HALF_KNOWN),
    "no value, in its cell": Attack((Step(CELL), _mj(CELL, -1.0)), HALF_KNOWN),
    "no value, by averages": Attack(
        (
            Step(f"{AVERAGE} WHERE region = '부산'", value=_times),
            Step(
                "SELECT avg(mj) AS a, count(mj) AS n FROM $data WHERE region = '부산'",
                -1.0 / MJ,
                value=_times,
            ),
        ),
        HALF_KNOWN,
    ),
    "no value, grouped": Attack(
        (Step(_by("region"), 1.0, {"region": "부산"}), _mj(_by("region"), -1.0, region="부산")),
        HALF_KNOWN,
    ),
    "off the plan": _minus(SUM, SUM.replace("kwh", "plan"), target=31.0),
    "off the plan, of a branch": _minus(COATED, COATED.replace("kwh", "plan"), target=31.0),
    "off the plan, in one question": Attack(
        (Step("SELECT sum(kwh) AS a, sum(plan) AS n FROM $data", value=_difference),), 31.0
    ),
    "off the plan, by averages": Attack(
        (
            Step(f"{AVERAGE} WHERE region = '울산'", value=_times),
            Step(f"{PLANNED} WHERE region = '울산'", -1.0, value=_times),
        ),
        31.0,
    ),
    "off the plan, grouped": Attack(
        (
            Step(_by("region"), 1.0, {"region": "울산"}),
            Step(_by("region").replace("kwh", "plan"), -1.0, {"region": "울산"}),
        ),
        31.0,
    ),
    "off the plan, in other units": Attack(
        (
            _mj(f"{COATED} AND {KNOWN}"),
            Step(f"{COATED} AND {KNOWN}".replace("kwh", "plan"), -1.0),
        ),
        31.0,
    ),
    "off the plan, over parts": _minus(
        f"{SUM} WHERE region IN ('서울', '울산') AND {NORMAL}",
        f"{SUM.replace('kwh', 'plan')} WHERE region = '서울' AND {NORMAL}",
        f"{SUM.replace('kwh', 'plan')} WHERE region = '울산' AND {NORMAL}",
        target=31.0,
    ),
    "off the total": _minus(
        f"{STEEL} AND {KNOWN}".replace("kwh", "total"),
        f"{STEEL} AND {KNOWN}",
        f"{STEEL} AND {KNOWN}".replace("kwh", "gas"),
        target=27.0,
    ),
    "off the total, over all": _minus(
        SUM.replace("kwh", "total"), SUM, SUM.replace("kwh", "gas"), target=27.0
    ),
    "two in a region": _minus(f"{SUM} WHERE region = '세종'", target=PAIR),
    "two of a branch": _minus(f"{COATED} AND {EVERY_REGION}", f"{COATED} AND {KNOWN}", target=PAIR),
    "three, of which two are in a region": _minus(
        COATED, f"{COATED} AND {KNOWN}", f"{COATED} AND region = '세종'", target=NOWHERE
    ),
    "one under four spellings": _minus(f"{SUM} WHERE region = '제주'", target=SPELLED),
    "four spellings, as a difference": _minus(
        f"{STEEL} AND {NORMAL}", f"{STEEL} AND {NORMAL} AND {KNOWN}", target=SPELLED
    ),
    "all but a few percent of it": _minus(
        f"{SUM} WHERE region = '강원'", target=GREAT, within=NEAR
    ),
    "all but a few percent, as a difference": _minus(
        f"{SUM} WHERE branch = '주물'",
        f"{SUM} WHERE branch = '주물' AND {KNOWN}",
        target=GREAT,
        within=NEAR,
    ),
}
FORMS: Final = (  # other ways to say the same, each worth the secret by itself
    "SELECT sum(kwh) AS v FROM $data WHERE company = 'victim'",
    "SELECT sum(kwh) AS v FROM $data WHERE company LIKE 'vic%'",
    "SELECT sum(kwh) AS v FROM $data WHERE kwh = 77",
    "SELECT sum(kwh) AS v FROM $data WHERE gas * 0 + kwh > 76 AND kwh < 78",
    "SELECT sum(kwh) AS v FROM $data WHERE grade <> '보통'",
    "SELECT sum(kwh) AS v FROM $data WHERE NOT grade = '보통'",
    "SELECT sum(kwh) AS v FROM $data WHERE grade NOT IN ('보통')",
    "SELECT sum(kwh) AS v FROM $data WHERE grade > '보통'",
    "SELECT sum(kwh) AS v FROM $data WHERE grade BETWEEN '특' AND '특술'",
    "SELECT sum(kwh) AS v FROM $data WHERE upper(grade) = '특수'",
    "SELECT sum(kwh) AS v FROM $data WHERE grade || '' = '특수'",
    "SELECT sum(kwh) AS v FROM $data WHERE grade = '특수' OR region = '없음'",
    "SELECT sum(kwh) AS v FROM $data WHERE coalesce(region, '') = '서울' AND grade = '특수'",
    "SELECT sum(kwh) AS v FROM $data WHERE (region, grade) = ('서울', '특수')",
    "SELECT sum(kwh) FILTER (WHERE grade = '특수') AS v FROM $data",
    "SELECT sum(CASE WHEN grade = '특수' THEN kwh END) AS v FROM $data",
    "SELECT sum(kwh * CAST(grade = '특수' AS INTEGER)) AS v FROM $data",
    "SELECT sum(kwh) AS v FROM $data GROUP BY grade HAVING count(*) < 3",
    "SELECT max(kwh) AS v FROM $data WHERE grade = '특수'",
    "SELECT min(kwh) AS v FROM $data WHERE grade = '특수'",
    "SELECT median(kwh) AS v FROM $data WHERE grade = '특수'",
    "SELECT any_value(kwh) AS v FROM $data WHERE grade = '특수'",
    "SELECT arg_max(kwh, grade) AS v FROM $data",
    "SELECT kwh AS v FROM $data WHERE grade = '특수'",
    "SELECT sum(DISTINCT kwh) AS v FROM $data WHERE grade = '특수'",
    "SELECT sum(a.kwh) AS v FROM $data a JOIN $data b USING (company) WHERE b.grade = '특수'",
    "SELECT sum(kwh) AS v FROM $data a SEMI JOIN $data b ON a.mj = b.mj AND b.grade = '특수'",
    "SELECT sum(kwh) AS v FROM (SELECT * FROM $data WHERE grade = '특수')",
    "WITH s AS (SELECT * FROM $data WHERE grade = '특수') SELECT sum(kwh) AS v FROM s",
    "SELECT sum(kwh) AS v FROM $data WHERE grade IN (SELECT '특수')",
    "SELECT (SELECT sum(kwh) FROM $data) - sum(kwh) AS v FROM $data WHERE grade = '보통'",
    "SELECT sum(kwh) AS v FROM $data WHERE grade = '특수' UNION SELECT 77",
    "SELECT sum(kwh) OVER () AS v FROM $data WHERE grade = '특수'",
    "SELECT sum(kwh) AS v FROM $data GROUP BY ROLLUP (grade) ORDER BY v LIMIT 1",
    "SELECT sum(kwh) AS v FROM $data GROUP BY GROUPING SETS ((grade)) ORDER BY v LIMIT 1",
    "SELECT sum(kwh) AS v FROM $data GROUP BY grade ORDER BY v LIMIT 1",
    "SELECT sum(kwh) AS v FROM $data GROUP BY grade QUALIFY row_number() OVER (ORDER BY v) = 1",
    "SELECT sum(kwh) AS v FROM $data WHERE grade = '특수' AND kwh IS NOT NULL",
)
