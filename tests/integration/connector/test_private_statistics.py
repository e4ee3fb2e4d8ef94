"""Statistics with noise: a budget over all buyers, spent before an answer leaves, for good."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from connector.metering import store as meter
from connector.statistics.private import Contributions, Key, Question
from tests.integration.connector.test_publish import upload
from tests.integration.connector.test_statistics import (
    REGIONS,
    STATISTICS,
    agree,
    made_up,
    publish,
    table,
)
from tests.support.connectors import Registry, Running, connector
from tests.support.use import Contract

PRIVATE: Final[dict[str, Any]] = {
    "modes": ["query"],
    "statistics_entity": "company",
    "statistics_groups": ["region", "branch", "grade"],
    "epsilon_milli": 1000,
    "epsilon_budget_milli": 3000,
    "bounds": [{"column": "kwh", "lower": "0", "upper": "100"}],
    "entity_rows_max": 1,
}
LISTED: Final = "region IN ('서울', '부산', '울산', '광주', '제주')"
BY_REGION: Final = f"SELECT region, count(*) AS n FROM $data WHERE {LISTED} GROUP BY region"
TOTAL: Final = "SELECT sum(kwh) AS s FROM $data"
NO_CELLS: Final = (
    ("SELECT sum(kwh) AS s FROM $data", " GROUP BY region"),
    ("SELECT avg(kwh) AS a, count(*) AS n FROM $data", ""),
)
OTHERS: Final = "SELECT sum(kwh) AS s FROM $data WHERE grade = '보통'"


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


@pytest.fixture
def made(buyers: list[Running], supplier: Running) -> list[Contract]:
    answer = publish(supplier, PRIVATE)
    assert answer.status_code == 201, answer.text
    return [agree(buyer, supplier, answer.json()) for buyer in buyers]


def refusal(answer: httpx.Response) -> str:
    assert answer.status_code == 403, answer.text
    return str(answer.json()["code"])


def decisions(made: Contract) -> list[dict[str, Any]]:
    path = f"/agreements/{made.agreement_id}/decisions"
    found: list[dict[str, Any]] = made.buyer.manage("GET", path).json()["decisions"]
    return found


def test_answers_are_noisy_and_have_the_cells_that_were_asked_for(made: list[Contract]) -> None:
    rows = table(made[0].query(BY_REGION))
    assert [row["region"] for row in rows] == sorted([*REGIONS, "제주"])  # nobody is in 제주
    for row in rows:  # the scale is 1: forty of it come by once in e^40 answers
        truth = {"서울": 31, "제주": 0}.get(row["region"], 30)
        assert abs(row["n"] - truth) < 40
    [total] = table(made[0].query(TOTAL))
    assert abs(total["s"] - 6782) < 100 * 40
    assert round(total["s"] * 1000) == pytest.approx(total["s"] * 1000)  # steps of 0.001


def test_the_same_question_has_the_same_answer_for_everybody_and_costs_nothing(
    made: list[Contract],
) -> None:
    first = table(made[0].query(TOTAL))
    asked_otherwise = (
        TOTAL,
        "SELECT sum(kwh) AS s FROM $data AS other",
        "SELECT SUM(KWH) AS s FROM $data",
    )
    for number in range(12):
        assert table(made[number % 2].query(asked_otherwise[number % 3])) == first
    assert "ε=0을" in decisions(made[1])[0]["reason"]["ko"]
    listed = table(made[0].query(BY_REGION))
    backwards = BY_REGION.replace(LISTED, "region IN ('제주', '광주', '울산', '부산', '서울')")
    assert table(made[1].query(backwards)) == listed


def test_the_budget_is_one_for_all_buyers_and_its_end_is_told_and_stored(
    made: list[Contract],
) -> None:
    first, second = made
    before = [table(first.query(TOTAL)), table(second.query(OTHERS)), table(first.query(BY_REGION))]
    more = "SELECT count(*) AS n FROM $data"
    for one in made:
        quoted, refused = one.quote(more), one.query(more)
        assert refusal(quoted) == refusal(refused) == "epsilon_budget"
        assert "ε=1" in refused.json()["detail"]
        [newest, *_] = decisions(one)
        assert (newest["is_allowed"], newest["code"]) == (False, "epsilon_budget")
        assert "epsilon 1; 0 of the dataset's budget is left" in newest["reason"]["en"]
    again = [table(one.query(sql)) for one, sql in zip(made, (OTHERS, TOTAL), strict=True)]
    assert again == [before[1], before[0]]  # what was paid for can be had again


def test_an_average_spends_twice_and_is_not_given_by_half(made: list[Contract]) -> None:
    average = "SELECT avg(kwh) AS a, sum(kwh) AS s, count(kwh) AS n FROM $data"
    [row] = table(made[0].query(average))
    assert row["a"] == pytest.approx(row["s"] / max(row["n"], 1))
    assert table(made[1].query(TOTAL)) == [{"s": row["s"]}]
    both = "SELECT count(*) AS n, avg(kwh) AS a FROM $data WHERE region = '서울'"
    recorded = made[1].recorded
    assert refusal(made[1].query(both)) == "epsilon_budget"
    assert made[1].recorded == recorded
    assert len(table(made[1].query("SELECT count(*) AS n FROM $data WHERE region = '서울'"))) == 1


def test_an_attack_by_differences_has_no_more_questions_than_the_budget(
    made: list[Contract],
) -> None:
    """Averaging needs many answers about one: any phrase of it that is new spends the budget."""
    branches, answers = ("강판", "주물", "도금"), []
    for number in range(8):
        every = ", ".join(repr(b) for b in (*branches, *map(str, range(number))))
        answers.append(made[number % 2].query(f"{TOTAL} WHERE branch IN ({every})"))
    assert [a.status_code for a in answers] == [200] * 3 + [403] * 5


def test_an_agreement_may_have_less_than_the_dataset(
    buyers: list[Running], supplier: Running
) -> None:
    publication = publish(supplier, {**PRIVATE, "epsilon_agreement_milli": 1500}).json()
    made = [agree(buyer, supplier, publication) for buyer in buyers]
    table(made[0].query(TOTAL))
    refused = made[0].query(OTHERS)
    assert refusal(refused) == "epsilon_budget"
    assert "0.5" in refused.text
    table(made[1].query(OTHERS))
    table(made[0].query(OTHERS))  # the other buyer's answer costs nothing


def test_of_two_buyers_at_once_one_gets_the_last_of_the_budget(made: list[Contract]) -> None:
    table(made[0].query(TOTAL))
    table(made[1].query(OTHERS))
    answers: dict[int, httpx.Response] = {}
    ready = threading.Barrier(2)

    def ask(number: int) -> None:
        ready.wait(30)
        region = REGIONS[number]
        answers[number] = made[number].query(f"{TOTAL} WHERE region = '{region}'")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answer.status_code for answer in answers.values()) == [200, 403]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT region, count(*) AS n FROM $data GROUP BY region",  # cells of the data
        "SELECT sum(mj) AS s FROM $data",  # no bounds
        "SELECT * FROM $data",
        "SELECT company, count(*) AS n FROM $data WHERE company IN ('victim') GROUP BY company",
        "SELECT max(kwh) AS m FROM $data",
        *(f"{sql} WHERE region IN ('서울') AND region IN ('부산')" + by for sql, by in NO_CELLS),
    ],
)
def test_what_cannot_be_covered_by_noise_is_refused_and_spends_nothing(
    made: list[Contract], sql: str
) -> None:
    refused = made[0].query(sql)
    assert refused.status_code == 422, refused.text
    for question in (TOTAL, OTHERS, BY_REGION):
        table(made[0].query(question))


def test_a_quote_and_a_refusal_draw_no_noise_and_say_the_size(
    made: list[Contract], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quote did all that an answer does, for nothing; so did what the budget refused."""
    draws: list[int] = []
    below = secrets.randbelow

    def counted(most: int) -> int:
        draws.append(most)
        return below(most)

    monkeypatch.setattr(secrets, "randbelow", counted)
    average = f"SELECT region, avg(kwh) AS a FROM $data WHERE {LISTED} GROUP BY region"
    quoted = made[0].quote(average).json()
    assert not draws
    answer = made[0].query(average)
    assert answer.is_success
    assert draws
    told = (answer.headers["databank-rows"], answer.headers["databank-bytes"])
    assert told == (str(quoted["rows_count"]), str(quoted["bytes_count"]))
    draws.clear()
    assert refusal(made[1].query("SELECT avg(kwh) AS a FROM $data")) == "epsilon_budget"
    assert not draws


