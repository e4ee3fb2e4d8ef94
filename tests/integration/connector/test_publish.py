"""Files as companies have them are checked, reported and published whole or not at all."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connector.offering import store as offerings
from connector.publish.arrow_file import read_index, sha256_of
from schemas.dataset import DatasetSchema
from tests.support.connectors import Registry, Running, connector
from tests.support.shared import shared

HAND_MADE = """로트번호,전력사용량(kWh),생산일,단가(원),불량여부
L1,10.5,2026-01-02,"1,200",예
L2,열둘,2026-01-03,900,아니오
L3,11,2026-01-04,800,예,남는 칸

L5,12.25,2026-13-40,700,아니오
"""


NAMES = itertools.count()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with connector(tmp_path_factory.mktemp("company"), Registry(), "company") as running:
        yield running


def upload(company: Running, filename: str, content: bytes) -> Any:
    answer = company.manage("POST", "/uploads", params={"filename": filename}, content=content)
    assert answer.status_code == 201, answer.text
    return answer.json()


def request(upload_id: str, name: str = "", **changes: Any) -> dict[str, Any]:
    return {
        "upload_id": upload_id,
        "name": name or f"energy{next(NAMES)}",
        "title": {"ko": "전력 사용량", "en": "Electricity use"},
        "description": {"ko": "시험 자료", "en": "test data"},
        "domain": "process",
        "industry": "battery",
        "terms": {},
        "plan": {},
        **changes,
    }


def table_of(company: Running, publication: dict[str, Any]) -> pa.Table:
    path = company.runtime.data_folder / f"{publication['dataset']['data_sha256']}.arrow"
    assert sha256_of(path) == publication["dataset"]["data_sha256"]
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


@pytest.mark.parametrize("encoding", ["utf-8", "cp949", "utf-8-sig"])
def test_bad_cells_are_named_by_row_and_column_and_the_good_rows_go_on(
    company: Running, encoding: str
) -> None:
    rows = HAND_MADE.splitlines(keepends=True)
    many = "".join(f"G{n},{n}.5,2026-02-01,{n},예\n" for n in range(300))
    report = upload(company, "공정.csv", ("".join(rows) + many).encode(encoding))
    assert report["encoding"] == encoding
    assert [(c["row"], c["column"], c["value"]) for c in report["bad_cells"]] == [
        (3, "전력사용량", "열둘"),
        (4, "", "L3,11,2026-01-04,800,예,남는 칸"),
        (6, "생산일", "2026-13-40"),
    ]
    assert (report["rows_count"], report["bad_rows_count"]) == (304, 3)
    kinds = {c["name"]: (c["type"], c.get("unit"), c["sensitivity"]) for c in report["columns"]}
    assert kinds == {
        "로트번호": ("text", None, "partner"),
        "전력사용량": ("number", "kWh", "partner"),
        "생산일": ("date", None, "partner"),
        "단가": ("integer", "원", "confidential"),
        "불량여부": ("boolean", None, "partner"),
    }
    refused = company.manage("POST", "/publications", json=request(report["upload_id"]))
    assert (refused.status_code, refused.json()["type"]) == (422, "urn:idb:problem:bad-rows")
    shown = [{"name": name, "sensitivity": "public"} for name in ("로트번호", "전력사용량")]
    body = request(report["upload_id"], skip_bad_rows=True, columns=shown)
    answer = company.manage("POST", "/publications", json=body)
    assert answer.status_code == 201, answer.text
    publication = answer.json()
    assert publication["skipped_rows_count"] == 3
    table = table_of(company, publication)
    assert table.num_rows == publication["dataset"]["rows_count"] == 301
    assert table.column("단가")[0].as_py() == 1200
    published = DatasetSchema.model_validate(publication["dataset"]["schema"])
    assert DatasetSchema.from_arrow(table.schema) == published
    assert publication["dataset"]["sample_columns"] == ["로트번호", "전력사용량"]
    assert publication["dataset"]["sample"] == [["L1", 10.5], ["G0", 0.5], ["G1", 1.5]]
    errors = company.manage("GET", f"/uploads/{report['upload_id']}/errors.csv")
    assert "3,전력사용량,열둘" in errors.content.decode("utf-8-sig")


def test_a_name_is_taken_once_and_withdrawing_can_be_undone(company: Running) -> None:
    report = upload(company, "a.csv", b"a,b\n1,2\n")
    body = request(report["upload_id"], name="energy")
    first = company.manage("POST", "/publications", json=body)
    assert first.status_code == 201
    again = company.manage("POST", "/publications", json=body)
    assert again.status_code == 409
    assert "energy_2" in again.json()["detail"]
    dataset_id = first.json()["dataset"]["id"]
    path = f"/publications/{dataset_id}"
    assert company.manage("DELETE", path).json()["is_withdrawn"] is True
    assert company.manage("POST", f"{path}/restoration").json()["is_withdrawn"] is False
    assert company.manage("DELETE", "/publications/urn:uuid:none").status_code == 404


def test_a_column_can_be_corrected_before_it_is_published(company: Running) -> None:
    report = upload(company, "a.csv", "값\n".encode() + b"".join(b"%d\n" % n for n in range(90)))
    changes = [
        {
            "name": "값",
            "type": "text",
            "unit": "kg",
            "label": {"ko": "무게", "en": "weight"},
            "sensitivity": "public",
        }
    ]
    body = request(report["upload_id"], columns=changes)
    publication = company.manage("POST", "/publications", json=body).json()
    column = publication["dataset"]["schema"]["columns"][0]
    assert (column["type"], column["unit"], column["label"]["en"]) == ("text", "kg", "weight")
    assert table_of(company, publication).column("값")[3].as_py() == "3"
    again = upload(company, "a.csv", b"a\n1\n")
    unknown = request(again["upload_id"], name="other", columns=[{"name": "없음"}])
    assert company.manage("POST", "/publications", json=unknown).status_code == 422


def test_parquet_and_arrow_are_taken_and_batches_stay_small(
    company: Running, tmp_path: Path
) -> None:
    table = pa.table(
        {
            "n": pa.array(range(150_000), pa.int32()),
            "t": pa.array([None, "x"] * 75_000).dictionary_encode(),
            "at": pa.array([0] * 150_000, pa.timestamp("s")),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    arrow = str(tmp_path / "t.arrow")
    with pa.OSFile(arrow, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    for name in ("t.parquet", "t.arrow"):
        report = upload(company, name, (tmp_path / name).read_bytes())
        body = request(report["upload_id"], name=name.replace(".", "_"))
        publication = company.manage("POST", "/publications", json=body).json()
        written = table_of(company, publication)
        assert written.column("t").to_pylist() == table.column("t").to_pylist()
        path = company.runtime.data_folder / f"{publication['dataset']['data_sha256']}.arrow"
        index = read_index(path)
        assert [batch.rows_count for batch in index.batches] == [65_536, 65_536, 18_928]
        assert index.rows_count == 150_000


@pytest.mark.parametrize(
    ("filename", "content"),
    [
        ("empty.csv", b""),
        ("header-only.csv", b"a,b\n"),
        ("binary.csv", b"\0\1\2"),
        ("other.csv", "é".encode("utf-16")),
        ("open-quote.csv", b'a,b\n"1,2\n3,4\n'),
        ("not.xlsx", b"PK\3\4 nothing"),
        ("locked.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
        ("not.parquet", b"PAR1 nothing"),
        ("not.arrow", b"ARROW1\0\0 nothing"),
    ],
)
def test_files_that_cannot_be_read_get_a_clear_answer(
    company: Running, filename: str, content: bytes
) -> None:
    folder = company.runtime.settings.data_dir / "uploads"
    before = sorted(folder.iterdir())
    answer = company.manage("POST", "/uploads", params={"filename": filename}, content=content)
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:idb:problem:unreadable-file"
    for said in (problem["detail"], problem["detail_en"]):
        assert said
        assert not re.search(r"\n|/|calamine|arrow error|Zip|CSV parse|Expected", said), said
    assert sorted(folder.iterdir()) == before


def test_an_upload_over_the_limit_is_cut_off(tmp_path: Path) -> None:
    with connector(tmp_path / "c", Registry(), "small", upload_bytes_max=1000) as company:
        answer = company.manage(
            "POST", "/uploads", params={"filename": "a.csv"}, content=b"a\n" + b"1\n" * 1000
        )
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:idb:problem:too-large")


def test_malformed_and_bomb_arrow_files_harm_nobody(company: Running) -> None:
    cases = sorted(shared("security", "arrow_cases").glob("*.arrow"))
    assert cases
    for case in cases:
        answer = company.manage(
            "POST", "/uploads", params={"filename": case.name}, content=case.read_bytes()
        )
        assert answer.status_code == 422, case.name
    assert upload(company, "good.csv", b"a\n1\n")["rows_count"] == 1


CRASH = """
import os, sys
from pathlib import Path
import httpx
from connector import offering, publish
from connector.app import create_runtime
from connector.publish import service
from connector.settings import ConnectorSettings
from databank.kit.clock import system_clock
from schemas.management import PublishRequest
import itertools
import json
folder, point, request = sys.argv[1:]
settings = ConnectorSettings(data_dir=Path(folder), port=1, public_url="http://localhost:1")
runtime = create_runtime(settings, clock=system_clock, lookup=lambda _: None, http=httpx.Client())
module, name = {
    "hash": (service, "sha256_of"),
    "rename": (service, "make_durable"),
    "store": (service.offerings, "put"),
    "announce": (service, "announce_catalog_change"),
}[point]
setattr(module, name, lambda *a, **k: os._exit(9))
service.publish(runtime, PublishRequest.model_validate(json.loads(request)))
"""


@pytest.mark.parametrize("point", ["hash", "rename", "store", "announce"])
def test_a_crash_while_publishing_leaves_nothing_visible_and_publishing_works_again(
    tmp_path: Path, point: str
) -> None:
    folder = tmp_path / "company"
    with connector(folder, Registry(), "company") as company:
        body = request(upload(company, "a.csv", b"a,b\n1,2\n")["upload_id"])
    arguments = [sys.executable, "-c", CRASH, str(folder), point, json.dumps(body)]
    died = subprocess.run(arguments, check=False, capture_output=True, timeout=60)
    assert died.returncode == 9, died.stderr.decode()
    with connector(folder, Registry(), "company") as company:
        with company.runtime.database.unit_of_work() as uow:
            assert offerings.publications(uow, limit=10) == []
        assert list(company.runtime.data_folder.glob("*.partial")) == []
        assert company.manage("POST", "/publications", json=body).status_code == 201


REAL = [
    (("data", "process", "steel-industry-gwangyang", "Steel_industry_data.csv"), 35_040, "39%"),
    (("data", "supply-chain", "usaid-scms", "SCMS_Delivery_History_Dataset.csv"), 10_324, "BOM"),
    (
        (
            "data",
            "carbon",
            "carbon-catalogue",
            "PublicTablesForCarbonCatalogueDataDescriptor_v30Oct2021.xlsx",
        ),
        866,
        "first sheet",
    ),
]


@pytest.mark.parametrize(("parts", "rows", "said"), REAL)
def test_real_files_are_published_whole(
    company: Running, parts: tuple[str, ...], rows: int, said: str
) -> None:
    path = shared(*parts)
    report = upload(company, path.name, path.read_bytes())
    assert (report["rows_count"], report["bad_rows_count"]) == (rows, 0)
    assert any(said in warning["en"] for warning in report["warnings"])
    publication = company.manage("POST", "/publications", json=request(report["upload_id"])).json()
    assert table_of(company, publication).num_rows == rows


def test_scms_weights_that_are_sentences_stay_text(company: Running) -> None:
    path = shared("data", "supply-chain", "usaid-scms", "SCMS_Delivery_History_Dataset.csv")
    columns = {c["name"]: c for c in upload(company, path.name, path.read_bytes())["columns"]}
    assert (columns["weight"]["type"], columns["line_item_value"]["type"]) == ("text", "number")
    assert columns["scheduled_delivery_date"]["type"] == "date"


@pytest.mark.parametrize("variant", ["CR_only_line_ends", "TSV_CR"])
def test_variants_of_line_ends_and_delimiters_are_read(company: Running, variant: str) -> None:
    path = shared("data", "supply-chain", "usaid-scms", f"VARIANT_{variant}_first60kB.csv")
    report = upload(company, path.name, path.read_bytes())
    assert (len(report["columns"]), report["rows_count"]) == (33, 159)
    assert [cell["row"] for cell in report["bad_cells"]] == [160]  # the sample is cut off there
