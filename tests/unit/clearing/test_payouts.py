"""What a file pays is compared with the books again, of earnings and of VAT apart."""

from __future__ import annotations

import pytest

from clearing.payout.model import Owed, Payable, Payment, is_covered, less_given_back
from schemas.billing import BankAccount
from schemas.ids import ParticipantId

CURATOR = ParticipantId("did:web:curator.example")
ACCOUNT = BankAccount(bank="088", number="110123456789", holder="큐레이터")


def _payment(payable: Payable) -> Payment:
    return Payment("P000001-0001", CURATOR, "큐레이터", *payable.parts, ACCOUNT)


@pytest.mark.parametrize(("earned", "vat"), [(360, -49), (-49, 360), (360, 0), (0, 36), (360, 36)])
def test_a_payment_is_covered_by_the_balances_that_it_was_drafted_from(
    earned: int, vat: int
) -> None:
    """Floors of many sales and of one royalty may leave either below zero."""
    payable = Payable(CURATOR, earned, vat)
    assert payable.amount > 0
    assert is_covered([_payment(payable)], {CURATOR: payable})


@pytest.mark.parametrize(("earned", "vat"), [(359, -49), (360, -50), (-1, 400)])
def test_a_payment_is_not_covered_by_less(earned: int, vat: int) -> None:
    drafted = Payable(CURATOR, 360, -49)
    assert not is_covered([_payment(drafted)], {CURATOR: Payable(CURATOR, earned, vat)})


def test_what_was_given_back_of_royalties_waits_no_more() -> None:
    other = ParticipantId("did:web:other.example")
    moved = [  # the newest first
        Owed(CURATOR, -30, -25),
        Owed(other, 7, 7),
        Owed(CURATOR, 20, 18),
        Owed(CURATOR, 50, 45),
        Owed(CURATOR, 5, 5),
    ]
    assert less_given_back(moved) == [Owed(other, 7, 7), Owed(CURATOR, 40, 38), Owed(CURATOR, 5, 5)]
