"""Statistics only: what may be asked, and attacks on one company's value, with two buyers."""

from __future__ import annotations

import io
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pyarrow as pa
import pytest

from connector.offering import store as offerings
from databank.cli.suggesting import first_step
from schemas.ids import DatasetId
from tests.integration.connector.test_publish import request, upload
from tests.support.connectors import Registry, Running, connector
from tests.support.use import Contract, contract

STATISTICS: Final[dict[str, Any]] = {
    "modes": ["query"],
    "statistics_entity": "company",
    "statistics_groups": ["region", "branch", "grade"],
    "entities_min": 5,
    "dominance_percent_max": 60,
    "remainder_percent_min": 10,
}
ROWS_LICENCE: Final[dict[str, Any]] = {"modes": ["query"]}
REGIONS: Final = ("서울", "부산", "울산", "광주")
BRANCHES: Final = ("강판", "주물", "도금")
VICTIM: Final = "victim"
SECRET: Final = 77.0  # the victim's energy, its only row


def made_up() -> str:
    """Return 121 companies: ten a region and branch, and one that is alone in its grade."""
    rows = io.StringIO()
    rows.write("company,region,branch,grade,kwh,mj\n")
    number = 0
    for region in REGIONS:
        for branch in BRANCHES:
            for _ in range(10):
                number += 1
                kwh = 50 + number % 13
                rows.write(f"c{number},{region},{branch},보통,{kwh}.5,{(kwh + 0.5) * 3.6}\n")
    rows.write(f"{VICTIM},서울,강판,특수,{SECRET},{SECRET * 3.6}\n")
    return rows.getvalue()


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def buyers(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Running]]:
    with (
        connector(tmp_path_factory.mktemp("first"), registry, "first") as first,
        connector(tmp_path_factory.mktemp("second"), registry, "second") as second,
    ):
        yield [first, second]


@pytest.fixture(scope="module")
def supplier(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with connector(tmp_path_factory.mktemp("supplier"), registry, "supplier") as running:
        yield running


def publish(supplier: Running, terms: dict[str, Any]) -> httpx.Response:
    report = upload(supplier, "energy.csv", made_up().encode())
    public = [{"name": name, "sensitivity": "public"} for name in ("company", "kwh", "region")]
    body = request(report["upload_id"], terms=terms, columns=public, sample_rows=3)
    return supplier.manage("POST", "/publications", json=body)


def agree(buyer: Running, supplier: Running, publication: dict[str, Any]) -> Contract:
    with supplier.runtime.database.unit_of_work() as uow:
        published = offerings.get(uow, DatasetId(publication["dataset"]["id"]))
    assert published is not None
    return contract(buyer, supplier, published)


@pytest.fixture
def offered(supplier: Running) -> dict[str, Any]:
    answer = publish(supplier, STATISTICS)
    assert answer.status_code == 201, answer.text
    publication: dict[str, Any] = answer.json()
    return publication


def table(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    return rows


def test_statistics_are_right_where_they_may_be_told(
    buyers: list[Running], supplier: Running, offered: dict[str, Any]
) -> None:
    assert offered["dataset"].get("sample", []) == []
    made = agree(buyers[0], supplier, offered)
    open_ = agree(buyers[0], supplier, publish(supplier, ROWS_LICENCE).json())
    sql = "SELECT region, count(*) AS n, sum(kwh) AS s, avg(kwh) AS a FROM $data GROUP BY region"
    told = table(made.query(sql))
    truth = table(open_.query(sql))
    assert len(told) == 4
    key = lambda row: row["region"]  # noqa: E731 - used twice, in the next line
    for got, expected in zip(sorted(told, key=key), sorted(truth, key=key), strict=True):
        assert got == pytest.approx(expected)
    [total] = table(made.query("SELECT count(*) AS n FROM $data WHERE region IN ('서울', '부산')"))
    assert total == {"n": 61}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM $data",
        "SELECT company, sum(kwh) FROM $data GROUP BY company",
        "SELECT kwh FROM $data",
        "SELECT region, max(kwh) FROM $data GROUP BY region",
        "SELECT median(kwh) FROM $data",
        "SELECT sum(kwh) FROM $data WHERE company = 'victim'",
        "SELECT sum(kwh) FROM $data WHERE kwh > 70",
        "SELECT sum(kwh) FROM $data WHERE region LIKE '서%'",
        "SELECT sum(kwh) FROM $data WHERE NOT region = '서울'",
        "SELECT sum(kwh) FROM $data WHERE region = '서울' OR branch = '주물'",
        "SELECT sum(kwh) FILTER (WHERE company = 'victim') FROM $data",
        "SELECT sum(CASE WHEN company = 'victim' THEN kwh ELSE 0 END) FROM $data",
        "SELECT sum(kwh * 1000000) FROM $data",
        "SELECT sum(kwh) + 0 FROM $data",
        "SELECT sum(DISTINCT kwh) FROM $data",
        "SELECT string_agg(company, ',') FROM $data",
        "SELECT count(DISTINCT company) FROM $data",
        "SELECT region, sum(kwh) FROM $data GROUP BY ROLLUP (region)",
        "SELECT region, sum(kwh) AS s FROM $data GROUP BY region HAVING sum(kwh) > 1",
        "SELECT region, sum(kwh) FROM $data GROUP BY region LIMIT 1",
        "SELECT region, sum(kwh) FROM $data GROUP BY region ORDER BY 2",
        "SELECT region, kwh, sum(kwh) FROM $data GROUP BY region, kwh",
        "SELECT sum(a.kwh) FROM $data a JOIN $data b USING (region)",
        "WITH d AS (SELECT * FROM $data) SELECT sum(kwh) FROM d",
        "SELECT sum(kwh) FROM (SELECT * FROM $data WHERE company = 'victim')",
        "SELECT sum(kwh) FROM $data WHERE region IN (SELECT region FROM $data)",
        "SELECT sum(kwh) OVER () FROM $data",
        "SELECT sum(kwh) FROM $data UNION SELECT sum(kwh) FROM $data",
        "SELECT sum(kwh), (SELECT max(kwh) FROM $data) FROM $data",
        "SELECT region AS x, count(*) AS X FROM $data GROUP BY region",
        "SELECT region FROM $data GROUP BY region",
        "SELECT sum(kwh) FROM $data d(company, region, branch, kwh, grade, mj)",
    ],
)
def test_anything_but_the_form_of_statistics_is_refused_and_not_recorded(
    asked: Contract, sql: str
) -> None:
    before = asked.recorded
    refused = asked.query(sql)
    assert refused.status_code == 422, refused.text
    assert refused.json()["type"] == "urn:idb:problem:query-refused"
    assert str(SECRET) not in refused.text
    assert asked.recorded == before


