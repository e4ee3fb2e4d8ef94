"""청구 정보: what invoices must say of a company, and the account that it is paid to."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from schemas.ids import ParticipantId
from schemas.wire import OwnWire, Time

# 금융결제원 금융기관 공동코드: the three digits that name a bank in Korean transfers
BANKS: Final = {
    "002": "산업은행", "003": "기업은행", "004": "국민은행", "007": "수협은행", "011": "농협은행",
    "012": "지역농축협", "020": "우리은행", "023": "SC제일은행", "027": "씨티은행", "031": "iM뱅크",
    "032": "부산은행", "034": "광주은행", "035": "제주은행", "037": "전북은행", "039": "경남은행",
    "045": "새마을금고", "048": "신협", "050": "저축은행", "064": "산림조합", "071": "우체국",
    "081": "하나은행", "088": "신한은행", "089": "케이뱅크", "090": "카카오뱅크", "092": "토스뱅크",
}  # fmt: skip
_ACCOUNT: Final = re.compile(r"^[0-9]{8,16}$")
_EMAIL: Final = re.compile(r"^[^@\s]{1,64}@[^@\s.]+(\.[^@\s.]+)+$")


def _line(text: str) -> str:
    if any(unicodedata.category(char).startswith("C") for char in text):
        raise ValueError("한 줄로 쓰세요: 줄바꿈과 제어 문자는 쓸 수 없습니다 (one line, please)")
    return text.strip()


def _bank(code: str) -> str:
    if code not in BANKS:
        raise ValueError(f"은행 코드 세 자리가 아닙니다 (not a Korean bank code): {code!r}")
    return code


def _account_number(text: str) -> str:
    digits = re.sub(r"[\s-]", "", text)
    if not _ACCOUNT.match(digits):
        raise ValueError("계좌번호는 숫자 8~16자리입니다 (an account number has 8 to 16 digits)")
    return digits


def _email(text: str) -> str:
    if not _EMAIL.match(text):
        raise ValueError(f"전자우편 주소가 아닙니다 (not an e-mail address): {text!r}")
    return text


Line = Annotated[str, AfterValidator(_line)]


class BankAccount(OwnWire):
    """Where a company is paid to; ``holder`` is the name that the bank knows."""

    bank: Annotated[str, AfterValidator(_bank)]
    number: Annotated[str, AfterValidator(_account_number)]
    holder: Line = Field(min_length=1, max_length=70)


class BillingProfile(OwnWire):
    """What e-tax invoices and payouts need beyond the registry.

    Lengths are those of the e-tax invoice standard (KEC 3.0). All may be given in steps; an
    invoice or a payout names what it misses.
    """

    representative: Line = Field(default="", max_length=30)  # 대표자
    address: Line = Field(default="", max_length=150)  # 사업장 주소
    business_type: Line = Field(default="", max_length=40)  # 업태
    business_item: Line = Field(default="", max_length=40)  # 종목
    email: Annotated[str, AfterValidator(_email)] | None = Field(default=None, max_length=100)
    account: BankAccount | None = None


class StoredProfile(OwnWire):
    """A participant's billing profile as clearing holds it; ``number`` counts its changes."""

    participant_id: ParticipantId
    number: int = Field(ge=0)  # 0: nothing was told yet
    recorded_at: Time | None = None
    profile: BillingProfile
