"""Every status of the ledger, each from a small table of cases."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from clearing.ledger.model import (
    COUNTER_MAX,
    Account,
    AccountId,
    Book,
    Booked,
    Code,
    Entry,
    EntryId,
    Hold,
    HoldId,
    HoldStatus,
    Kind,
    Leg,
    Phase,
    Side,
    Status,
    account_id,
    book,
    open_account,
    reverse,
)
from schemas.ids import AgreementId

NOW = datetime(2026, 11, 24, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
NAMES = {
    "bank": account_id(Book.ACCRUAL, Code.BANK, "operator"),
    "deposit": account_id(Book.ACCRUAL, Code.DEPOSIT, "buyer"),
    "in_delivery": account_id(Book.ACCRUAL, Code.IN_DELIVERY, "buyer"),
    "receivable": account_id(Book.ACCRUAL, Code.RECEIVABLE, "buyer"),
    "earned": account_id(Book.ACCRUAL, Code.EARNED, "seller"),
    "in_transit": account_id(Book.ACCRUAL, Code.IN_TRANSIT, "seller"),
    "vat": account_id(Book.ACCRUAL, Code.VAT_OUT, "seller"),
    "cash_bank": account_id(Book.CASH, Code.BANK, "operator"),
    "unknown": account_id(Book.ACCRUAL, Code.BANK, "nobody"),
}
MOVE = re.compile(r"(\w+) ([<>])(posted|pending|released) (-?\d+)(?: of (\w+))?")


def accounts() -> dict[AccountId, Account]:
    """Deposit: 100 won in, 30 of it held; everything else empty."""
    opened = {id_: open_account(id_) for name, id_ in NAMES.items() if name != "unknown"}
    deposit, delivery = NAMES["deposit"], NAMES["in_delivery"]
    opened[NAMES["bank"]] = replace(opened[NAMES["bank"]], debits_posted=100)
    opened[deposit] = replace(opened[deposit], credits_posted=100, debits_pending=30)
    opened[delivery] = replace(opened[delivery], credits_pending=30)
    return opened


def holds() -> dict[HoldId, Hold]:
    """One hold in each state, and one whose time is over."""

    def make(name: str, remaining: int, status: HoldStatus, expires_at: datetime) -> Hold:
        agreement = AgreementId("a")
        ids = (HoldId(name), NAMES["deposit"], NAMES["in_delivery"])
        return Hold(*ids, agreement, 30, remaining, expires_at, status)

    made = [
        make("running", 20, HoldStatus.PENDING, LATER),
        make("over", 10, HoldStatus.PENDING, NOW),
        make("used", 0, HoldStatus.POSTED, LATER),
        make("voided", 0, HoldStatus.VOIDED, LATER),
        make("expired", 0, HoldStatus.EXPIRED, NOW),
    ]
    return {hold.id: hold for hold in made}


def entry(kind: str, moves: str, *, reverses: str | None = None) -> Entry:
    """Read ``account >phase amount of hold`` (``>`` debit, ``<`` credit), joined by commas."""
    legs = []
    for move in filter(None, (part.strip() for part in moves.split(","))):
        match = MOVE.fullmatch(move)
        assert match, move
        name, side, phase, amount, hold = match.groups()
        legs.append(
            Leg(
                NAMES[name],
                Side.DEBIT if side == ">" else Side.CREDIT,
                int(amount),
                Phase(phase),
                HoldId(hold) if hold else None,
            )
        )
    return Entry(
        id=EntryId("e"),
        book=Book.ACCRUAL,
        kind=Kind(kind),
        legs=tuple(legs),
        occurred_at=NOW,
        reverses=None if reverses is None else EntryId(reverses),
        expires_at=LATER,
    )


# kind | legs | status
CASES = """
deposit   | bank >posted 5, deposit <posted 5                             | CREATED
deposit   |                                                               | LEGS_MUST_NOT_BE_EMPTY
deposit   | bank >posted 0, deposit <posted 0                             | AMOUNT_MUST_BE_POSITIVE
deposit   | bank >posted -5, deposit <posted -5                           | AMOUNT_MUST_BE_POSITIVE
deposit   | unknown >posted 5, deposit <posted 5                          | ACCOUNT_NOT_FOUND
deposit   | cash_bank >posted 5, deposit <posted 5                        | ACCOUNTS_MUST_BE_IN_THE_BOOK
deposit   | bank >posted 5, deposit <posted 6                             | LEGS_MUST_SUM_TO_ZERO
deposit   | deposit >posted 5, bank <posted 5                             | CODES_MUST_BE_ALLOWED
deposit   | bank >pending 5, deposit <pending 5                           | CODES_MUST_BE_ALLOWED
usage     | bank >posted 5, earned <posted 5                              | CODES_MUST_BE_ALLOWED
reversal  | deposit >posted 5, bank <posted 5                             | REVERSED_ENTRY_MUST_BE_NAMED
usage     | deposit >posted 70, earned <posted 60, vat <posted 10         | CREATED
usage     | deposit >posted 71, earned <posted 71                         | EXCEEDS_CREDITS
usage     | receivable >posted 999, earned <posted 999                    | CREATED
settle    | deposit >posted 70, receivable <posted 70                     | CREATED
payout    | earned >posted 60, vat >posted 10, in_transit <posted 70      | CREATED
payout    | deposit >posted 70, in_transit <posted 70                     | CODES_MUST_BE_ALLOWED
payout    | earned >posted 70, bank <posted 70                            | CODES_MUST_BE_ALLOWED
royalty   | earned >posted 70, vat <posted 70                             | CREATED
royalty   | deposit >posted 70, earned <posted 70                         | CODES_MUST_BE_ALLOWED
royalty   | earned >posted 70, deposit <posted 70                         | CODES_MUST_BE_ALLOWED
royalty   | earned >pending 70, vat <pending 70                           | CODES_MUST_BE_ALLOWED
paid      | in_transit >posted 70, bank <posted 70                        | CREATED
paid      | earned >posted 70, bank <posted 70                            | CODES_MUST_BE_ALLOWED
settle    | deposit >posted 71, receivable <posted 71                     | EXCEEDS_CREDITS
hold      | deposit >pending 70 of new, in_delivery <pending 70 of new    | CREATED
hold      | deposit >pending 71 of new, in_delivery <pending 71 of new    | EXCEEDS_CREDITS
hold      | deposit >pending 1 of used, in_delivery <pending 1 of used    | HOLD_EXISTS
void      | deposit >released 20 of none, in_delivery <released 20 of none         | HOLD_NOT_FOUND
void      | deposit >released 20, in_delivery <released 20                         | HOLD_NOT_FOUND
void      | deposit >released 20 of running, in_delivery <released 20 of running   | CREATED
void      | deposit >released 19 of running, in_delivery <released 19 of running   | HOLD_MUST_BE_RELEASED_IN_FULL
void      | deposit >released 1 of used, in_delivery <released 1 of used           | HOLD_ALREADY_POSTED
void      | deposit >released 1 of voided, in_delivery <released 1 of voided       | HOLD_ALREADY_VOIDED
expire    | deposit >released 1 of expired, in_delivery <released 1 of expired     | HOLD_EXPIRED
expire    | deposit >released 20 of running, in_delivery <released 20 of running   | HOLD_NOT_EXPIRED
expire    | deposit >released 10 of over, in_delivery <released 10 of over         | CREATED
usage     | deposit >posted 5, earned <posted 5, deposit >released 5 of over, in_delivery <released 5 of over | HOLD_EXPIRED
usage     | deposit >posted 20, earned <posted 20, deposit >released 20 of running, in_delivery <released 20 of running | CREATED
usage     | deposit >posted 90, earned <posted 90, deposit >released 20 of running, in_delivery <released 20 of running | CREATED
usage     | deposit >posted 91, earned <posted 91, deposit >released 20 of running, in_delivery <released 20 of running | EXCEEDS_CREDITS
usage     | deposit >posted 21, earned <posted 21, deposit >released 21 of running, in_delivery <released 21 of running | EXCEEDS_HOLD
usage     | receivable >posted 9223372036854775808, earned <posted 9223372036854775808 | OVERFLOWS
"""  # noqa: E501 - a table
ROWS = [[cell.strip() for cell in line.split("|")] for line in CASES.splitlines() if "|" in line]


def run(made: Entry, *, existing_sha256: str | None = None) -> Booked:
    return book(made, accounts=accounts(), holds=holds(), existing_sha256=existing_sha256, now=NOW)


@pytest.mark.parametrize(("kind", "moves", "status"), ROWS)
def test_the_first_rule_that_is_broken_is_told(kind: str, moves: str, status: str) -> None:
    booked = run(entry(kind, moves))
    assert booked.status is Status[status]
    if booked.status is not Status.CREATED:
        assert (booked.accounts, booked.holds) == ({}, {})


def test_every_status_has_a_case() -> None:
    elsewhere = {"EXISTS", "EXISTS_WITH_DIFFERENT_CONTENT"}
    assert {status for _, _, status in ROWS} | elsewhere == {status.name for status in Status}


def test_the_same_id_again_exists_and_changes_nothing_whatever_it_says() -> None:
    made = entry("deposit", "bank >posted 5, deposit <posted 5")
    later = replace(made, occurred_at=LATER)
    other = replace(made, memo="other")
    broken = replace(made, legs=())
    assert run(later, existing_sha256=made.content_sha256) == Booked(Status.EXISTS)
    for changed in (other, broken):
        booked = run(changed, existing_sha256=made.content_sha256)
        assert booked == Booked(Status.EXISTS_WITH_DIFFERENT_CONTENT)


def test_each_part_of_the_content_changes_its_hash() -> None:
    made = entry("deposit", "bank >posted 5, deposit <posted 5")
    changes: list[Entry] = [
        replace(made, book=Book.CASH),
        replace(made, kind=Kind.USAGE),
        replace(made, agreement_id=AgreementId("x")),
        replace(made, counterparty="x"),
        replace(made, memo="x"),
        replace(made, reverses=EntryId("x")),
        entry("deposit", "bank >posted 6, deposit <posted 6"),
        entry("deposit", "bank >pending 5, deposit <pending 5"),
        entry("deposit", "bank >posted 5 of h, deposit <posted 5 of h"),
        entry("deposit", "deposit >posted 5, bank <posted 5"),
    ]
    digests = {changed.content_sha256 for changed in [made, *changes]}
    assert len(digests) == len(changes) + 1


def test_a_hold_is_drawn_on_until_nothing_remains_and_is_then_posted() -> None:
    draw = "deposit >posted {0}, earned <posted {0}, deposit >released {0} of running, "
    draw += "in_delivery <released {0} of running"
    part = run(entry("usage", draw.format(15)))
    assert part.holds[HoldId("running")].status is HoldStatus.PENDING
    assert part.holds[HoldId("running")].remaining == 5
    assert part.accounts[NAMES["deposit"]].available == accounts()[NAMES["deposit"]].available
    whole = run(entry("usage", draw.format(20)))
    assert whole.holds[HoldId("running")].status is HoldStatus.POSTED


def test_a_reversal_restores_every_account() -> None:
    made = entry("deposit", "bank >posted 5, deposit <posted 5")
    first = run(made)
    undone = book(
        reverse(made, id_=EntryId("r"), occurred_at=LATER, memo="mistake"),
        accounts=accounts() | dict(first.accounts),
        holds={},
        existing_sha256=None,
        now=LATER,
    )
    assert undone.status is Status.CREATED
    before = {id_: accounts()[id_].credit_balance for id_ in undone.accounts}
    assert {id_: a.credit_balance for id_, a in undone.accounts.items()} == before


def test_counters_stop_at_what_the_database_holds() -> None:
    at_most = entry("usage", f"receivable >posted {COUNTER_MAX}, earned <posted {COUNTER_MAX}")
    assert run(at_most).status is Status.CREATED
