"""Seven processes on real ports, as containers run them: power cuts change no total."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from databank.client.session import Session
from databank.demo.real import real_story
from databank.demo.story import Offering, Story, generated_story
from databank.kit.http import RemoteRefusedError
from schemas.bank import PaymentList
from tests.support.processes import Town, wait_for
from tests.support.shared import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("town")]
SEOUL = timezone(timedelta(hours=9))
PRICES = {"carbon": "free", "process": "query=100 row=0.5", "chain": "once=20000 query=250"}
DEPOSIT_WON = 200_000


@dataclass(frozen=True)
class Totals:
    """What a month comes to, whatever happened on the way."""

    records_count: int
    payments: list[tuple[str, int, int, int, int, int]]
    curator_deposit_micro: int
    curator_available_micro: int
    answers: list[list[dict[str, Any]]]


def _story(folder: Path) -> Story:
    """Real data where they lie beside the checkout, generated otherwise."""
    data = Path(os.environ.get("DATABANK_SHARED") or ROOT.parent / "shared") / "data"
    return real_story(data) if data.is_dir() else generated_story(folder, seed=7)


def _ok(town: Town, who: str, *arguments: str) -> Any:
    answer = town.cli(who, *arguments, "--json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def _settle_in(town: Town, story: Story) -> None:
    """Join, publish, deposit and agree, all by command."""
    companies = [*(o.company for o in story.offerings), story.curator]
    for company in companies:
        named = ("--brn", company.brn, "--name", company.name.ko, "--handle", company.handle)
        _ok(town, company.handle, "join", *named)
    kinds = {"carbon": story.carbon, "process": story.process, "chain": story.chain}
    for kind, offering in kinds.items():
        _publish(town, offering, PRICES[kind])
    curator = story.curator.handle
    deposit = ("operator", "deposit", curator, str(DEPOSIT_WON), "--reference", "bank-1")
    _ok(town, curator, *deposit)
    _ok(town, curator, *deposit)  # the same reference books once
    session = town.session(curator)
    wanted = {o.ref for o in story.offerings}
    wait_for(lambda: wanted <= {str(f.ref) for f in session.search()} or None, what="listings")
    for offering in story.offerings:
        _ok(town, curator, "negotiate", offering.ref)


def _publish(town: Town, offering: Offering, price: str) -> None:
    texts = ("--title", offering.title.ko, "--title-en", offering.title.en)
    kind = ("--domain", offering.domain.value, "--industry", offering.industry.value)
    types = [
        ("--type", f"{change.name}={change.type}") for change in offering.columns if change.type
    ]
    terms = ("--template", "query-only", "--price", price, "--skip-bad-rows", "--yes")
    published = _ok(
        town,
        offering.company.handle,
        "publish",
        str(offering.file),
        "--name",
        offering.name,
        *texts,
        *kind,
        *(word for option in types for word in option),
        *terms,
    )
    assert published["dataset"]["rows_count"] > 800


def _rows(session: Session, sql: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = session.sql(sql).to_arrow().to_pylist()
    return rows


def _use(town: Town, story: Story, *, is_disturbed: bool) -> list[list[dict[str, Any]]]:
    """Query all three, and in the disturbed run cut the power twice in the middle."""
    session = town.session(story.curator.handle)
    free = f"SELECT count(*) AS n FROM {story.carbon.ref}"
    supplier = town[story.carbon.company.handle]
    answers = [_rows(session, story.process_sql), _rows(session, free)]
    if is_disturbed:
        town["clearing"].kill()
    answers.append(_rows(session, free))  # delivered without clearing; its record waits
    if is_disturbed:
        supplier.kill()
        supplier.restart()
    answers.append(_rows(session, free))
    if is_disturbed:
        town["clearing"].restart()
    answers += [_rows(session, sql) for sql in (story.joined_sql, story.process_sql)]
    if is_disturbed:
        supplier.kill()
        town["clearing"].kill()
        town["clearing"].restart()
        supplier.restart()
    answers.append(_rows(session, story.joined_sql))
    return answers


def _wait_until_metered(town: Town, story: Story) -> None:
    def is_all_booked() -> bool | None:
        meters = [town.api(o.company.handle).get("/management/meter") for o in story.offerings]
        return all(m["recorded"] == m["acknowledged"] for m in meters) or None

    wait_for(is_all_booked, what="receipts for all usage records")


def _totals(town: Town, story: Story, answers: list[list[dict[str, Any]]]) -> Totals:
    _wait_until_metered(town, story)
    period = f"{datetime.now(UTC).astimezone(SEOUL):%Y-%m}"  # noqa: TID251 - services run on it
    curator = story.curator.handle
    _ok(town, curator, "operator", "statements", period)
    said = PaymentList.model_validate(town.api("clearing").get("/admin/payments", period=period))
    books = town.trial_balance()
    assert books["accrual_debits_micro"] == books["accrual_credits_micro"]
    assert books["cash_debits_won"] == books["cash_credits_won"]
    balance = town.session(curator).balance()
    statement = town.session(curator).statement(period)
    paid = sum(p.supply_won + p.vat_won for p in said.payments)
    assert statement.purchases_total_won == paid
    income = sum(
        town.session(o.company.handle).statement(period).sales_total_won for o in story.offerings
    )
    assert paid == income + sum(p.fee_won + p.fee_vat_won for p in said.payments)
    payments = [
        (
            p.supplier_name,
            p.queries_count,
            p.rows_count,
            p.supply_micro,
            p.supply_won,
            p.fee_won,
        )
        for p in said.payments
    ]
    return Totals(
        books["records_count"],
        sorted(payments),
        balance.deposit_micro,
        balance.available_micro + balance.held_micro,
        answers,
    )


def _run(folder: Path, *, is_disturbed: bool) -> Totals:
    story = _story(folder)
    names = [*(o.company.handle for o in story.offerings), story.curator.handle]
    with Town(folder, names) as town:
        _settle_in(town, story)
        answers = _use(town, story, is_disturbed=is_disturbed)
        return _totals(town, story, answers)


def test_totals_are_the_same_whether_or_not_the_power_fails(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    calm = _run(tmp_path_factory.mktemp("calm"), is_disturbed=False)
    rough = _run(tmp_path_factory.mktemp("rough"), is_disturbed=True)
    assert calm.records_count == 11  # process twice, free three times, joined twice over three
    assert rough == calm


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Town, Story]]:
    """A town of one supplier and a curator, settled in."""
    folder = tmp_path_factory.mktemp("town")
    story = generated_story(folder, seed=3)
    names = [*(o.company.handle for o in story.offerings), story.curator.handle]
    with Town(folder, names) as running:
        _settle_in(running, story)
        yield running, story


def test_every_command_of_a_buyer_and_a_supplier_works(
    town: tuple[Town, Story], tmp_path: Path
) -> None:
    running, story = town
    curator, ref = story.curator.handle, story.process.ref
    assert _ok(running, curator, "search", "공정")[0]["ref"] == ref
    assert _ok(running, curator, "show", ref)["dataset"]["rows_count"] > 800
    sql = f"SELECT count(*) AS n FROM {story.process.name}"
    assert int(_ok(running, curator, "quote", ref, sql)["total_micro"]) > 0
    output = tmp_path / "n.parquet"
    answer = _ok(running, curator, "sql", ref, sql, "--budget", "1000")
    assert answer["rows"][0]["n"] > 800
    assert answer["cost"]["lines"][0]["rows_count"] == 1
    _ok(running, curator, "sql", ref, sql, "-o", str(output))
    assert output.stat().st_size > 0
    assert _ok(running, curator, "decisions", ref)[0]["is_allowed"] is True
    assert len(_ok(running, curator, "agreements")) >= 3
    assert int(_ok(running, curator, "balance")["deposit_micro"]) > 0
    assert _ok(running, curator, "passbook")["lines"][0]["amount_micro"] == str(DEPOSIT_WON * 10**6)
    supplier = story.process.company.handle
    assert _ok(running, supplier, "publications")[0]["dataset"]["name"] == story.process.name
    _ok(running, supplier, "unpublish", story.process.name, "--yes")
    assert _ok(running, supplier, "publications")[0]["is_withdrawn"] is True

    def is_listed() -> bool:
        return bool(_ok(running, curator, "show", ref)["is_listed"])

    wait_for(lambda: not is_listed() or None, what="the withdrawal in the catalog")
    assert _ok(running, curator, "sql", ref, sql)["rows"]  # the agreement goes on
    _ok(running, supplier, "restore", story.process.name)
    wait_for(lambda: is_listed() or None, what="the restoration in the catalog")
    assert _ok(running, curator, "sql", ref, sql)["rows"]
    quoted = _ok(running, curator, "quote", ref, sql)["total_micro"]
    _ok(running, supplier, "revise", story.process.name, "--price", "query=99999")

    def is_dearer() -> bool | None:
        plan = _ok(running, curator, "show", ref)["plan"]
        return plan["components"][0]["amount_micro"] == "99999000000" or None

    wait_for(is_dearer, what="the new price in the catalog")
    assert _ok(running, curator, "quote", ref, sql)["total_micro"] == quoted  # agreed before


def test_terms_are_haggled_over_by_command(town: tuple[Town, Story], tmp_path: Path) -> None:
    running, story = town
    curator, supplier = story.curator.handle, story.carbon.company.handle
    file = tmp_path / "open.csv"
    file.write_text("line,kwh\nA,1.5\nB,2.5\n", encoding="utf-8")
    named = ("--name", "haggled", "--price", "query=100", "--approval", "negotiable", "--yes")
    _ok(running, supplier, "publish", str(file), *named)
    ref = f"{supplier}.haggled"

    def is_listed() -> bool | None:
        return running.cli(curator, "show", ref, "--json").returncode == 0 or None

    wait_for(is_listed, what="the new listing")
    asked = _ok(running, curator, "negotiate", ref, "--price", "query=60", "--term", "queries=500")
    assert (asked["state"], len(asked["rounds"])) == ("REQUESTED", 2)
    [waiting] = _ok(running, supplier, "inbox")
    countered = _ok(running, supplier, "counter", waiting["pid"], "--price", "query=80")
    assert countered["state"] == "OFFERED"
    shown = running.cli(curator, "negotiation", asked["pid"], "--wait", "20").stdout
    for word in ("₩60", "₩80", "500건", "우리 차례"):
        assert word in shown
    agreed = _ok(running, curator, "accept", asked["pid"])
    wait_for(
        lambda: _ok(running, curator, "negotiation", asked["pid"])["state"] == "FINALIZED" or None,
        what="the agreement",
    )
    assert agreed["state"] in {"ACCEPTED", "AGREED", "VERIFIED", "FINALIZED"}
    quoted = _ok(running, curator, "quote", ref, "SELECT count(*) FROM haggled")
    assert quoted["lines"][0]["charge_micro"] == "80000000"
    _ok(running, curator, "terminate", ref, "--code", "not-needed", "--reason", "과제 끝")

    def is_ended() -> bool | None:
        return any("과제 끝" in str(a.get("end")) for a in _ok(running, supplier, "agreements"))

    wait_for(lambda: is_ended() or None, what="the supplier hears of the end")
    assert running.cli(curator, "sql", ref, "SELECT 1 FROM haggled", "--yes").returncode == 3


def test_refusals_of_terms_and_budget_end_with_three(
    town: tuple[Town, Story], tmp_path: Path
) -> None:
    running, story = town
    curator, ref = story.curator.handle, story.process.ref
    read = running.cli(curator, "read", ref, "-o", str(tmp_path / "all.arrow"))
    assert read.returncode == 3, read.stderr
    assert "내려받" in read.stderr or "질의" in read.stderr
    everything = f"SELECT * FROM {story.process.name}"
    refused = running.cli(curator, "sql", ref, everything, "--budget", "1")
    assert refused.returncode == 3
    assert "예산" in refused.stderr
    missing = running.cli(curator, "show", "nobody.nothing")
    assert missing.returncode == 4
    assert all("Traceback" not in run.stderr for run in (read, refused, missing))


def test_people_see_tables_in_korean(town: tuple[Town, Story]) -> None:
    running, story = town
    for arguments in (["balance"], ["agreements"], ["operator", "participants"]):
        answer = running.cli(story.curator.handle, *arguments)
        assert answer.returncode == 0
        assert any(word in answer.stdout for word in ("잔액", "합의", "참여 중"))
        assert "\x1b[" not in answer.stdout


def test_a_revoked_participant_is_refused_at_once(town: tuple[Town, Story]) -> None:
    running, story = town
    curator, sql = story.curator.handle, f"SELECT count(*) AS n FROM {story.carbon.ref}"
    session = running.session(curator)
    assert _rows(session, sql)
    _ok(running, curator, "operator", "revoke", curator, "--reason", "시험")
    with pytest.raises(RemoteRefusedError):
        session.sql(sql)
    _ok(running, curator, "operator", "approve", curator)

    def is_back() -> bool | None:  # nobody is told: it takes a registry answer's life
        try:
            return bool(_rows(session, sql))
        except RemoteRefusedError:
            return None

    wait_for(is_back, what="the readmitted participant")
