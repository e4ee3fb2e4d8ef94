"""Amounts as people read them."""

from __future__ import annotations

import pytest

from schemas.money import in_won


@pytest.mark.parametrize(
    ("amount_won", "written"), [(0, "₩0"), (1_234, "₩1,234"), (-5_500, "-₩5,500")]
)
def test_the_sign_of_won_stands_in_front(amount_won: int, written: str) -> None:
    assert in_won(amount_won) == written
