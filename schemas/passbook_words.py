"""What the lines of the 통장 are called, in Korean and English."""

from __future__ import annotations

from typing import Final

ACCOUNTS: Final = {"deposit": ("잔액", "balance"), "earned": ("번 돈", "earned")}
KINDS: Final = {
    "deposit": ("입금", "deposit"),
    "settle": ("미수금 정리", "arrears paid"),
    "usage": ("이용료", "usage"),
    "royalty": ("로열티", "royalty"),
    "royalty_refund": ("로열티 환불", "royalty given back"),
    "reversal": ("취소", "reversal"),
    "payout": ("송금", "payout"),
    "return_fee": ("반송 수수료", "return fee"),
    "dispute": ("분쟁 보류", "kept back for a dispute"),
    "refund": ("환불", "refund"),
    "set_off": ("상계", "set-off"),
}
_INCOME_KINDS: Final = {"usage": ("매출", "sale")}


def kind_words(account: str, kind: str) -> tuple[str, str]:
    """Return what a line is of; a kind that has no words says itself."""
    kinds = KINDS | _INCOME_KINDS if account == "earned" else KINDS
    return kinds.get(kind, (kind, kind))
