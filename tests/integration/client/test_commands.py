"""A buyer's commands over a priced agreement: nothing is paid unasked, nothing paid is lost."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pyarrow as pa
import pytest

from databank.cli.program import run
from databank.kit.clock import new_urn, system_clock
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.terms import Terms
from tests.support.connectors import Running
from tests.support.use import ADMIN, BOTH, ROWS, Contract, contract, put_file, wait_until

ROW_WON = 1
COUNT = "SELECT count(*) AS n FROM {}"
SEOUL = timezone(timedelta(hours=9))


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def made(buyer: Running, supplier: Running, clearing: str) -> Contract:
    """An agreement at one won a row, and money for two million rows."""
    plan = PricePlan(
        components=(PriceComponent(kind=PriceKind.PER_ROW, amount_micro=ROW_WON * 10**6),)
    )
    published = put_file(supplier, terms=Terms(modes=BOTH), plan=plan)
    made = contract(buyer, supplier, published)
    body = {
        "deposit_id": "bank-1",
        "participant_id": buyer.runtime.did,
        "amount_won": str(2_200_000),
    }
    answer = httpx.post(f"{clearing}/deposits", json=body, headers=_admin())
    assert answer.is_success, answer.text
    return made


def _admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {ADMIN}"}


@pytest.fixture
def databank(
    made: Contract, clearing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Run a command as the buyer's people; ``who`` for others."""

    def command(
        *arguments: str, who: Running | None = None, environment: dict[str, str] | None = None
    ) -> Outcome:
        side = who or made.buyer
        given = {
            "DATABANK_URL": side.url,
            "DATABANK_TOKEN": side.app.state.context.admin_token,
            "DATABANK_CLEARING_URL": clearing,
            "DATABANK_CLEARING_TOKEN": ADMIN,
            "HOME": str(tmp_path / "home"),
            "LANG": "ko_KR.UTF-8",
            **(environment or {}),
        }
        capsys.readouterr()
        code = run(arguments, given)
        said = capsys.readouterr()
        return Outcome(code, said.out, said.err)

    return command


def _ref(made: Contract) -> str:
    return f"supplier.{made.name}"


def _rows(made: Contract, count: int) -> str:
    return f"SELECT kwh FROM {made.name} LIMIT {count}"


@pytest.mark.parametrize("output", ["x.xlsx", "no/such/x.csv"])
def test_an_unusable_output_is_refused_before_it_is_paid(
    output: str, made: Contract, databank: Command, tmp_path: Path
) -> None:
    answer = databank("sql", _ref(made), _rows(made, 3), "-o", str(tmp_path / output))
    assert answer.code == 1
    assert "청구되지 않았습니다" in answer.err
    assert databank("read", _ref(made), "-o", str(tmp_path / "no/x.arrow"), "--yes").code == 1
    assert made.recorded == 0


def test_a_script_is_refused_above_the_limit_and_told_what_to_add(
    made: Contract, databank: Command
) -> None:
    dear = ("sql", _ref(made), _rows(made, 2_000))
    for options in ((), ("--json",), ("--ask-above", "2199")):
        refused = databank(*dear, *options)
        assert refused.code == 3, refused
        assert "--budget" in refused.err
        assert "--yes" in refused.err
    assert databank(*dear, "--budget", "2199").code == 3
    assert made.recorded == 0
    cheap = databank("sql", _ref(made), _rows(made, 900), "--json")
    assert json.loads(cheap.out)["cost"]["total_micro"] == str(990 * 10**6)
    for options in (("--yes",), ("--budget", "2200"), ("--ask-above", "2200")):
        assert databank(*dear, *options).code == 0
    limit = {"DATABANK_ASK_ABOVE_WON": "2200"}
    assert databank(*dear, environment=limit).code == 0
    assert made.recorded == 5


