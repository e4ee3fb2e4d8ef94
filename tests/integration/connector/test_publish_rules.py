"""What a company may publish, what everybody sees of it, and what can be changed afterwards."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped]
import pytest

from connector.offering import store as offerings
from connector.publish import service
from schemas.management import ReviseRequest
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.price_form import parse_plan
from schemas.proposal import Proposal, read_proposal
from schemas.terms import Terms, UnknownTermError, to_policy
from schemas.wire import Text
from tests.integration.connector.test_publish import request, table_of, upload
from tests.support.connectors import Registry, Running, connector
from tests.support.connectors import publish as put_listing
from tests.support.contracts import negotiate

PEOPLE = """주민등록번호,휴대전화,전자우편,부서,평점
900101-1234567,010-1234-5678,kim@example.kr,생산,1.5
910202-2345678,010-2345-6789,lee@example.kr,품질,2.5
"""
PERSONAL = ["주민등록번호", "휴대전화", "전자우편"]
QUERY_PRICE = {"components": [{"kind": "per_query", "amount_micro": "100000000"}]}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with connector(tmp_path_factory.mktemp("company"), Registry(), "company") as running:
        yield running


def publish(company: Running, report: Any, **changes: Any) -> Any:
    body = request(report["upload_id"], **changes)
    return company.manage("POST", "/publications", json=body)


def test_personal_data_are_published_on_purpose_only_and_never_as_a_sample(
    company: Running,
) -> None:
    report = upload(company, "people.csv", PEOPLE.encode())
    assert report["personal_columns"] == PERSONAL
    sensitivity = {c["name"]: c["sensitivity"] for c in report["columns"]}
    assert {sensitivity[name] for name in PERSONAL} == {"confidential"}
    everything = [{"name": name, "sensitivity": "public"} for name in sensitivity]
    refused = publish(company, report, columns=everything, sample_rows=5)
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:idb:problem:personal-data")
    assert refused.json()["columns"] == PERSONAL
    answer = publish(company, report, columns=everything, sample_rows=5, allow_personal=True)
    dataset = answer.json()["dataset"]
    assert dataset["sample_columns"] == ["부서", "평점"]
    assert dataset["sample"] == [["생산", 1.5], ["품질", 2.5]]
    assert "900101" not in answer.text
    assert {c["sensitivity"] for c in dataset["schema"]["columns"]} == {"public"}


def test_another_type_does_not_hide_personal_data(company: Running) -> None:
    report = upload(company, "phones.csv", b"phone\n01012345678\n01023456789\n")
    changes = [{"name": "phone", "type": "integer", "sensitivity": "public"}]
    assert publish(company, report, columns=changes).status_code == 422


@pytest.mark.parametrize(
    ("terms", "plan", "rows"),
    [
        ({"modes": ["query"]}, QUERY_PRICE, 0),
        ({"modes": ["query"]}, {}, 3),
        ({"modes": ["query", "read"]}, QUERY_PRICE, 3),
    ],
)
def test_what_is_sold_by_query_has_no_sample_unless_it_is_asked_for(
    company: Running, terms: Any, plan: Any, rows: int
) -> None:
    content = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n) for n in range(9))
    shown = [{"name": "a", "sensitivity": "public"}]
    offered = {"terms": terms, "plan": plan, "columns": shown}
    report = upload(company, "a.csv", content)
    dataset = publish(company, report, **offered).json()["dataset"]
    assert dataset.get("sample", []) == [[n] for n in range(rows)]
    report = upload(company, "a.csv", content)
    dataset = publish(company, report, sample_rows=1, **offered).json()["dataset"]
    assert (dataset["sample_columns"], dataset["sample"]) == (["a"], [[0]])


def test_partner_columns_are_in_no_sample(company: Running) -> None:
    dataset = publish(company, upload(company, "a.csv", b"a\n1\n"), sample_rows=5).json()["dataset"]
    assert (dataset["sample_columns"], dataset["sample"]) == ([], [])


def test_identifiers_of_excel_keep_their_zeros_and_the_sheet_is_named(company: Running) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    sheet.title = "생산"
    for row in (["품번", "수량"], ["01234", 5], ["00077", 6]):
        sheet.append(row)
    book.create_sheet("표지")
    content = io.BytesIO()
    book.save(content)
    report = upload(company, "품번.xlsx", content.getvalue())
    assert report["sheet"] == "생산"
    assert any("'생산'만 읽었습니다. 다른 시트: 표지" in w["ko"] for w in report["warnings"])
    publication = publish(company, report).json()
    assert table_of(company, publication).column("품번").to_pylist() == ["01234", "00077"]


def test_an_impossible_day_is_a_bad_cell_with_its_place(company: Running) -> None:
    days = b"".join(b"2026-01-%02d\n" % day for day in range(1, 29)) * 4
    report = upload(company, "days.csv", b"day\n" + days + b"2026-02-31\n")
    assert [(c["row"], c["column"], c["value"]) for c in report["bad_cells"]] == [
        (114, "day", "2026-02-31")
    ]


@pytest.mark.parametrize("name", ["order", "select", "table"])
def test_a_word_of_sql_is_refused_as_a_name(company: Running, name: str) -> None:
    answer = publish(company, upload(company, "a.csv", b"a\n1\n"), name=name)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:idb:problem:reserved-name")
    assert f"{name}_data" in answer.json()["detail"]


@pytest.mark.parametrize(
    "change",
    [
        {"title": {"ko": "   ", "en": "x"}},
        {"title": {"ko": "x" * 5000, "en": "x"}},
        {"description": {"ko": "", "en": "x"}},
        {"keywords": ["x" * 51]},
    ],
)
def test_empty_and_endless_texts_are_refused(company: Running, change: Any) -> None:
    body = request("urn:uuid:00000000-0000-0000-0000-000000000000", **change)
    answer = company.manage("POST", "/publications", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:idb:problem:invalid-request")


def files(company: Running) -> set[str]:
    return {path.suffix for path in service.upload_folder(company.runtime).iterdir()}


def test_the_raw_file_is_gone_once_it_is_published(tmp_path: Path) -> None:
    with connector(tmp_path / "c", Registry(), "tidy") as company:
        report = upload(company, "a.csv", b"a\n1\n")
        assert files(company) == {".raw", ".csv"}
        assert publish(company, report, name="kept").status_code == 201
        assert files(company) == {".csv"}
        again = publish(company, report, name="other")
        assert (again.status_code, "다시 올리세요" in again.json()["detail"]) == (409, True)


def test_a_start_removes_what_a_crash_left_in_the_uploads(tmp_path: Path) -> None:
    with connector(tmp_path / "c", Registry(), "tidy") as company:
        waiting = upload(company, "a.csv", b"a\n1\n")
        done = upload(company, "b.csv", b"b\n1\n")
        raw = service.upload_path(company.runtime, done["upload_id"])
        content = raw.read_bytes()
        assert publish(company, done, name="done").status_code == 201
        raw.write_bytes(content)  # as if the power had gone before it was removed
        raw.with_name("0-0-0.raw").write_bytes(b"nobody knows me")
    with connector(tmp_path / "c", Registry(), "tidy") as company:
        left = {path.name for path in service.upload_folder(company.runtime).glob("*.raw")}
        assert left == {service.upload_path(company.runtime, waiting["upload_id"]).name}
        assert publish(company, waiting, name="waited").status_code == 201


def test_the_name_of_a_withdrawn_dataset_leads_on(company: Running) -> None:
    first = publish(company, upload(company, "a.csv", b"a\n1\n"), name="gone").json()
    company.manage("DELETE", f"/publications/{first['dataset']['id']}")
    answer = publish(company, upload(company, "a.csv", b"a\n2\n"), name="gone")
    assert answer.status_code == 409
    assert "databank restore gone" in answer.json()["detail"]


def test_a_revision_makes_a_new_offer_and_leaves_agreements_as_they_are(
    supplier: Running, buyer: Running
) -> None:
    plan = PricePlan(components=(PriceComponent(kind=PriceKind.PER_QUERY, amount_micro=10**8),))
    old = put_listing(supplier.runtime, "energy", plan=plan)
    before = negotiate(buyer, supplier, old)
    assert before["state"] == "FINALIZED"
    path = f"/publications/{old.dataset.id}"
    titled = supplier.manage("PATCH", path, json={"title": {"ko": "새 제목", "en": "New title"}})
    assert titled.json()["offer_id"] == old.offer_id
    dearer = {"plan": {"components": [{"kind": "per_query", "amount_micro": "200000000"}]}}
    new = supplier.manage("PATCH", path, json=dearer).json()
    assert new["offer_id"] != old.offer_id
    assert (new["dataset"]["title"]["ko"], new["dataset"]["name"]) == ("새 제목", "energy")
    assert negotiate(buyer, supplier, old)["state"] == "TERMINATED"
    with supplier.runtime.database.unit_of_work() as uow:
        offered = offerings.get(uow, old.dataset.id)
    assert offered is not None
    assert negotiate(buyer, supplier, offered)["state"] == "FINALIZED"
    prices = [
        agreement["policy"]["obligation"][0]["constraint"][0]["rightOperand"]
        for agreement in supplier.manage("GET", "/agreements").json()["agreements"]
    ]
    assert sorted(prices) == ["100000000", "200000000"]


@pytest.mark.parametrize(
    ("modes", "price", "said"),
    [
        (["read"], "compute=100 once=5", "질의에만"),
        (["query", "read"], "compute=100 query=5", "무료가 됩니다"),
        (["query", "read"], "compute=100 row=5", None),
        (["query"], "compute=100", None),
    ],
)
def test_compute_seconds_are_a_price_of_queries(
    supplier: Running, modes: list[str], price: str, said: str | None
) -> None:
    old = put_listing(supplier.runtime, "energy")
    change = {"terms": {"modes": modes}, "plan": parse_plan(price).to_json()}
    answer = supplier.manage("PATCH", f"/publications/{old.dataset.id}", json=change)
    if said is None:
        assert answer.status_code == 200, answer.text
        return
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:idb:problem:terms-do-not-fit")
    assert said in answer.json()["detail"]
    with pytest.raises(ValueError, match=said):
        Proposal.model_validate({"terms": {"modes": modes}, "plan": parse_plan(price).to_json()})
    with pytest.raises(UnknownTermError):
        read_proposal(to_policy(Terms.model_validate({"modes": modes}), parse_plan(price)))


def test_a_revision_of_nothing_known_is_refused(company: Running) -> None:
    assert company.manage("PATCH", "/publications/urn:uuid:none", json={}).status_code == 404
    with pytest.raises(ValueError, match="title"):
        ReviseRequest(title=Text(ko=" ", en=" "))
