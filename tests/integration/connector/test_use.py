"""Two connectors and clearing on real ports: used, denied, metered, charged, resumed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from connector.dataplane.access import Access, PolicyDeniedError, load
from connector.dataplane.service import SLICE_BYTES, stream_file
from connector.metering import store as meter
from connector.transfer import store as transfers
from databank.kit.app import Caller
from databank.kit.clock import new_urn
from schemas.dsp.transfer import DataAddress
from schemas.ids import AgreementId
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.problem import RemoteUnavailableError
from schemas.terms import Mode, Terms
from tests.support.connectors import Registry, Running, connector
from tests.support.use import (
    ADMIN,
    BOTH,
    ROWS,
    Contract,
    contract,
    put_file,
    wait_until,
)

PER_ROW = PricePlan(components=(PriceComponent(kind=PriceKind.PER_ROW, amount_micro=1_000),))
TEN = "SELECT kwh FROM $data LIMIT 10"
SUM = "SELECT sum(kwh) AS s, count(*) AS n FROM $data"


@pytest.fixture
def settings(clearing: str) -> dict[str, Any]:
    return {"clearing_url": clearing}


def deposit(clearing: str, buyer: Running, won: int) -> None:
    answer = httpx.post(
        f"{clearing}/deposits",
        json={
            "deposit_id": new_urn(),
            "participant_id": buyer.runtime.did,
            "amount_won": str(won),
        },
        headers={"Authorization": f"Bearer {ADMIN}"},
    )
    assert answer.status_code == 200, answer.text


def test_a_query_runs_in_place_and_is_acknowledged_by_clearing(
    supplier: Running, buyer: Running
) -> None:
    made = contract(buyer, supplier, put_file(supplier))
    answer = made.query(SUM)
    assert answer.status_code == 200, answer.text
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table["n"].to_pylist() == [ROWS]
    assert answer.headers["databank-rows"] == "1"
    assert answer.headers["databank-charge-micro"] == "0"

    def acknowledged() -> bool:
        return bool(supplier.manage("GET", "/meter").json()["acknowledged"] == 1)

    wait_until(acknowledged, "clearing acknowledges the record")


def test_a_query_runs_although_the_data_folder_was_named_from_here(
    buyer: Running, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with connector(Path("near"), registry, "near") as supplier:
        answer = contract(buyer, supplier, put_file(supplier)).query(SUM)
    assert answer.status_code == 200, answer.text


def test_a_query_sent_again_is_delivered_but_not_charged_again(
    supplier: Running, buyer: Running
) -> None:
    made = contract(buyer, supplier, put_file(supplier))
    first = made.query(SUM, "the-same-query")
    second = made.query(SUM, "the-same-query")
    assert first.content == second.content
    assert made.recorded == 1
    other = made.query("SELECT 1 FROM $data LIMIT 1", "the-same-query")
    assert other.status_code == 409
    assert other.json()["type"] == "urn:idb:problem:query-id-taken"


def test_a_denied_act_has_its_reason_and_no_record(supplier: Running, buyer: Running) -> None:
    terms = Terms(modes=(Mode.QUERY,), queries_max=1)
    made = contract(buyer, supplier, put_file(supplier, terms=terms))
    denied = made.read()
    assert (denied.status_code, denied.json()["code"]) == (403, "mode_not_allowed")
    assert made.recorded == 0
    assert made.query(SUM).status_code == 200
    used_up = made.query(SUM)
    assert (used_up.status_code, used_up.json()["code"]) == (403, "query_quota")
    assert made.recorded == 1
    assert made.decisions(buyer) == made.decisions(supplier)
    codes = [decision["code"] for decision in made.decisions(buyer)]
    assert codes == ["query_quota", "allowed", "allowed", "mode_not_allowed"]


def test_a_result_over_the_row_quota_is_not_delivered(supplier: Running, buyer: Running) -> None:
    terms = Terms(modes=BOTH, rows_max=10)
    made = contract(buyer, supplier, put_file(supplier, terms=terms))
    assert made.query("SELECT kwh FROM $data LIMIT 11").json()["code"] == "row_quota"
    assert made.query("SELECT kwh FROM $data LIMIT 10").status_code == 200
    assert made.query("SELECT kwh FROM $data LIMIT 1").json()["code"] == "row_quota"
    assert made.recorded == 1


def test_a_result_or_range_over_the_byte_quota_is_not_delivered(
    supplier: Running, buyer: Running
) -> None:
    terms = Terms(modes=BOTH, bytes_max=100)
    made = contract(buyer, supplier, put_file(supplier, terms=terms))
    assert (
        made.read(Range="bytes=50000-50009").json()["code"] == "byte_quota"
    )  # a batch is one piece
    assert made.query("SELECT kwh FROM $data LIMIT 1000").json()["code"] == "byte_quota"
    assert made.recorded == 0
    allowed = made.query("SELECT kwh FROM $data LIMIT 1")
    assert allowed.status_code == 200, allowed.text
    used = int(allowed.headers["databank-bytes"])
    assert 0 < used <= 100
    denied = made.query("SELECT kwh FROM $data LIMIT 12")
    assert (denied.status_code, denied.json()["code"]) == (403, "byte_quota")
    assert f"{100 - used:,} of 100" in str(denied.json())
    assert made.decisions(buyer)[0]["code"] == "byte_quota"


def test_a_resumed_download_is_the_file_and_is_paid_once(supplier: Running, buyer: Running) -> None:
    made = contract(buyer, supplier, put_file(supplier))
    whole_size = int(made.read(Range="bytes=0-0").headers["content-range"].split("/")[1])
    half = whole_size // 2
    first = made.read(Range=f"bytes=0-{half}")
    assert first.status_code == 206
    etag = first.headers["etag"]
    rest = made.read(Range=f"bytes={half + 1}-", **{"If-Range": etag})
    again = made.read(Range=f"bytes={half - 10}-")
    assert (rest.status_code, again.status_code) == (206, 206)
    table = pa.ipc.open_file(first.content + rest.content).read_all()
    assert table.num_rows == ROWS
    rows = int(first.headers["databank-rows"]) + int(rest.headers["databank-rows"])
    assert rows == ROWS
    assert "databank-rows" not in again.headers
    assert made.read(Range=f"bytes={whole_size}-").status_code == 416
    assert made.read(**{"If-Range": '"other"', "Range": "bytes=0-1"}).status_code == 200


def access_of(made: Contract) -> Access:
    """Return what the supplier knows when the buyer comes to its data address."""
    buyer, supplier = made.buyer.runtime, made.supplier.runtime
    with buyer.database.unit_of_work() as uow:
        [process] = transfers.running(uow, AgreementId(made.agreement_id))
    assert process.provider_pid is not None
    assert process.data_address is not None
    properties = {e["name"]: e["value"] for e in process.data_address["endpointProperties"]}
    participant = supplier.directory.find(buyer.did)
    assert participant is not None
    with supplier.database.unit_of_work() as uow:
        caller = Caller(participant, uow, properties["authorization"])
        return load(uow, process.provider_pid, caller)


def test_a_read_under_way_breaks_off_when_its_right_ends(supplier: Running, buyer: Running) -> None:
    made = contract(buyer, supplier, put_file(supplier))
    assert made.read(Range="bytes=0-0").status_code == 206
    access, content = access_of(made), memoryview(bytes(3 * SLICE_BYTES))

    async def read_on() -> int:
        pieces = stream_file(
            supplier.runtime, access, content, start=0, end=len(content), check_seconds=0
        )
        count = 0
        async for piece in pieces:
            assert len(piece) == SLICE_BYTES
            count += 1
        return count

    assert asyncio.run(read_on()) == 3
    path = f"/transfers/{access.pid}/suspension"
    assert supplier.manage("POST", path, json={"reason": "점검"}).is_success
    with pytest.raises(PolicyDeniedError):
        asyncio.run(read_on())


def test_priced_data_need_a_deposit_and_cost_what_was_quoted(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    made = contract(buyer, supplier, put_file(supplier, plan=PER_ROW))
    sql = "SELECT kwh FROM $data LIMIT 100"
    quoted = made.quote(sql).json()
    assert (quoted["rows_count"], quoted["charge_micro"]) == (100, "100000")
    refused: list[httpx.Response] = []

    def is_refused() -> bool:  # until both sides have told clearing the agreement: 503
        refused.append(made.query(sql))
        return refused[-1].status_code == 402

    wait_until(is_refused, "clearing refuses for want of a deposit")
    assert refused[-1].json()["type"] == "urn:idb:problem:insufficient-balance"
    assert made.recorded == 0
    deposit(clearing, buyer, 1000)
    answer = made.query(sql)
    assert answer.status_code == 200, answer.text
    assert answer.headers["databank-charge-micro"] == quoted["charge_micro"]
    assert answer.headers["databank-vat-micro"] == quoted["vat_micro"]

    def is_charged() -> bool:
        return bool(buyer.manage("GET", "/balance").json()["deposit_micro"] == "999890000")

    wait_until(is_charged, "clearing books charge and VAT")


def ask_with(supplier: Running, buyer: Running, sql: str) -> Callable[[str], httpx.Response]:
    """Return what asks the supplier directly, each time under the same token of the buyer."""
    process = buyer.manage("GET", "/agreements").json()["agreements"][0]["transfer_pid"]
    with buyer.runtime.database.unit_of_work() as uow:
        found = transfers.get(uow, process)
    assert found is not None
    address = DataAddress.model_validate(found.data_address)
    headers = buyer.runtime.client.authorization(
        supplier.runtime.did, access_token=address.value("authorization")
    )

    def ask(query_id: str) -> httpx.Response:
        body = {"query_id": query_id, "sql": sql}
        url = f"{address.value('endpoint')}/query"
        return supplier.http.post(url, json=body, headers=headers)

    return ask


def read_with(supplier: Running, buyer: Running) -> Callable[[str], int]:
    """Return what reads a range from the supplier, each time under the same token of the buyer."""
    process = buyer.manage("GET", "/agreements").json()["agreements"][0]["transfer_pid"]
    with buyer.runtime.database.unit_of_work() as uow:
        found = transfers.get(uow, process)
    assert found is not None
    address = DataAddress.model_validate(found.data_address)
    headers = buyer.runtime.client.authorization(
        supplier.runtime.did, access_token=address.value("authorization")
    )
    url = str(address.value("endpoint"))
    return lambda span: supplier.http.get(url, headers={**headers, "Range": span}).status_code


def test_a_token_reads_once_whatever_becomes_of_it(supplier: Running, buyer: Running) -> None:
    made = contract(buyer, supplier, put_file(supplier))
    assert made.read(Range="bytes=0-9").status_code == 206
    before = len(made.decisions(supplier))
    good, outside = read_with(supplier, buyer), read_with(supplier, buyer)
    assert [good("bytes=0-9"), good("bytes=0-9")] == [206, 401]
    assert [outside("bytes=99999999999-"), outside("bytes=0-9")] == [416, 401]
    at_once = read_with(supplier, buyer)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: at_once("bytes=0-9"), range(8)))
    assert sorted(answers) == [206, *[401] * 7]
    assert len(made.decisions(supplier)) == before + 2


def test_a_wish_for_a_grant_is_asked_again_under_its_id_until_it_is_answered(
    supplier: Running, buyer: Running, clearing: str
) -> None:
    made = contract(buyer, supplier, put_file(supplier, plan=PER_ROW))
    deposit(clearing, buyer, 10_000)
    wait_until(lambda: made.query(TEN).status_code == 200, "clearing knows the agreement")
    with supplier.runtime.database.unit_of_work() as uow:
        meter.drop_grant(uow, AgreementId(made.agreement_id))
    asked: list[str] = []
    call = supplier.runtime.client.call_json

    def lost(method: str, url: str, **options: Any) -> dict[str, Any]:
        asked.append(options["json"]["grant_id"])
        if len(asked) == 1:
            call(method, url, **options)  # clearing has answered, and the answer is lost
            raise RemoteUnavailableError(ko="끊김", en="broken off", retryable=True)
        return call(method, url, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supplier.runtime.client, "call_json", lost)
        assert made.query(TEN).status_code == 503
        with supplier.runtime.database.unit_of_work() as uow:
            wished = meter.grant(uow, AgreementId(made.agreement_id))
        assert wished is not None
        assert (wished.grant_id, wished.expires_at) == (asked[0], None)
        assert made.query(TEN).status_code == 200
    assert asked == [wished.grant_id] * 2


def test_a_token_starts_one_query_whatever_becomes_of_it(supplier: Running, buyer: Running) -> None:
    made = contract(buyer, supplier, put_file(supplier))
    assert made.query(SUM).status_code == 200
    good = ask_with(supplier, buyer, SUM.replace("$data", made.name))
    assert [
        good("query-number-1").status_code,
        good("query-number-1").status_code,
        good("query-number-2").status_code,
    ] == [
        200,
        401,
        401,
    ]
    refused = ask_with(supplier, buyer, "DROP TABLE x")
    assert [refused("query-number-3").status_code, refused("query-number-3").status_code] == [
        422,
        401,
    ]
    taken = ask_with(supplier, buyer, f"SELECT 2 FROM {made.name} LIMIT 1")
    assert [taken("query-number-1").status_code, taken("query-number-1").status_code] == [409, 401]
    assert made.recorded == 2
    codes = [decision["code"] for decision in made.decisions(supplier)]
    assert codes == ["allowed"] * 5  # two of each answer, one of the query that did not run


def test_of_copies_of_a_token_at_once_one_is_answered(supplier: Running, buyer: Running) -> None:
    made = contract(buyer, supplier, put_file(supplier))
    assert made.query(SUM).status_code == 200
    ask = ask_with(supplier, buyer, SUM.replace("$data", made.name))
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: ask(f"at-once-{number}"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 7]
    assert made.recorded == 2


def test_sql_that_may_not_run_is_refused_by_name_and_not_metered(
    supplier: Running, buyer: Running
) -> None:
    made = contract(buyer, supplier, put_file(supplier))
    answer = made.query("SELECT * FROM read_csv('/etc/passwd')")
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:idb:problem:query-refused"
    assert made.recorded == 0


def test_a_data_address_answers_its_consumer_with_its_secret_only(
    supplier: Running, buyer: Running, registry: Registry, tmp_path: Path
) -> None:
    made: Contract = contract(buyer, supplier, put_file(supplier))
    assert made.query(SUM).status_code == 200
    process = buyer.manage("GET", "/agreements").json()["agreements"][0]["transfer_pid"]
    pid = buyer.manage("GET", f"/transfers/{process}").json()["provider_pid"]
    with connector(tmp_path / "rival", registry, "rival") as rival:
        for caller, status in ((rival, 404), (buyer, 401)):
            headers = caller.runtime.client.authorization(
                supplier.runtime.did, access_token="guessed"
            )
            answer = caller.http.get(f"{supplier.url}/data/{pid}", headers=headers)
            assert answer.status_code == status
    assert made.recorded == 1
