"""How much a grant holds, as pure arithmetic."""

from __future__ import annotations

from typing import Final

from schemas.money import VAT_PERCENT

PERCENT: Final = 100


def hold_for(charge_micro: int) -> int:
    """Return the hold that covers a charge and any rounding of the VAT on it."""
    return charge_micro + -(-charge_micro * VAT_PERCENT // PERCENT)


def coverable(available_micro: int) -> int:
    """Return the largest charge whose hold is available."""
    return max(0, available_micro) * PERCENT // (PERCENT + VAT_PERCENT)
