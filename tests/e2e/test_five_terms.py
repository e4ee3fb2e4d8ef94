"""Five datasets under five terms, each broken by a buyer: what both sides read of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.processes import Town, wait_for
from tests.support.registry import brn_of

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("town")]
SUPPLIER: Final = "garam"
BUYER: Final = "nuri"
ROWS: Final = """company,region,kwh
가람제강,서울,1200
가람제강,서울,1180
누리금속,서울,640
다온주물,부산,910
라온도금,부산,450
마루강판,부산,1730
바다제강,울산,2210
"""
NOISE: Final = (
    "statistics-of=company",
    "groups=region",
    "epsilon=1",
    "epsilon-budget=2",
    "bounds=kwh:0:3000",
    "entity-rows=2",
)
TERMS: Final[dict[str, tuple[str, ...]]] = {
    "only_query": ("modes=query",),
    "two_queries": ("queries=2",),
    "five_rows": ("rows=5",),
    "later": ("from=2099-01-01",),
    "noisy": NOISE,
}
CUT_BUDGET: Final = 40
CUT: Final = (*(t for t in NOISE if "budget" not in t), f"epsilon-budget={CUT_BUDGET}")
# what may be done first, what breaks the term, the code, and words of the reason
BREAKS: Final[dict[str, tuple[tuple[str, ...], str | None, str, str]]] = {
    "only_query": ((), None, "mode_not_allowed", "내려받는 것을 허용하지 않습니다"),
    "two_queries": (
        ("SELECT count(*) AS n FROM $data", "SELECT sum(kwh) AS s FROM $data"),
        "SELECT max(kwh) AS m FROM $data",
        "query_quota",
        "질의 2건을 다 썼습니다",
    ),
    "five_rows": ((), "SELECT * FROM $data", "row_quota", "5행 가운데 5행이 남아"),
    "later": (
        (),
        "SELECT count(*) AS n FROM $data",
        "not_yet_valid",
        "2099-01-01 00:00 (한국 시각)부터",
    ),
    "noisy": (
        (
            "SELECT region, sum(kwh) AS s FROM $data WHERE region IN ('서울') GROUP BY region",
            "SELECT count(*) AS n FROM $data",
        ),
        "SELECT sum(kwh) AS s FROM $data",
        "epsilon_budget",
        "예산은 ε=0이 남았습니다",
    ),
}


def ok(town: Town, who: str, *arguments: str) -> Any:
    answer = town.cli(who, *arguments, "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("five-terms")
    file = folder / "전력.csv"
    file.write_text(ROWS, encoding="utf-8")
    with Town(folder, [SUPPLIER, BUYER]) as running:
        for who in (SUPPLIER, BUYER):
            ok(running, who, "join", "--brn", brn_of(who), "--name", who, "--handle", who)
        texts = ("--title", "전력", "--title-en", "power", "--description", "시험")
        kind = ("--domain", "process", "--industry", "steel-aluminium", "--price", "free")
        all_terms = {**TERMS, "noisy_cut": CUT, "ended": ()}
        for name, terms in all_terms.items():
            options = [word for term in terms for word in ("--term", term)]
            ok(running, SUPPLIER, "publish", str(file), "--name", name, *texts, *kind, *options)
        for name in all_terms:
            _agree(running, name)
        yield running


def _agree(town: Town, name: str) -> None:
    def agreed() -> bool | None:  # until the catalog has it
        answer = town.cli(BUYER, "negotiate", f"{SUPPLIER}.{name}")
        return True if answer.returncode == 0 else None

    wait_for(agreed, what=f"an agreement on {name}", poll_seconds=0.5)


def _use(town: Town, name: str, sql: str | None, folder: Path) -> Any:
    ref = f"{SUPPLIER}.{name}"
    if sql is None:
        return town.cli(BUYER, "read", ref, "-o", str(folder / "out.arrow"))
    return town.cli(BUYER, "sql", ref, sql.replace("$data", ref))


@pytest.mark.parametrize("name", TERMS)
def test_a_broken_term_is_refused_and_both_sides_read_why(
    town: Town, name: str, tmp_path: Path
) -> None:
    before, broken, code, words = BREAKS[name]
    for sql in before:
        used = _use(town, name, sql, tmp_path)
        assert used.returncode == 0, used.stderr
    refused = _use(town, name, broken, tmp_path)
    assert refused.returncode == 3
    assert words in refused.stderr
    assert "Traceback" not in refused.stderr
    records = []
    for who in (BUYER, SUPPLIER):
        ref = f"{SUPPLIER}.{name}"
        shown = town.cli(who, "decisions", ref, "--denied")
        assert shown.returncode == 0, shown.stderr
        assert "거절" in shown.stdout
        [denied] = ok(town, who, "decisions", ref, "--denied")
        assert (denied["is_allowed"], denied["code"]) == (False, code)
        assert words in denied["reason"]["ko"]
        assert denied["reason"]["en"]
        path = f"/management/agreements/{denied['agreement_id']}/decisions"
        told = town.api(who).get(path)["decisions"]
        assert denied in told
        records.append(told)
    assert records[0] == records[1]  # both read the same records


def test_a_power_cut_in_the_middle_of_answers_takes_nothing_back(town: Town) -> None:
    """Whatever was answered was spent before: after kill -9 it has the same answer, for nothing."""
    ref = f"{SUPPLIER}.noisy_cut"
    told: dict[str, list[dict[str, Any]]] = {}

    def ask(number: int) -> str:
        sql = f"SELECT count(*) AS n FROM {ref} WHERE region = '서울{number}'"
        told[sql] = ok(town, BUYER, "sql", ref, sql)["rows"]
        return sql

    first = ask(0)
    cut = threading.Timer(0.5, town[SUPPLIER].kill)
    cut.start()
    with suppress(AssertionError):  # refused by nobody: the supplier is gone
        for number in range(1, CUT_BUDGET + 1):
            ask(number)
    cut.join()
    town[SUPPLIER].restart()
    asked = [sql for sql in told if told[sql]]
    assert first in asked
    for sql in asked:
        assert ok(town, BUYER, "sql", ref, sql)["rows"] == told[sql]
    spent = [one for one in ok(town, SUPPLIER, "decisions", ref) if "ε=1을" in one["reason"]["ko"]]
    assert len(asked) <= len(spent) <= CUT_BUDGET


def test_decisions_can_be_read_when_the_agreement_is_over(town: Town) -> None:
    ref = f"{SUPPLIER}.ended"
    town.cli(BUYER, "sql", ref, f"SELECT count(*) AS n FROM {ref}")
    [agreement] = [
        one for one in ok(town, SUPPLIER, "agreements") if one["dataset_name"] == "ended"
    ]
    town.api(SUPPLIER).post(
        f"/management/agreements/{agreement['agreement_id']}/termination",
        {"code": "other", "reason": "시험이 끝났습니다"},
    )
    assert ok(town, BUYER, "decisions", ref) == ok(town, SUPPLIER, "decisions", ref) != []
