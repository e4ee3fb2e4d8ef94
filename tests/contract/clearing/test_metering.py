"""Usage batches are booked exactly once, whatever order and form they come in."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from clearing.metering.store import evidence
from databank.kit.db import Database
from schemas.bank import AgreementRecord
from schemas.ids import DatasetId, ParticipantId
from schemas.usage import FIRST_PREVIOUS_SHA256, UsageRecord
from tests.support.bank import Bank, Company, Meter, agreement, plan

WON = 1_000_000


@pytest.fixture
def told(bank: Bank, steel: Company, curator: Company) -> AgreementRecord:
    made = agreement(steel, curator, plan(per_query=10))
    bank.agree(made, steel, curator)
    bank.deposit(curator, 1_000)
    return made


def test_the_same_batch_again_gets_the_same_receipt_and_is_not_charged_again(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter = Meter(steel)
    batch = meter.batch([meter.record(told), meter.record(told)])
    first = bank.send(steel, batch)
    later = meter.batch([meter.record(told)])
    assert bank.send(steel, later).status_code == 200
    for _ in range(2):
        again = bank.send(steel, batch)
        assert (again.status_code, again.content) == (200, first.content)
    assert bank.balance(curator)["deposit"] == (1_000 - 33) * WON
    position = bank.call(steel, "GET", "/usage/stream?epoch=1").json()
    assert position["next_seq"] == 4
    assert position["last_body_sha256"] == hashlib.sha256(later[1]).hexdigest()


def test_a_gap_is_told_with_what_is_due(bank: Bank, steel: Company, told: AgreementRecord) -> None:
    start = bank.call(steel, "GET", "/usage/stream?epoch=7").json()
    assert start == {"epoch": 7, "next_seq": 1, "last_body_sha256": FIRST_PREVIOUS_SHA256}
    meter = Meter(steel)
    meter.record(told)
    gap = bank.send(steel, meter.batch([meter.record(told)]))
    assert gap.status_code == 409
    assert gap.json()["type"] == "urn:idb:problem:sequence-gap"
    assert gap.json()["expected_seq"] == 1


def test_booked_records_in_another_grouping_are_not_booked_again(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter = Meter(steel)
    records = [meter.record(told) for _ in range(4)]
    bank.send(steel, meter.batch(records[:2]))
    for regrouped in (records, records[:1], records[1:3]):
        refused = bank.send(steel, meter.sign(regrouped, previous=FIRST_PREVIOUS_SHA256))
        assert refused.json()["type"] == "urn:idb:problem:sequence-gap"
        assert refused.json()["expected_seq"] == 3
    assert bank.send(steel, meter.batch(records[2:])).status_code == 200
    assert bank.balance(curator)["deposit"] == (1_000 - 44) * WON


def test_other_content_under_a_booked_number_is_kept_as_evidence(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord, database_url: str
) -> None:
    meter = Meter(steel)
    records = [meter.record(told) for _ in range(2)]
    bank.send(steel, meter.batch(records))
    forged = [records[0], replace(records[1], rows_count=99)]
    batch = meter.sign(forged, previous=FIRST_PREVIOUS_SHA256)
    for _ in range(2):
        refused = bank.send(steel, batch)
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:idb:problem:equivocation"
        assert refused.json()["seq"] == 2
    database = Database(database_url)
    with database.unit_of_work() as uow:
        assert evidence(uow, steel.id) == [(2, batch[1])]
    database.close()
    assert bank.balance(curator)["deposit"] == (1_000 - 22) * WON


def test_a_batch_must_follow_the_one_that_was_booked(
    bank: Bank, steel: Company, told: AgreementRecord
) -> None:
    meter = Meter(steel)
    first = meter.batch([meter.record(told)])
    bank.send(steel, first)
    stray = bank.send(steel, meter.sign([meter.record(told)], previous="f" * 64))
    assert stray.status_code == 409
    assert stray.json()["type"] == "urn:idb:problem:batch-chain-broken"
    assert stray.json()["last_body_sha256"] == hashlib.sha256(first[1]).hexdigest()


def test_an_agreement_that_is_not_confirmed_makes_the_meter_wait(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    new = agreement(steel, curator, plan(per_query=1), name="new")
    meter = Meter(steel)
    batch = meter.batch([meter.record(told), meter.record(new)])
    for step in (None, steel):
        if step is not None:
            bank.agree(new, step)
        waiting = bank.send(steel, batch)
        assert waiting.status_code == 409
        assert waiting.json()["type"] == "urn:idb:problem:agreement-pending"
        assert (waiting.json()["seq"], waiting.json()["retryable"]) == (2, True)
    assert bank.call(steel, "GET", "/usage/stream").json()["next_seq"] == 1
    bank.agree(new, curator)
    assert bank.send(steel, batch).status_code == 200
    assert bank.balance(curator)["deposit"] == 1_000 * WON - 12_100_000


def test_a_silent_consumer_does_not_stop_the_meter_of_a_free_agreement(
    bank: Bank, steel: Company, curator: Company
) -> None:
    free = agreement(steel, curator, plan(), name="free")
    meter = Meter(steel)
    batch = meter.batch([meter.record(free)])
    assert bank.send(steel, batch).status_code == 409
    bank.agree(free, steel)
    assert bank.send(steel, batch).status_code == 200


@pytest.mark.parametrize("fault", ["consumer", "dataset", "future", "past", "too much"])
def test_a_record_that_contradicts_its_agreement_is_named(
    bank: Bank, steel: Company, told: AgreementRecord, fault: str
) -> None:
    meter = Meter(steel)
    good, bad = meter.record(told), meter.record(told)
    changes: dict[str, UsageRecord] = {
        "consumer": replace(bad, consumer_id=ParticipantId("did:web:other")),
        "dataset": replace(bad, dataset_id=DatasetId("other")),
        "future": replace(bad, occurred_at=bank.clock() + timedelta(minutes=5, seconds=1)),
        "past": replace(bad, occurred_at=told.agreed_at - timedelta(minutes=6)),
        "too much": replace(good, queries_count=2**62),
    }
    records = [changes[fault]] if fault == "too much" else [good, changes[fault]]
    refused = bank.send(steel, meter.sign(records, previous=FIRST_PREVIOUS_SHA256))
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:idb:problem:record-refused"
    assert refused.json()["seq"] == records[-1].seq
    assert bank.call(steel, "GET", "/usage/stream").json()["next_seq"] == 1


def test_a_supplier_meters_its_own_agreements_only(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter = Meter(curator)
    others = bank.send(curator, meter.batch([meter.record(told)]))
    assert others.json()["type"] == "urn:idb:problem:record-refused"
    theirs = Meter(steel)
    batch = theirs.batch([theirs.record(told)])
    assert bank.send(curator, batch).json()["type"] == "urn:idb:problem:invalid-batch"


def test_a_changed_batch_is_refused(bank: Bank, steel: Company, told: AgreementRecord) -> None:
    meter = Meter(steel)
    jws, body = meter.batch([meter.record(told)])
    head, payload, signature = jws.split(".")
    changed = [
        (jws, body[:-9] + b"x" + body[-8:]),
        (jws, b""),
        (f"{head}.{payload}.{'A' + signature[1:]}", body),
        (f"{head}.{payload[:-4]}.{signature}", body),
        ("x", body),
    ]
    for batch in changed:
        refused = bank.send(steel, batch)
        assert refused.status_code == 422, batch
        assert refused.json()["type"] == "urn:idb:problem:invalid-batch"


def test_one_batch_sent_many_times_at_once_is_booked_once(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    meter = Meter(steel)
    batch = meter.batch([meter.record(told) for _ in range(10)])
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: bank.send(steel, batch), range(12)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert bank.balance(curator)["deposit"] == (1_000 - 110) * WON


def test_parties_read_their_records_back(
    bank: Bank, steel: Company, curator: Company, told: AgreementRecord
) -> None:
    other = agreement(steel, curator, plan(), name="two")
    bank.agree(other, steel, curator)
    meter = Meter(steel)
    for _ in range(10):
        bank.send(steel, meter.batch([meter.record(told), meter.record(other)]))
    for party in (steel, curator):
        seqs: list[int] = []
        cursor: str | None = "0"
        while cursor:
            path = f"/usage/records?agreement_id={told.agreement_id}&cursor={cursor}"
            page = bank.call(party, "GET", path).json()
            seqs += [record["seq"] for record in page["records"]]
            cursor = page["next_cursor"]
        assert seqs == list(range(1, 21, 2))
