"""Why a negotiation or an agreement ends: one word for programs, a sentence for people.

The word stands in the ``code`` of the protocol's termination messages, so the other side sees
it. Words of foreign connectors are kept and shown as they came.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from pydantic import Field

from schemas.ids import AgreementId
from schemas.wire import OwnWire, Text


class RefusalCode(StrEnum):
    """Reasons that this data bank's participants give; the first eight are also found by rule."""

    UNKNOWN_DATASET = "unknown-dataset"
    UNKNOWN_OFFER = "unknown-offer"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    TERMS_DIFFER = "terms-differ"
    UNKNOWN_TERM = "unknown-term"
    AGREEMENT_DIFFERS = "agreement-differs"
    NO_ANSWER = "no-answer"
    PRICE = "price"
    PERIOD = "period"
    PURPOSE = "purpose"
    COLUMNS = "columns"
    QUOTA = "quota"
    COUNTERPARTY = "counterparty"
    BREACH = "breach"
    NOT_NEEDED = "not-needed"
    OTHER = "other"


_SENTENCES: Final = {
    RefusalCode.UNKNOWN_DATASET: ("그런 데이터셋의 제안이 없습니다", "There is no such offer"),
    RefusalCode.UNKNOWN_OFFER: (
        "제안이 그 사이에 바뀌었습니다",
        "The offer has changed in the meantime",
    ),
    RefusalCode.WITHDRAWN: ("공급기업이 등록을 거두었습니다", "The listing was withdrawn"),
    RefusalCode.EXPIRED: ("이용 기간이 지났습니다", "The period of use is over"),
    RefusalCode.TERMS_DIFFER: (
        "등록된 조건으로만 합의합니다",
        "Only the listed terms are agreed to",
    ),
    RefusalCode.UNKNOWN_TERM: (
        "알 수 없는 조건이 있습니다",
        "The terms hold something that is not known",
    ),
    RefusalCode.AGREEMENT_DIFFERS: (
        "합의문이 제안과 다릅니다",
        "The agreement is not what was offered",
    ),
    RefusalCode.NO_ANSWER: ("기한까지 답이 없었습니다", "Nobody answered in time"),
    RefusalCode.PRICE: ("요금이 맞지 않습니다", "The price does not suit"),
    RefusalCode.PERIOD: ("이용 기간이 맞지 않습니다", "The period of use does not suit"),
    RefusalCode.PURPOSE: ("이용 목적이 맞지 않습니다", "The purpose does not suit"),
    RefusalCode.COLUMNS: ("열의 범위가 맞지 않습니다", "The columns do not suit"),
    RefusalCode.QUOTA: ("이용 한도가 맞지 않습니다", "The quota does not suit"),
    RefusalCode.COUNTERPARTY: (
        "이 상대와는 합의하지 않습니다",
        "No agreement with this counterparty",
    ),
    RefusalCode.BREACH: ("합의를 어겼습니다", "The agreement was broken"),
    RefusalCode.NOT_NEEDED: ("더는 필요하지 않습니다", "Not needed any more"),
    RefusalCode.OTHER: ("그 밖의 이유", "Another reason"),
}

# What people choose from; the others follow from the state of things.
BY_PEOPLE: Final = (
    RefusalCode.PRICE,
    RefusalCode.PERIOD,
    RefusalCode.PURPOSE,
    RefusalCode.COLUMNS,
    RefusalCode.QUOTA,
    RefusalCode.COUNTERPARTY,
    RefusalCode.BREACH,
    RefusalCode.NOT_NEEDED,
    RefusalCode.OTHER,
)


def refusal_text(code: str | None) -> Text | None:
    """Say a reason in both languages; None for a word that is not ours."""
    known = next((each for each in RefusalCode if each.value == code), None)
    if known is None:
        return None
    ko, en = _SENTENCES[known]
    return Text(ko=ko, en=en)


def said_in_both(code: RefusalCode) -> str:
    """Return the sentence as one text, as it goes into the protocol's ``reason``."""
    ko, en = _SENTENCES[code]
    return f"{ko} ({en})"


class Termination(OwnWire):
    """One connector to another: I end this agreement (the protocol has no word for it)."""

    agreement_id: AgreementId
    code: str = Field(min_length=1, max_length=100)
    reason: str = Field(min_length=1, max_length=500)
