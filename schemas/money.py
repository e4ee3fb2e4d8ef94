"""Money as integers: won in the cash book, micro-won in the accrual book. Never a float.

On the wire an amount is a decimal string, because JSON numbers above 2^53 lose digits.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer

WON_DECIMALS: Final = 6
MICRO_PER_WON: Final = 10**WON_DECIMALS
VAT_PERCENT: Final = 10  # 부가가치세법 제30조
CURRENCY: Final = "KRW"


def _integer(value: Any) -> Any:  # noqa: ANN401 - a validator sees whatever was sent
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("an amount is a whole number in a string")  # noqa: TRY004 - pydantic wants it
    if isinstance(value, str) and not value.removeprefix("-").isdecimal():
        raise ValueError(f"an amount is a whole number in a string, not {value!r}")
    return int(value)


Integer = Annotated[int, BeforeValidator(_integer), PlainSerializer(str, when_used="json")]
MicroWon = Integer
Won = Integer


def round_half_even(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, halves to the even one.

    Args:
        numerator: Any integer.
        denominator: A positive integer.
    """
    assert denominator > 0
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    return quotient + (twice > denominator or (twice == denominator and quotient % 2 == 1))


def vat_on(amount: int) -> int:
    """Return the VAT on a non-negative amount, cut off below one unit (절사)."""
    assert amount >= 0
    return amount * VAT_PERCENT // 100


def parse_won(text: str) -> int:
    """Return micro-won of an amount in won with at most six decimals, such as ``0.5``.

    Raises:
        ValueError: Not such a number.
    """
    whole, _, fraction = text.strip().replace(",", "").removeprefix("₩").partition(".")
    if (
        not whole.isdecimal()
        or len(fraction) > WON_DECIMALS
        or (fraction and not fraction.isdecimal())
    ):
        raise ValueError(f"원 단위 금액이 아닙니다 (not an amount in won): {text!r}")
    return int(whole) * MICRO_PER_WON + int(fraction.ljust(WON_DECIMALS, "0") or "0")


def format_won(amount_micro: int) -> str:
    """Write micro-won for people: ``₩1,234`` or ``₩0.5``, sign in front, digits never rounded."""
    whole, micro = divmod(abs(amount_micro), MICRO_PER_WON)
    fraction = f".{micro:06d}".rstrip("0") if micro else ""
    return f"{'-' if amount_micro < 0 else ''}₩{whole:,}{fraction}"


def in_won(amount_won: int) -> str:
    """Write whole won for people: ``₩1,234`` or ``-₩1,234``."""
    return f"{'-' if amount_won < 0 else ''}₩{abs(amount_won):,}"