@pytest.fixture(scope="module")
def asked(buyers: list[Running], supplier: Running) -> Contract:
    return agree(buyers[0], supplier, publish(supplier, STATISTICS).json())


SUM: Final = "SELECT sum(kwh) AS s FROM $data"
STEEL: Final = f"{SUM} WHERE branch = '강판'"


@pytest.fixture(scope="module")
def with_rows(buyers: list[Running], supplier: Running) -> list[Contract]:
    rows = publish(supplier, ROWS_LICENCE).json()
    return [agree(buyer, supplier, rows) for buyer in buyers]


# Each attack is a list of questions; the secret is the first answer minus all others.
ATTACKS: Final = {
    "alone in its grade": [f"{SUM} WHERE grade = '특수'"],
    "all minus the others": [SUM, f"{SUM} WHERE grade = '보통'"],
    "its cell minus the others of it": [
        f"{STEEL} AND region = '서울'",
        f"{STEEL} AND region = '서울' AND grade = '보통'",
    ],
    "a margin minus parts": [
        f"{SUM} WHERE region = '서울'",
        f"{SUM} WHERE region = '서울' AND branch IN ('주물', '도금')",
        f"{STEEL} AND region = '서울' AND grade IN ('보통')",
    ],
    "three margins": [
        STEEL,
        f"{STEEL} AND region IN ('부산', '울산')",
        f"{STEEL} AND region = '광주'",
        f"{STEEL} AND region = '서울' AND grade = '보통'",
    ],
    "by a column that follows from it": [
        "SELECT sum(mj) AS s FROM $data",
        "SELECT sum(kwh) AS s FROM $data WHERE grade = '보통'",
    ],
}


def learnt(made: list[Contract], questions: list[str]) -> float | None:
    """Return what the questions tell of the victim, asked by the buyers in turn."""
    values = []
    for number, sql in enumerate(questions):
        answer = made[number % len(made)].query(sql)
        rows = table(answer) if answer.status_code == 200 else []
        value = rows[0]["s"] if rows else None
        if value is None:
            return None
        values.append(value / 3.6 if "mj" in sql else value)
    return float(values[0] - sum(values[1:]))


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_that_works_on_rows_learns_nothing_from_statistics(
    buyers: list[Running], supplier: Running, with_rows: list[Contract], name: str
) -> None:
    questions = ATTACKS[name]
    assert learnt(with_rows, questions) == pytest.approx(SECRET)  # the arithmetic is right
    publication = publish(supplier, STATISTICS).json()
    made = [agree(buyer, supplier, publication) for buyer in buyers]
    assert learnt(made, questions) is None
    assert learnt(made, list(reversed(questions))) is None


def test_an_average_and_a_count_are_a_sum_too(
    buyers: list[Running], supplier: Running, with_rows: list[Contract], offered: dict[str, Any]
) -> None:
    average = "SELECT avg(kwh) AS a, count(*) AS n FROM $data"
    others = ATTACKS["all minus the others"][1]
    made = [agree(buyer, supplier, offered) for buyer in buyers]
    [all_], [rest] = (table(with_rows[0].query(sql)) for sql in (average, others))
    assert all_["a"] * all_["n"] - rest["s"] == pytest.approx(SECRET)
    assert len(table(made[0].query(others))) == 1
    assert table(made[1].query(average)) == []