def test_a_person_sees_the_quote_and_is_asked(
    made: Contract, databank: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    dear = ("sql", _ref(made), _rows(made, 2_000))
    for typed, code, recorded in (("n\n", 3, 0), ("y\n", 0, 1)):
        monkeypatch.setattr("sys.stdin", Terminal(typed))
        answer = databank(*dear)
        assert answer.code == code, answer.err
        assert "₩2,200" in answer.err
        assert made.recorded == recorded


def test_a_quoted_query_runs_once_and_is_paid_each_time(
    made: Contract, databank: Command, supplier: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool, runs = supplier.app.state.query_pool, []
    run_there = pool._run

    def counted(*given: Any) -> Any:
        runs.append(given)
        return run_there(*given)

    monkeypatch.setattr(pool, "_run", counted)
    cheap = ("sql", _ref(made), _rows(made, 900), "--json")
    for times in (1, 2):
        answer = databank(*cheap)
        assert json.loads(answer.out)["cost"]["total_micro"] == str(990 * 10**6)
        assert (len(runs), made.recorded) == (times, times)
    sql = _rows(made, 7)
    assert made.quote(sql).is_success
    assert made.quote(sql).is_success
    assert len(runs) == 3
    end = {"code": "other", "reason": "끝"}
    path = f"/agreements/{made.agreement_id}/termination"
    assert supplier.manage("POST", path, json=end).is_success
    assert made.query(sql).is_error
    assert made.recorded == 2


def test_what_was_paid_is_kept_when_the_output_fails_after_all(
    made: Contract, databank: Command, tmp_path: Path
) -> None:
    path = tmp_path / f"{'x' * 250}.csv"  # passes, but is too long with the suffix of a part
    answer = databank("sql", _ref(made), _rows(made, 2), "-o", str(path), "--json")
    assert answer.code == 1
    kept = json.loads(answer.err)["error"]["file"]
    assert pa.ipc.open_file(Path(kept).read_bytes()).read_all().num_rows == 2
    assert made.recorded == 1


def test_a_file_is_read_within_a_budget_and_once_paid_stays_paid(
    made: Contract, databank: Command, tmp_path: Path
) -> None:
    path = str(tmp_path / "x.arrow")
    assert databank("read", _ref(made), "-o", path, "--budget", "219999").code == 3
    assert databank("read", _ref(made), "-o", path).code == 3
    assert made.recorded == 0
    whole = f"{ROWS * ROW_WON * 11 // 10}"
    assert databank("read", _ref(made), "-o", path, "--budget", whole).code == 0
    assert pa.ipc.open_file(Path(path).read_bytes()).read_all().num_rows == ROWS
    assert databank("read", _ref(made), "-o", path).code == 1
    assert databank("read", _ref(made), "-o", path, "--force").code == 0  # nothing left to pay
    quote = databank("quote", _ref(made))
    assert "이미 낸 몫" in quote.out + quote.err
    assert json.loads(databank("quote", _ref(made), "--json").out)["lines"][0]["is_paid_before"]


def test_a_wrong_column_is_named_and_not_charged(made: Contract, databank: Command) -> None:
    answer = databank("sql", _ref(made), f"SELECT kw FROM {made.name}")
    assert answer.code == 2
    assert "kw. 혹시: kwh" in answer.err
    assert made.recorded == 0


def test_json_holds_what_json_has_no_word_for(made: Contract, databank: Command) -> None:
    sql = f"SELECT 'NaN'::DOUBLE AS a, 'inf'::DOUBLE AS b FROM {made.name} LIMIT 1"

    def refuse(word: str) -> None:
        raise AssertionError(word)

    said = json.loads(databank("sql", _ref(made), sql, "--json").out, parse_constant=refuse)
    assert said["rows"] == [{"a": "NaN", "b": "Infinity"}]


def test_lists_speak_korean_and_name_companies(made: Contract, databank: Command) -> None:
    assert databank("sql", _ref(made), COUNT.format(made.name)).code == 0
    agreed = databank("agreements").out
    for word in (_ref(made), "supplier", "이용 중", "KST"):
        assert word in agreed
    decided = databank("decisions", _ref(made)).out
    assert "질의" in decided
    assert "KST" in decided
    passbook = databank("passbook").out
    assert "입금" in passbook
    assert "KST" in passbook
    assert json.loads(databank("passbook", "--json").out)["lines"][0]["occurred_at"].endswith("Z")


def _prove(databank: Command, period: str, folder: Path) -> None:
    """Fetch the bundles of both statements, and check them without any service."""
    for number, bought in ((1, "₩110"), (2, "₩55")):
        path = folder / f"{number}.json"
        fetched = databank("bundle", period, "--number", str(number), "-o", str(path))
        assert fetched.code == 0, fetched.err
        told = databank("verify", str(path))
        assert told.code == 0
        assert f"명세서 {number}호" in told.out
        assert bought in told.out
        key = json.loads(databank("verify", str(path), "--json").out)["log_key"]
        assert databank("verify", str(path), "--key", key).code == 0
        assert databank("verify", str(path), "--key", f"{key[:-4]}AAA=").code == 1
        content = path.read_bytes()
        path.write_bytes(content.replace(b'"rows_count":', b'"rows_count":1', 1))
        refused = databank("verify", str(path))
        assert refused.code == 1
        assert "증명되지 않습니다" in refused.err
    assert databank("verify", str(folder / "none")).code == 2
    assert databank("bundle", "2020-01").code == 4


def test_statements_of_a_month_are_shown_all_with_their_total(
    made: Contract, databank: Command, tmp_path: Path
) -> None:
    period = f"{system_clock().astimezone(SEOUL):%Y-%m}"

    def use(count: int) -> Outcome:
        assert databank("sql", _ref(made), _rows(made, count)).code == 0

        def is_acknowledged() -> bool:
            meter = made.supplier.manage("GET", "/meter").json()
            return bool(meter["recorded"] == meter["acknowledged"])

        wait_until(is_acknowledged, "receipts")
        return databank("operator", "statements", period)

    issued = use(100)
    assert issued.code == 0
    assert "끝나지 않았습니다" in issued.err
    use(50)
    said = databank("statement", period).out
    for word in ("명세서 1호", "추가 명세서 2호", "2건 모두: 매입 합계 ₩165"):
        assert word in said
    both = json.loads(databank("statement", period, "--json").out)
    assert [s["number"] for s in both["statements"]] == [1, 2]
    assert both["purchases_total_won"] == "165"
    first = json.loads(databank("statement", period, "--number", "1", "--json").out)
    assert first == both["statements"][0]
    _prove(databank, period, tmp_path)
    sales = databank("passbook", who=made.supplier).out
    for word in ("매출", "buyer", "₩104.5", "₩5.5"):
        assert word in sales


def test_a_mistaken_deposit_is_taken_back_by_command(
    made: Contract, databank: Command, clearing: str
) -> None:
    body = {
        "deposit_id": new_urn(),
        "participant_id": made.buyer.runtime.did,
        "amount_won": "500",
    }
    assert httpx.post(f"{clearing}/deposits", json=body, headers=_admin()).is_success
    undo = ("operator", "reverse-deposit", body["deposit_id"], "--reason", "시험", "--json")
    for _ in range(2):
        assert json.loads(databank(*undo).out)["deposit_micro"] == str(2_200_000 * 10**6)
    assert databank("operator", "reverse-deposit", "nothing", "--reason", "시험").code == 4


def test_an_answer_goes_on_after_a_withdrawal(made: Contract, databank: Command) -> None:
    path = f"/publications/{made.published.dataset.id}"
    assert made.supplier.manage("DELETE", path).is_success
    said = json.loads(databank("sql", _ref(made), COUNT.format(made.name), "--json").out)
    assert said["rows"] == [{"n": ROWS}]
    shown = databank("show", _ref(made))
    assert shown.code == 0
    assert "카탈로그에 지금 없습니다" in shown.err