def test_others_go_on_while_contributions_are_grouped(
    made: list[Contract], supplier: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Grouping takes seconds for many rows, and held the lock that all acts take."""
    passed: list[bool] = []
    totals = Contributions.totals

    def acting() -> None:
        with supplier.runtime.database.unit_of_work() as uow:
            meter.stream(uow)

    def watched(self: Contributions, question: Question) -> dict[Key, int]:
        other = threading.Thread(target=acting, daemon=True)
        other.start()
        other.join(3)
        passed.append(not other.is_alive())
        return totals(self, question)

    monkeypatch.setattr(Contributions, "totals", watched)
    assert made[0].query(TOTAL).is_success
    assert passed == [True]
    made[0].quote(OTHERS)
    assert passed == [True]  # and a quote groups nothing


def test_values_that_the_row_filter_lists_need_not_be_asked_for(
    buyers: list[Running], supplier: Running
) -> None:
    where = {"column": "region", "operator": "isAnyOf", "values": ["서울", "제주"]}
    publication = publish(supplier, {**PRIVATE, "row_filter": [where]}).json()
    made = agree(buyers[0], supplier, publication)
    rows = table(made.query("SELECT region, count(*) AS n FROM $data GROUP BY region"))
    assert [row["region"] for row in rows] == ["서울", "제주"]


def test_what_was_spent_and_answered_outlives_a_restart(tmp_path: Path) -> None:
    registry, folder = Registry(), tmp_path / "supplier"
    with connector(tmp_path / "buyer", registry, "buyer") as buyer:
        with connector(folder, registry, "supplier") as supplier:
            port = int(supplier.url.rsplit(":", 1)[1])
            publication = publish(supplier, PRIVATE).json()
            made = agree(buyer, supplier, publication)
            told = table(made.query(TOTAL, "the-first-query"))
            table(made.query(OTHERS))
        with connector(folder, registry, "supplier", port=port) as again:
            later = Contract(buyer, again, made.published, made.agreement_id)
            assert table(later.query(TOTAL, "the-first-query")) == told
            assert table(later.query(TOTAL)) == told
            table(later.query(BY_REGION))
            assert refusal(later.query("SELECT count(*) AS n FROM $data")) == "epsilon_budget"
            path = f"/publications/{publication['dataset']['id']}"
            refused = again.manage("PATCH", path, json={"terms": STATISTICS})
            assert refused.status_code == 422, refused.text  # exact answers beside noisy ones


def test_what_was_not_delivered_spends_nothing(buyers: list[Running], supplier: Running) -> None:
    publication = publish(supplier, {**PRIVATE, "rows_max": 4}).json()
    made = [agree(buyer, supplier, publication) for buyer in buyers]
    assert refusal(made[0].query(BY_REGION)) == "row_quota"
    assert made[0].quote(TOTAL).is_success
    for sql in (TOTAL, OTHERS, "SELECT count(*) AS n FROM $data"):
        table(made[1].query(sql))


@pytest.mark.parametrize(
    "terms",
    [
        {**PRIVATE, "bounds": [{"column": "region", "lower": "0", "upper": "1"}]},
        {**PRIVATE, "bounds": [{"column": "no_such", "lower": "0", "upper": "1"}]},
        {**PRIVATE, "bounds": [{"column": "kwh", "lower": "1", "upper": "1"}]},
        {**PRIVATE, "bounds": [{"column": "kwh", "lower": "0", "upper": "nan"}]},
        {**PRIVATE, "entities_min": 5},
        {**PRIVATE, "epsilon_budget_milli": None},
        {**PRIVATE, "epsilon_budget_milli": 999},
        {**PRIVATE, "entity_rows_max": None},
        {**PRIVATE, "epsilon_milli": None},
        {**PRIVATE, "statistics_entity": None},
        {**PRIVATE, "masks": [{"column": "company", "method": "prefix", "argument": "1"}]},
    ],
)
def test_noise_that_would_not_cover_one_is_not_offered(
    supplier: Running, terms: dict[str, Any]
) -> None:
    refused = publish(supplier, terms)
    assert refused.status_code in {400, 422}, refused.text
    assert upload(supplier, "energy.csv", made_up().encode())["rows_count"] == 121
