"""Columns, masks and row filter from publishing to queries and reads, against real attempts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pyarrow as pa
import pytest

from connector.offering import store as offerings
from connector.offering.model import Published
from connector.publish.arrow_file import sha256_of
from databank.client.api import Api
from databank.client.ref import Ref
from databank.client.suppliers import Suppliers
from databank.kit.clock import new_urn
from schemas.ids import DatasetId
from tests.integration.connector.test_publish import request, table_of, upload
from tests.support.connectors import Registry, Running, connector
from tests.support.use import Contract, contract, wait_until

SECRETS: Final = ("김비밀", "p-9", "31337")
ROWS: Final = """worker,plant,kwh,recipe
김비밀,p-1,104.4,31337
이공개,p-1,96.6,31337
박공개,p-2,55.5,31337
최공개,p-9,12.0,31337
"""
TERMS: Final[dict[str, Any]] = {
    "modes": ["query", "read"],
    "columns": ["worker", "plant", "kwh"],
    "masks": [
        {"column": "worker", "method": "hash"},
        {"column": "kwh", "method": "round", "argument": "10"},
    ],
    "row_filter": [{"column": "plant", "operator": "isAnyOf", "values": ["p-1", "p-2"]}],
}
PUBLIC: Final = [
    {"name": name, "sensitivity": "public"} for name in ("worker", "plant", "kwh", "recipe")
]
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry()


@pytest.fixture(scope="module")
def supplier(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with connector(tmp_path_factory.mktemp("supplier"), registry, "supplier") as running:
        yield running


@pytest.fixture(scope="module")
def buyer(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with connector(tmp_path_factory.mktemp("buyer"), registry, "buyer") as running:
        yield running


def publish(supplier: Running, terms: dict[str, Any], **changes: Any) -> httpx.Response:
    report = upload(supplier, "power.csv", ROWS.replace("L", f"{next(NUMBERS)}").encode())
    body = request(
        report["upload_id"],
        terms=terms,
        columns=PUBLIC,
        sample_rows=5,
        allow_personal=True,
        **changes,
    )
    return supplier.manage("POST", "/publications", json=body)


def agree(buyer: Running, supplier: Running, publication: dict[str, Any]) -> Contract:
    with supplier.runtime.database.unit_of_work() as uow:
        published = offerings.get(uow, DatasetId(publication["dataset"]["id"]))
    assert published is not None
    return contract(buyer, supplier, published)


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = pa.ipc.open_stream(answer.content).read_all().to_pylist()
    return rows


def test_a_listing_shows_the_licensed_relation_and_nothing_else(supplier: Running) -> None:
    answer = publish(supplier, TERMS)
    assert answer.status_code == 201, answer.text
    dataset = answer.json()["dataset"]
    columns = {c["name"]: c.get("mask") for c in dataset["schema"]["columns"]}
    assert columns == {"worker": "hash", "plant": None, "kwh": "round 10"}
    assert dataset["rows_count"] == 3
    assert [row[1:] for row in dataset["sample"]] == [["p-1", 100.0], ["p-1", 100.0], ["p-2", 60.0]]
    listing = answer.text.replace('"values":["p-1","p-2"]', "")
    assert [secret for secret in (*SECRETS, "recipe") if secret in listing] == []
    assert "김비밀" in publish(supplier, {}).text  # the check can fail


def test_a_query_and_a_read_meet_the_same_licensed_rows(buyer: Running, supplier: Running) -> None:
    made = agree(buyer, supplier, publish(supplier, TERMS).json())
    queried = rows_of(made.query("SELECT * FROM $data"))
    read = made.read()
    assert read.status_code == 200
    assert pa.ipc.open_file(read.content).read_all().to_pylist() == queried
    assert [row["kwh"] for row in queried] == [100.0, 100.0, 60.0]
    assert [secret for secret in SECRETS if secret.encode() in read.content] == []
    assert read.headers["etag"] == f'"{made.published.dataset.data_sha256}"'


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT recipe FROM $data",
        'SELECT "RECIPE" FROM $data',
        "SELECT max(recipe) FROM $data",
        "SELECT 1 FROM $data WHERE recipe = 31337",
        "SELECT 1 FROM $data ORDER BY recipe",
        "SELECT d.recipe FROM $data d",
        "SELECT count(*) FROM $data GROUP BY recipe",
        "SELECT (SELECT x.recipe FROM $data x LIMIT 1) FROM $data",
        "SELECT * EXCLUDE (recipe) FROM $data",
        "SELECT * REPLACE (recipe AS kwh) FROM $data",
        "WITH d AS (SELECT * FROM $data) SELECT recipe FROM d",
        "SELECT y.kwh FROM $data JOIN $data y USING (recipe)",
        "SELECT sum(kwh) OVER (ORDER BY recipe) FROM $data",
    ],
)
def test_a_hidden_column_is_not_there_however_it_is_asked_for(
    attacked: Contract, open_: Contract, sql: str
) -> None:
    refused = attacked.query(sql)
    assert refused.status_code == 422, refused.text
    assert [secret for secret in SECRETS if secret in refused.text] == []
    assert open_.query(sql).status_code == 200  # the same text runs where the column is licensed


@pytest.fixture(scope="module")
def attacked(buyer: Running, supplier: Running) -> Contract:
    return agree(buyer, supplier, publish(supplier, TERMS).json())


@pytest.fixture(scope="module")
def open_(buyer: Running, supplier: Running) -> Contract:
    return agree(buyer, supplier, publish(supplier, {"modes": ["query", "read"]}).json())


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count(*) AS n FROM $data WHERE plant = 'p-9'",
        "SELECT count(*) AS n FROM $data WHERE worker = '김비밀'",
        "SELECT count(*) AS n FROM $data WHERE kwh = 104.4",
        "SELECT count(*) AS n FROM $data WHERE kwh BETWEEN 101 AND 109",
        "SELECT count(*) AS n FROM $data WHERE plant NOT IN ('p-1', 'p-2') OR plant IS NULL",
        "WITH d AS (FROM $data UNION FROM $data) SELECT count(*) AS n FROM d WHERE kwh < 50",
    ],
)
def test_no_query_looks_through_the_row_filter_or_a_mask(
    attacked: Contract, open_: Contract, sql: str
) -> None:
    assert rows_of(attacked.query(sql)) == [{"n": 0}]
    assert rows_of(open_.query(sql))[0]["n"] > 0


def test_an_agreement_keeps_its_relation_when_the_offer_changes(
    buyer: Running, supplier: Running
) -> None:
    first = publish(supplier, TERMS).json()
    narrow = agree(buyer, supplier, first)
    path = f"/publications/{first['dataset']['id']}"
    wide = supplier.manage("PATCH", path, json={"terms": {"modes": ["query", "read"]}}).json()
    assert [c["name"] for c in wide["dataset"]["schema"]["columns"]][-1] == "recipe"
    assert wide["dataset"]["rows_count"] == 4
    assert len(wide["dataset"]["sample"]) == 4
    all_of_it = agree(buyer, supplier, wide)
    again = supplier.manage("PATCH", path, json={"terms": TERMS}).json()
    assert again["dataset"]["data_sha256"] == first["dataset"]["data_sha256"]
    for made, rows in ((narrow, 3), (all_of_it, 4)):
        assert len(rows_of(made.query("SELECT * FROM $data"))) == rows
        assert pa.ipc.open_file(made.read().content).read_all().num_rows == rows


def test_terms_of_a_counter_offer_are_the_relation_of_the_agreement(
    buyer: Running, supplier: Running
) -> None:
    own = publish(supplier, {"modes": ["query"]}, approval="manual").json()
    with supplier.runtime.database.unit_of_work() as uow:
        published = offerings.get(uow, DatasetId(own["dataset"]["id"]))
    assert published is not None
    request = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        "dataset": published.dataset.to_json(),
    }
    mine = buyer.manage("POST", "/negotiations", json=request).json()["pid"]
    path = f"/negotiations/{mine}?wait_seconds=20"
    [waiting] = _inbox(supplier)
    misfit = {"kind": "counter", "proposal": {"terms": {"columns": ["no_such"]}, "plan": {}}}
    theirs = f"/negotiations/{waiting['pid']}/answer"
    assert supplier.manage("POST", theirs, json=misfit).status_code == 422
    counter = {"kind": "counter", "proposal": {"terms": TERMS, "plan": {}}}
    assert supplier.manage("POST", theirs, json=counter).is_success
    assert buyer.manage("GET", path).json()["state"] == "OFFERED"
    accepted = buyer.manage("POST", f"/negotiations/{mine}/answer", json={"kind": "accept"})
    assert accepted.is_success, accepted.text
    agreed = buyer.manage("GET", path).json()
    assert agreed["state"] == "FINALIZED", agreed
    made = Contract(buyer, supplier, published, agreed["agreement_id"])
    assert len(rows_of(made.query("SELECT worker, plant, kwh FROM $data"))) == 3
    assert made.query("SELECT recipe FROM $data").status_code == 422


def test_after_a_counter_offer_the_buyer_knows_what_it_bought(
    buyer: Running, supplier: Running, tmp_path: Path
) -> None:
    own = publish(supplier, {"modes": ["query", "read"]}, approval="manual").json()
    with supplier.runtime.database.unit_of_work() as uow:
        published = offerings.get(uow, DatasetId(own["dataset"]["id"]))
    assert published is not None
    agreement_id = _haggle(buyer, supplier, published)
    management = Api(buyer.url, buyer.app.state.context.admin_token, buyer.http)
    suppliers = Suppliers(management, make_id=new_urn)
    ref = Ref("supplier", published.dataset.name)
    bought = suppliers.dataset(ref)
    assert bought.agreement_id == agreement_id
    assert [column.name for column in bought.schema.columns] == ["worker", "plant", "kwh"]
    target = tmp_path / "bought.arrow"
    suppliers.read(ref, bought, target, on_bytes=lambda *_: None)
    table = pa.ipc.open_file(target).read_all()
    assert (table.column_names, table.num_rows) == (["worker", "plant", "kwh"], 3)
    told = buyer.manage("GET", f"/agreements/{agreement_id}/dataset").json()
    assert told["data_sha256"] == sha256_of(target) != published.dataset.data_sha256
    assert told["sample"] == []

    def other(*_: object, **__: object) -> dict[str, Any]:
        return {**told, "data_sha256": "0" * 64}

    with pytest.MonkeyPatch.context() as patch:  # a supplier that says something else later
        patch.setattr("connector.dataplane.client.ask", other)
        assert buyer.manage("GET", f"/agreements/{agreement_id}/dataset").json() == told


def test_a_supplier_that_tells_of_another_dataset_is_not_believed(
    buyer: Running, supplier: Running
) -> None:
    made = agree(buyer, supplier, publish(supplier, {"modes": ["query"]}).json())
    other = publish(supplier, {"modes": ["query"]}).json()["dataset"]
    path = f"/agreements/{made.agreement_id}/dataset"
    with pytest.MonkeyPatch.context() as patch:
        for answer in (other, {}, {"id": made.published.dataset.id}):
            patch.setattr("connector.dataplane.client.ask", lambda *_, told=answer: told)
            refused = buyer.manage("GET", path)
            assert (refused.status_code, refused.json()["status"]) == (502, 502)
            assert "공급기업" in refused.json()["detail"]
    assert buyer.manage("GET", path).json()["id"] == made.published.dataset.id


def _haggle(buyer: Running, supplier: Running, published: Published) -> str:
    """Ask for an offer, be answered with other terms, and accept them."""
    dataset = published.dataset.model_copy(update={"sample": (), "sample_columns": ()})
    request = {
        "provider_id": supplier.runtime.did,
        "dataset_id": dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        "dataset": dataset.to_json(),
    }
    mine = buyer.manage("POST", "/negotiations", json=request).json()["pid"]
    path = f"/negotiations/{mine}?wait_seconds=20"
    [waiting] = _inbox(supplier)
    counter = {"kind": "counter", "proposal": {"terms": TERMS, "plan": {}}}
    theirs = f"/negotiations/{waiting['pid']}/answer"
    assert supplier.manage("POST", theirs, json=counter).is_success
    assert buyer.manage("GET", path).json()["state"] == "OFFERED"
    accepted = buyer.manage("POST", f"/negotiations/{mine}/answer", json={"kind": "accept"})
    assert accepted.is_success, accepted.text
    agreed = buyer.manage("GET", path).json()
    assert agreed["state"] == "FINALIZED", agreed
    return str(agreed["agreement_id"])


def _inbox(supplier: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []

    def has_come() -> bool:
        found[:] = supplier.manage("GET", "/inbox").json()["negotiations"]
        return bool(found)

    wait_until(has_come, "the request waits for an answer")
    return found


@pytest.mark.parametrize(
    "terms",
    [
        {"columns": ["no_such"]},
        {"masks": [{"column": "plant", "method": "round", "argument": "10"}]},
        {"row_filter": [{"column": "kwh", "operator": "gt", "values": ["much"]}]},
        {"row_filter": [{"column": "plant", "operator": "eq", "values": ["p-404"]}]},
    ],
)
def test_terms_that_do_not_fit_are_refused_when_offered(
    supplier: Running, terms: dict[str, Any]
) -> None:
    refused = publish(supplier, terms)
    assert refused.status_code == 422, refused.text
    assert refused.json()["type"] == "urn:idb:problem:terms-do-not-fit"
    own = publish(supplier, {}).json()
    revised = supplier.manage(
        "PATCH", f"/publications/{own['dataset']['id']}", json={"terms": terms}
    )
    assert revised.status_code == 422, revised.text


def test_a_revised_offer_shows_no_more_than_its_terms(supplier: Running) -> None:
    own = publish(supplier, {}).json()
    assert "김비밀" in str(own["dataset"]["sample"])
    path = f"/publications/{own['dataset']['id']}"
    revised = supplier.manage("PATCH", path, json={"terms": {"columns": ["plant"]}}).json()
    assert revised["dataset"]["sample"] == [["p-1"], ["p-1"], ["p-2"], ["p-9"]]
    assert revised["dataset"]["sample_columns"] == ["plant"]


def test_files_of_relations_stay_on_the_disk(supplier: Running) -> None:
    made = publish(supplier, TERMS).json()
    folder: Path = supplier.runtime.data_folder
    assert table_of(supplier, made).num_rows == 3
    assert list(folder.glob("*.partial")) == []
    assert (supplier.runtime.settings.data_dir / "mask-key").stat().st_mode & 0o077 == 0
