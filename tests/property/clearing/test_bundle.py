"""A bundle proves its statement to the won, and no other bundle does."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearing.bundle.verify import BadBundleError, verify_bundle
from schemas.bank import AgreementRecord, Statement
from schemas.canonical import canonical_bytes
from schemas.money import MICRO_PER_WON
from schemas.note import Checkpoint, NoteKey, sign_checkpoint
from schemas.price import PricePlan
from schemas.signature import generate_key, peek_payload
from schemas.usage import BatchHeader, sign_header
from tests.support.bank import Company, Meter, agreement, company, plan
from tests.support.ledger import Ledger, open_ledger
from tests.support.plans import plans as plans_of

LONG: Final = bool(os.environ.get("DATABANK_LONG_TESTS"))
NOVEMBER = datetime(2026, 11, 30, tzinfo=UTC)
DECEMBER = datetime(2026, 12, 2, tzinfo=UTC)
MONTHS = {"2026-11": NOVEMBER, "2026-12": DECEMBER}
STEEL, CARBON = company("steel", "광양제철"), company("carbon", "탄소")
BUYER, CURATOR = company("buyer", "구매사"), company("curator", "큐레이터")

plans = plans_of(
    st.integers(1, 50) | st.integers(1, 10 * MICRO_PER_WON),
    st.integers(1, 500),
    components_max=3,
)
acts = st.tuples(  # which agreement, which month, rows, bytes, milliseconds of processor time
    st.integers(0, 3),
    st.sampled_from(sorted(MONTHS)),
    st.integers(0, 999),
    st.integers(0, 10**7),
    st.just(0) | st.integers(0, 10**4),
)
steps = st.one_of(
    st.lists(acts, min_size=1, max_size=5), st.sampled_from([*sorted(MONTHS), "deposit"])
)


def deals_of(tariffs: list[PricePlan]) -> list[tuple[Company, AgreementRecord]]:
    """Two suppliers with two buyers each."""
    pairs = [(s, b) for s in (STEEL, CARBON) for b in (BUYER, CURATOR)]
    return [
        (supplier, agreement(supplier, buyer, tariff, name=str(n)))
        for n, ((supplier, buyer), tariff) in enumerate(zip(pairs, tariffs, strict=True))
    ]


def play(ledger: Ledger, tariffs: list[PricePlan], history: list[Any]) -> None:
    """Book what a history says."""
    deals = deals_of(tariffs)
    people = {each.id: each for each in (STEEL, CARBON, BUYER, CURATOR)}
    for number, (supplier, told) in enumerate(deals):
        ledger.agree(told, supplier, people[told.consumer_id], fee_bps=number * 777)
    meters = {supplier.id: Meter(supplier) for supplier in (STEEL, CARBON)}
    for step in history:
        if step == "deposit":
            ledger.deposit(BUYER, 1_000)
        elif isinstance(step, str):
            ledger.issue(step, now=DECEMBER)
        else:
            for supplier in (STEEL, CARBON):
                meter = meters[supplier.id]
                records = [
                    meter.record(
                        deals[deal][1],
                        rows=rows,
                        bytes_=bytes_,
                        compute_ms=compute,
                        at=MONTHS[month],
                    )
                    for deal, month, rows, bytes_, compute in step
                    if deals[deal][0] is supplier
                ]
                if records:
                    ledger.send(supplier, meter.batch(records), now=DECEMBER)


def statements_of(ledger: Ledger) -> Iterator[tuple[Company, Statement]]:
    people = {each.id: each for each in (STEEL, CARBON, BUYER, CURATOR)}
    for period in MONTHS:
        for statement in ledger.issue(period, now=DECEMBER).statements:
            yield people[statement.participant_id], statement


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(plans, min_size=4, max_size=4), st.lists(steps, max_size=8))
def test_every_statement_follows_from_its_bundle(
    tariffs: list[PricePlan], history: list[Any]
) -> None:
    with open_ledger() as ledger:
        play(ledger, tariffs, history)
        for who, statement in statements_of(ledger):
            content = ledger.bundle(who, statement.period, statement.number)
            proven = verify_bundle(content, log_key=str(ledger.log.key))
            assert proven.statement == statement
            others = {each.id for each in (BUYER, CURATOR)} - {who.id}
            if who in (BUYER, CURATOR):  # a buyer learns nothing of another
                assert not any(other.encode() in content for other in others)
                assert not any(other.encode() in s for s in slices_in(content) for other in others)


def slices_in(content: bytes) -> list[bytes]:
    return [base64.b64decode(part["records"]) for part in json.loads(content)["slices"]]


@pytest.fixture(scope="module")
def small() -> Iterator[tuple[bytes, str, Ledger]]:
    """A supplier's bundle of two agreements, three batches and two statements."""
    with open_ledger() as ledger:
        tariffs = [plan(per_row=0.37), plan(per_query=0.7), plan(), plan()]
        first = [(0, "2026-11", 1_001, 0, 0), (1, "2026-11", 5, 0, 1_500)]
        second = [(0, "2026-11", 77, 0, 0)]
        play(ledger, tariffs, [first, "2026-11", second, [(1, "2026-11", 1, 0, 0)], "2026-11"])
        content = ledger.bundle(STEEL, "2026-11")
        verify_bundle(content)
        yield content, str(ledger.log.key), ledger


