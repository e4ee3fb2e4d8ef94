"""A refund restores every account that the sale had touched; its parts add up to that (I11)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from clearing.disputes.entries import keep_back, recoverable, recovering
from clearing.disputes.refund import (
    Line,
    NotThatMuchError,
    allot,
    credit_of,
    credited_after,
    refund_legs,
    remaining_of,
    scaled,
)
from clearing.ledger.model import (
    ALLOWED,
    OPERATOR,
    AccountId,
    Book,
    Code,
    Kind,
    Leg,
    Side,
    account_id,
    is_balanced,
)
from clearing.rating.rate import Amounts
from schemas.ids import ParticipantId

SELLER, BUYER = ParticipantId("did:web:seller"), ParticipantId("did:web:buyer")
UPSTREAM = [ParticipantId(f"did:web:source{n}") for n in range(3)]
won = st.integers(0, 3_000)


def cash(code: Code, owner: str) -> AccountId:
    return account_id(Book.CASH, code, owner)


@st.composite
def sales(draw: st.DrawFn) -> tuple[Amounts, tuple[Leg, ...]]:
    """A stated line and the legs that booked it: paid partly from the deposit, and royalties."""
    supply = draw(won)
    fee = draw(st.integers(0, supply))
    fee_vat = draw(st.integers(0, supply - fee))
    vat = draw(st.integers(0, 300))
    amounts = Amounts(supply, vat, fee, fee_vat)
    royalties = [draw(st.integers(0, 500)) for _ in UPSTREAM]
    on_credit = draw(st.integers(0, amounts.paid))
    signed = {
        cash(Code.DEPOSIT, BUYER): on_credit - amounts.paid,
        cash(Code.RECEIVABLE, BUYER): -on_credit,
        cash(Code.VAT_OUT, SELLER): amounts.vat,
        cash(Code.FEE_INCOME, OPERATOR): amounts.fee,
        cash(Code.VAT_OUT, OPERATOR): amounts.fee_vat,
        cash(Code.EARNED, SELLER): amounts.earned - sum(royalties),
        **{cash(Code.EARNED, id_): part for id_, part in zip(UPSTREAM, royalties, strict=True)},
    }
    legs = tuple(
        Leg(id_, Side.CREDIT if amount > 0 else Side.DEBIT, abs(amount))
        for id_, amount in signed.items()
        if amount
    )
    assert is_balanced(legs)
    return amounts, legs


def balances(*entries: Iterable[Leg]) -> dict[AccountId, int]:
    """Add up legs; the buyer's deposit and what it owes count together."""
    found: dict[AccountId, int] = defaultdict(int)
    for leg in (leg for legs in entries for leg in legs):
        id_ = cash(Code.DEPOSIT, BUYER) if BUYER in leg.account_id else leg.account_id
        found[id_] += leg.amount if leg.side is Side.CREDIT else -leg.amount
    return {id_: amount for id_, amount in found.items() if amount}


def codes(legs: Iterable[Leg]) -> set[tuple[Code, Code]]:
    sides: dict[Side, set[Code]] = {side: set() for side in Side}
    for leg in legs:
        sides[leg.side].add(Code(leg.account_id.split(":", 2)[1]))
    return {(d, c) for d in sides[Side.DEBIT] for c in sides[Side.CREDIT]}


@given(st.lists(sales(), min_size=1, max_size=3), st.lists(st.integers(1, 4_000), max_size=8))
def test_refunds_in_any_parts_restore_every_account_of_the_sale(
    sold: list[tuple[Amounts, tuple[Leg, ...]]], wanted: list[int]
) -> None:
    lines = [Line("2026-11", n, amounts) for n, (amounts, _) in enumerate(sold, 1)]
    legs_of = {n: legs for n, (_, legs) in enumerate(sold, 1)}
    credited: dict[tuple[str, int], int] = {}
    booked, taken = [legs for _, legs in sold], Amounts()
    total = sum(amounts.supply for amounts, _ in sold)
    for amount in [*wanted, total]:
        due = min(amount, remaining_of(lines, credited))
        parts = allot(lines, credited, due)
        assert sum(part.supply_won for part in parts) == due
        for part in parts:
            stated = lines[part.line - 1].amounts
            legs = refund_legs(legs_of[part.line], part, stated, provider=SELLER)
            credit = credit_of(stated, part)
            assert is_balanced(legs)
            assert codes(legs) <= ALLOWED[Kind.REFUND]
            # what each party gets back or gives is what the credit line says
            moved = balances(legs)
            assert moved.get(cash(Code.DEPOSIT, BUYER), 0) == credit.paid
            assert moved.get(cash(Code.VAT_OUT, SELLER), 0) == -credit.vat
            assert moved.get(cash(Code.FEE_INCOME, OPERATOR), 0) == -credit.fee
            booked.append(tuple(legs))
            taken = taken + credit
        credited = credited_after(credited, parts)
    if total:  # then all of it was refunded, and nothing is left anywhere
        assert balances(*booked) == {}
        assert taken == sum((amounts for amounts, _ in sold), Amounts())


@given(sales(), st.integers(1, 5_000))
def test_no_more_is_refunded_than_was_stated(
    sold: tuple[Amounts, tuple[Leg, ...]], amount: int
) -> None:
    line = Line("2026-11", 1, sold[0])
    try:
        parts = allot([line], {}, amount)
    except NotThatMuchError:
        assert amount > sold[0].supply
    else:
        assert sum(part.supply_won for part in parts) == amount <= sold[0].supply


@given(sales(), st.integers(0, 100), st.data())
def test_what_payees_no_longer_have_they_owe_to_the_won(
    sold: tuple[Amounts, tuple[Leg, ...]], percent: int, data: st.DataObject
) -> None:
    stated, recorded = sold
    line = Line("2026-11", 1, stated)
    legs = [
        leg
        for part in allot([line], {}, stated.supply * percent // 100)
        for leg in refund_legs(recorded, part, stated, provider=SELLER)
    ]
    there = {leg.account_id: data.draw(st.integers(-100, 3_000)) for leg in legs}
    split = recovering(legs, there)
    assert is_balanced(split)
    assert codes(split) <= ALLOWED[Kind.REFUND]
    plain, after = balances(legs), balances(split)
    for id_, amount in plain.items():
        code, owner = id_.split(":", 2)[1:]
        if code in (Code.EARNED, Code.VAT_OUT) and owner != OPERATOR and amount < 0:
            assert -after.get(id_, 0) == min(-amount, max(0, there[id_])), "no more than is there"
    owed = sum(amount for id_, amount in after.items() if f":{Code.RECOVERABLE}:" in id_)
    kept = sum(amount for id_, amount in after.items() if f":{Code.RECOVERABLE}:" not in id_)
    assert owed + kept == 0
    assert {recoverable(id_) for id_ in plain} >= {id_ for id_ in after if id_ not in plain}
    held = keep_back(legs, there)
    assert is_balanced(held)
    assert codes(held) <= ALLOWED[Kind.DISPUTE]
    for leg in held:
        if leg.side is Side.DEBIT:
            assert leg.amount <= max(0, there[leg.account_id])
    in_won = scaled(split, Book.ACCRUAL, 1_000_000)
    assert is_balanced(in_won)
    assert all(leg.account_id.startswith("accrual:") for leg in in_won)
