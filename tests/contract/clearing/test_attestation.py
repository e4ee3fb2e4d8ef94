"""What buyers sign: kept exactly once, contradictions kept, compared with the supplier's."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import httpx
import pytest

from clearing.attestation.store import evidence_count
from databank.kit.db import Database
from schemas.bank import AgreementRecord
from schemas.ids import AgreementId
from schemas.price_form import parse_plan
from schemas.signature import peek_payload
from schemas.slices import seal_batch
from schemas.usage import ACKNOWLEDGEMENT_TYPE, HEADER, MEDIA_TYPE, sign_header
from tests.support.bank import Bank, Company, Meter, Receiver, agreement


def send(bank: Bank, who: Company, batch: tuple[str, bytes]) -> httpx.Response:
    headers = {HEADER: batch[0], "Content-Type": MEDIA_TYPE}
    return bank.call(who, "POST", "/usage/acknowledgements", content=batch[1], headers=headers)


def compared(bank: Bank, who: Company, told: AgreementRecord, period: str = "2026-11") -> Any:
    path = f"/usage/comparison?agreement_id={told.agreement_id}&period={period}"
    return bank.call(who, "GET", path).json()


@pytest.fixture
def told(bank: Bank, steel: Company, curator: Company) -> AgreementRecord:
    made = agreement(steel, curator, parse_plan("row=1/over:50:0.5 query=3"))
    bank.agree(made, steel, curator)
    bank.deposit(curator, 100_000)
    return made


def test_an_acknowledgement_is_kept_once(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    receiver = Receiver(curator)
    first = receiver.batch([receiver.record(told, rows=5)])
    answer = send(bank, curator, first)
    assert answer.status_code == 200, answer.text
    receipt = peek_payload(answer.json()["receipt"])
    assert receipt["body_sha256"] == hashlib.sha256(first[1]).hexdigest()
    assert (receipt["next_seq"], receipt["charged_micro"]) == (2, "0")
    assert send(bank, curator, first).json() == answer.json()
    second = receiver.batch([receiver.record(told, rows=7)])
    third = receiver.batch([receiver.record(told, rows=7)])
    gap = send(bank, curator, third)
    assert (gap.status_code, gap.json()["expected_seq"]) == (409, 2)
    assert send(bank, curator, second).status_code == 200
    assert send(bank, curator, third).status_code == 200
    where = bank.call(curator, "GET", "/usage/acknowledgements/stream").json()
    assert where["next_seq"] == 4
    assert bank.call(curator, "GET", "/usage/stream").json()["next_seq"] == 1
    assert bank.balance(curator)["deposit"] == 100_000 * 10**6  # nothing is charged by it
    assert compared(bank, steel, told)["acts"]["buyer_only"] == 3


def test_contradictions_of_a_buyer_are_kept(
    bank: Bank, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    receiver = Receiver(curator)
    said = receiver.record(told, rows=5)
    assert send(bank, curator, receiver.batch([said])).status_code == 200
    other = receiver.sign([replace(said, rows_count=4)], previous="0" * 64)
    for _ in range(2):
        refused = send(bank, curator, other)
        assert (refused.status_code, refused.json()["seq"]) == (409, 1)
        assert refused.json()["type"] == "urn:idb:problem:equivocation"
    database = Database(database_url)
    try:
        with database.unit_of_work() as uow:
            assert evidence_count(uow, curator.id) == 1
    finally:
        database.close()
    assert compared(bank, curator, told)["buyer"]["rows_count"] == 5


def test_only_the_buyer_of_an_agreement_acknowledges_it(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    theirs = Receiver(steel)
    refused = send(bank, steel, theirs.batch([theirs.record(told, rows=5)]))
    assert refused.json()["type"] == "urn:idb:problem:record-refused"
    metered = Meter(steel)
    batch = metered.batch([metered.record(told, rows=5)])
    assert send(bank, steel, batch).json()["type"] == "urn:idb:problem:invalid-batch"
    receiver = Receiver(curator)
    mine = receiver.batch([receiver.record(told, rows=5)])
    assert bank.send(curator, mine).json()["type"] == "urn:idb:problem:invalid-batch"
    assert send(bank, steel, mine).json()["type"] == "urn:idb:problem:invalid-batch"
    header, body = seal_batch(
        [receiver.record(told)], provider_id=curator.id, epoch=1, previous_sha256="0" * 64
    )
    named = sign_header(header, steel.key, typ=ACKNOWLEDGEMENT_TYPE), body
    assert send(bank, steel, named).status_code == 403
    unknown = Receiver(curator)
    record = replace(unknown.record(told), agreement_id=AgreementId("urn:agreement:unknown"))
    pending = send(bank, curator, unknown.batch([record]))
    assert (pending.status_code, pending.json()["retryable"]) == (409, True)
    late = Receiver(curator)
    early = replace(late.record(told), occurred_at=told.agreed_at.replace(year=2020))
    assert send(bank, curator, late.batch([early])).status_code == 422


def test_both_sides_are_compared_act_by_act(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter, receiver = Meter(steel), Receiver(curator)
    metered = [meter.record(told, rows=rows, bytes_=8 * rows) for rows in (40, 30, 20, 9)]
    assert bank.send(steel, meter.batch(metered)).status_code == 200
    received = [receiver.record(told, rows=rows, bytes_=8 * rows) for rows in (40, 25, 20)]
    received[2] = replace(received[2], act_id="act-of-nobody")
    assert send(bank, curator, receiver.batch(received)).status_code == 200
    found = compared(bank, steel, told)
    assert compared(bank, curator, told) == found
    assert found["acts"] == {
        "both": 1, "different": 1, "supplier_only": 2, "silent": 0, "buyer_only": 1,
        "contradicted": 0, "repeated": 0,
    }  # fmt: skip
    # 99 rows: 50 + 49 × 0.5, and four queries; the smaller counts are 5 rows less
    assert found["charged_micro"] == str(86_500_000)
    assert found["undisputed_micro"] == str(84_000_000)
    assert found["difference_micro"] == str(2_500_000)
    differing = {act["act_id"]: act for act in found["not_agreed"]}
    assert differing["act-2"]["supplier"]["rows_count"] == 30
    assert differing["act-2"]["buyer"]["rows_count"] == 25
    assert set(differing) == {"act-2", "act-3", "act-4", "act-of-nobody"}
    bank.clock.advance(hours=73)
    assert compared(bank, steel, told)["acts"]["silent"] == 2
    assert compared(bank, steel, told, "2026-12")["acts"]["both"] == 0
    assert compared(bank, steel, told, "2026-13")["type"] == "urn:idb:problem:invalid-request"
    stranger = bank.call(curator, "GET", "/usage/comparison?agreement_id=x&period=2026-11")
    assert stranger.status_code == 404


def test_an_act_that_is_metered_again_is_undisputed_once(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter, receiver = Meter(steel), Receiver(curator)
    once = meter.record(told, rows=40)
    assert bank.send(steel, meter.batch([once])).status_code == 200
    again = replace(meter.record(told, rows=40), act_id=once.act_id)
    assert bank.send(steel, meter.batch([again])).status_code == 200
    assert send(bank, curator, receiver.batch([receiver.record(told, rows=40)])).status_code == 200
    found = compared(bank, steel, told)
    assert (found["acts"]["both"], found["acts"]["repeated"]) == (1, 1)
    # twice 3 for the query, 80 rows: 50 + 30 × 0.5; undisputed is one query and 40 rows
    assert found["charged_micro"] == str(71_000_000)
    assert found["undisputed_micro"] == str(43_000_000)
    assert [act["attested"] for act in found["not_agreed"]] == ["repeated"]


def test_a_buyer_cannot_take_its_first_word_back(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter, receiver = Meter(steel), Receiver(curator)
    assert bank.send(steel, meter.batch([meter.record(told, rows=40)])).status_code == 200
    said = receiver.record(told, rows=40)
    assert send(bank, curator, receiver.batch([said])).status_code == 200
    same = replace(receiver.record(told, rows=40), act_id=said.act_id)
    assert send(bank, curator, receiver.batch([same])).status_code == 200
    assert compared(bank, steel, told)["acts"]["both"] == 1
    fewer = replace(receiver.record(told, rows=1), act_id=said.act_id)
    assert send(bank, curator, receiver.batch([fewer])).status_code == 200
    found = compared(bank, steel, told)
    assert (found["acts"]["both"], found["acts"]["contradicted"]) == (0, 1)
    assert found["difference_micro"] == "0"
    assert found["not_agreed"][0]["buyer"]["rows_count"] == 40


def test_what_a_buyer_signs_too_late_changes_nothing(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter, receiver = Meter(steel), Receiver(curator)
    bank.clock.advance(hours=100)
    # a clock of the supplier's that says it was long ago takes none of the buyer's time
    metered = [replace(meter.record(told, rows=40), occurred_at=told.agreed_at) for _ in range(2)]
    assert bank.send(steel, meter.batch(metered)).status_code == 200
    bank.clock.advance(hours=71)
    assert compared(bank, steel, told)["acts"]["supplier_only"] == 2
    assert send(bank, curator, receiver.batch([receiver.record(told, rows=30)])).status_code == 200
    bank.clock.advance(hours=2)
    assert send(bank, curator, receiver.batch([receiver.record(told, rows=1)])).status_code == 200
    found = compared(bank, steel, told)
    assert (found["acts"]["different"], found["acts"]["silent"]) == (1, 1)
    # 80 rows: 50 + 30 × 0.5; the ten that the buyer did not get in time count half
    assert found["difference_micro"] == str(5_000_000)