@pytest.fixture(scope="module")
def tiny() -> bytes:
    """A buyer's bundle of one query."""
    with open_ledger() as ledger:
        play(ledger, [plan(per_row=0.37)] * 4, [[(0, "2026-11", 1_001, 0, 0)], "2026-11"])
        content = ledger.bundle(BUYER, "2026-11")
        verify_bundle(content)
        return content


def refuses(content: bytes, key: str | None = None) -> None:
    with pytest.raises(BadBundleError):
        verify_bundle(content, log_key=key)


def test_no_bundle_with_a_changed_byte_is_accepted(
    small: tuple[bytes, str, Ledger], tiny: bytes
) -> None:
    content = small[0] if LONG else tiny
    for place in range(len(content)):
        bent = bytearray(content)
        bent[place] ^= 1 << place % 8
        refuses(bytes(bent))
        if place % 7 == 0:
            refuses(content[:place])
            refuses(content[:place] + content[place + 1 :])


def leaves_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, child in items:
            yield from leaves_of(child, (*path, name))
    if path:
        yield path


def changed(content: bytes, path: tuple[Any, ...], change: Callable[[Any], Any]) -> bytes:
    value = json.loads(content)
    *way, last = path
    parent = value
    for name in way:
        parent = parent[name]
    parent[last] = change(parent[last])
    return canonical_bytes(value)


CHANGES: list[Callable[[Any], Any]] = [
    lambda value: value + 1 if isinstance(value, int) else value,
    lambda value: str(int(value) + 1) if isinstance(value, str) and value.isdecimal() else value,
    lambda value: f"{value}A" if isinstance(value, str) else value,
    lambda value: value[:-1] if isinstance(value, str | list) else value,
    lambda value: value[1:] if isinstance(value, list) else value,
    lambda value: value[::-1] if isinstance(value, list) else value,
    lambda value: [*value, value[0]] if isinstance(value, list) and value else value,
]


def test_no_bundle_with_a_changed_field_is_accepted(small: tuple[bytes, str, Ledger]) -> None:
    content, _, _ = small
    tried = 0
    for path in leaves_of(json.loads(content)):
        for change in CHANGES:
            bent = changed(content, path, change)
            if bent != content:
                refuses(bent)
                tried += 1
    assert tried > 300


def test_a_bundle_signed_by_another_is_refused_by_who_knows_the_log(
    small: tuple[bytes, str, Ledger],
) -> None:
    content, key, ledger = small
    assert verify_bundle(content, log_key=key).is_key_given
    assert not verify_bundle(content).is_key_given
    other = generate_key("did:web:clearing.example")
    refuses(content, str(NoteKey.of(ledger.log.origin, other.public)))
    value = json.loads(content)
    _, size, root = value["checkpoint"].split("\n")[:3]
    head = Checkpoint(ledger.log.origin, int(size), base64.b64decode(root))
    value["checkpoint"] = sign_checkpoint(head, other)
    refuses(canonical_bytes(value))
    value["log_key"] = str(NoteKey.of(ledger.log.origin, other.public))
    refuses(canonical_bytes(value))


def test_a_batch_signed_by_another_than_the_receipt_says_is_refused(tiny: bytes) -> None:
    value = json.loads(tiny)
    part = value["slices"][0]
    header = BatchHeader.model_validate(peek_payload(part["header"]))
    part["header"] = sign_header(header, STEEL.key)
    assert canonical_bytes(value) == tiny  # signatures are the same every time
    forger = generate_key(STEEL.id)
    part["header"], part["signer"] = sign_header(header, forger), forger.public.jwk
    with pytest.raises(BadBundleError, match="another header"):
        verify_bundle(canonical_bytes(value))


def test_a_statement_that_says_a_won_more_is_refused_though_clearing_signed_it(
    small: tuple[bytes, str, Ledger],
) -> None:
    _, key, _ = small
    with open_ledger() as ledger:
        play(ledger, [plan(per_row=2)] * 4, [[(0, "2026-11", 10, 0, 0)]])
        with ledger.database.unit_of_work() as uow:
            # the books themselves are off by a won: more was charged than the records cost
            from sqlalchemy import text  # noqa: PLC0415 - this test alone reaches below

            uow.run(text("UPDATE clearing_period_usage SET supply = supply + 1000000"))
        ledger.issue("2026-11")
        content = ledger.bundle(STEEL, "2026-11")
        with pytest.raises(BadBundleError, match="supply_won 21 ≠ 20"):
            verify_bundle(content)
    refuses(content, key)