def test_grouped_answers_leave_out_the_small_cell_and_what_would_show_it(
    buyers: list[Running], supplier: Running, offered: dict[str, Any]
) -> None:
    made = [agree(buyer, supplier, offered) for buyer in buyers]
    grades = table(made[0].query("SELECT grade, sum(kwh) AS s FROM $data GROUP BY grade"))
    assert [row["grade"] for row in grades] == ["보통"]
    total = "SELECT sum(kwh) AS s FROM $data"
    assert table(made[1].query(total)) == []  # the other buyer would have the difference
    by_region = "SELECT region, sum(kwh) AS s FROM $data GROUP BY region"
    assert {row["region"] for row in table(made[1].query(by_region))} == set(REGIONS[1:])


def test_of_two_buyers_at_once_one_is_audited_against_the_other(
    buyers: list[Running], supplier: Running, offered: dict[str, Any]
) -> None:
    made = [agree(buyer, supplier, offered) for buyer in buyers]
    questions = ATTACKS["all minus the others"]
    answers: dict[int, list[dict[str, Any]]] = {}
    ready = threading.Barrier(2)

    def ask(number: int) -> None:
        ready.wait(30)
        answers[number] = table(made[number].query(questions[number]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(len(rows) for rows in answers.values()) == [0, 1]


def test_the_history_outlives_a_restart_and_the_offer(tmp_path: Path) -> None:
    registry, folder = Registry(), tmp_path / "supplier"
    all_minus, others = ATTACKS["all minus the others"]
    with connector(tmp_path / "buyer", registry, "buyer") as buyer:
        with connector(folder, registry, "supplier") as supplier:
            port = int(supplier.url.rsplit(":", 1)[1])
            publication = publish(supplier, STATISTICS).json()
            made = agree(buyer, supplier, publication)
            [told] = table(made.query(all_minus, "the-first-query"))
        with connector(folder, registry, "supplier", port=port) as again:
            later = Contract(buyer, again, made.published, made.agreement_id)
            assert table(later.query(others)) == []
            assert table(later.query(all_minus, "the-first-query")) == [told]
            path = f"/publications/{publication['dataset']['id']}"
            finer = {**STATISTICS, "statistics_groups": ["region"]}
            refused = again.manage("PATCH", path, json={"terms": finer})
            assert refused.status_code == 422, refused.text
            stricter = {**STATISTICS, "entities_min": 10}
            assert again.manage("PATCH", path, json={"terms": stricter}).is_success


def test_what_was_not_delivered_leaves_no_history(buyers: list[Running], supplier: Running) -> None:
    terms = {**STATISTICS, "rows_max": 1}
    publication = publish(supplier, terms).json()
    made = [agree(buyer, supplier, publication) for buyer in buyers]
    by_region = "SELECT region, sum(kwh) AS s FROM $data GROUP BY region"
    assert made[0].query(by_region).json()["code"] == "row_quota"
    assert made[0].quote("SELECT sum(kwh) AS s FROM $data").json()["rows_count"] == 1
    [others] = table(made[1].query(ATTACKS["all minus the others"][1]))
    assert others["s"] > 0


@pytest.mark.parametrize(
    "terms",
    [
        {**STATISTICS, "statistics_entity": "no_such"},
        {**STATISTICS, "statistics_groups": ["kwh"]},
        {**STATISTICS, "masks": [{"column": "region", "method": "blank"}]},
    ],
)
def test_statistics_that_cannot_be_made_are_not_offered(
    supplier: Running, terms: dict[str, Any]
) -> None:
    refused = publish(supplier, terms)
    assert refused.status_code == 422, refused.text


@pytest.mark.parametrize(
    "change",
    [
        {"modes": ["query", "read"]},
        {"entities_min": 2},
        {"entities_min": None},
        {"statistics_groups": ["company"]},
        {"columns": ["kwh", "region"]},
        {"statistics_entity": None},
    ],
)
def test_terms_that_contradict_statistics_are_no_terms(
    supplier: Running, change: dict[str, Any]
) -> None:
    assert publish(supplier, {**STATISTICS, **change}).status_code in {400, 422}


NOISE: Final[dict[str, Any]] = {
    "entities_min": None,
    "dominance_percent_max": None,
    "remainder_percent_min": None,
    "epsilon_milli": 1000,
    "epsilon_budget_milli": 3000,
    "bounds": [{"column": "kwh", "lower": "0", "upper": "100"}],
    "entity_rows_max": 1,
}


@pytest.mark.parametrize(
    "terms",
    [STATISTICS, {**STATISTICS, "statistics_groups": []}, {**STATISTICS, **NOISE}, ROWS_LICENCE],
    ids=["by groups", "no groups", "noise", "rows"],
)
def test_what_is_suggested_after_an_agreement_runs(
    buyers: list[Running], supplier: Running, terms: dict[str, Any]
) -> None:
    made = agree(buyers[0], supplier, publish(supplier, terms).json())
    *_, sql = shlex.split(first_step(f"supplier.{made.name}", made.published.offer()))
    assert table(made.query(sql.replace("supplier.", "")))
