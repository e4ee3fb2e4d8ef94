"""Reading ISO 20022 camt.054 (also camt.053 entries), any version from .02 on.

Names are compared without their namespace, since versions differ in it only for what is read
here. No DTD, no entity, nothing from outside.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from schemas.problem import InvalidRequestError
from schemas.wire import Text

MOVEMENTS_MAX: Final = 50_000  # of one file
AMOUNT_CHARS_MAX: Final = 30
_WHOLE: Final = 10**15  # won; more is no amount of ours


class InvalidCamtError(InvalidRequestError):
    """A file that is no camt.054, or that does not say what it must; nothing was taken from it."""

    slug = "invalid-camt"
    title = Text(ko="은행 거래 파일을 읽을 수 없습니다", en="The bank's file cannot be read")


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement as the bank wrote it.

    ``reference`` is the bank's own and the same whenever it reports the movement again.
    """

    reference: str
    is_credit: bool
    is_booked: bool
    amount: str
    currency: str
    end_to_end_id: str | None
    remittance: str
    debtor_account: str | None
    debtor_bank: str | None  # the three digits of its 금융기관 공동코드
    debtor_name: str | None

    @property
    def won(self) -> int | None:
        """Whole won, or None if it is no such amount."""
        whole, _, rest = self.amount.partition(".")
        if self.currency != "KRW" or not whole.isascii() or not whole.isdigit() or rest.strip("0"):
            return None
        return int(whole) if 0 < int(whole) < _WHOLE else None


def read_camt(content: bytes) -> list[Movement]:
    """Return the movements of a file, in its order.

    Raises:
        InvalidCamtError: Not such a file.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _bad(f"XML이 아닙니다: {error}", f"not XML: {error}") from None
    if root.getroottree().docinfo.doctype:
        raise _bad("DTD가 있습니다", "it has a DTD")
    kind = etree.QName(root).namespace or ""
    if not ("camt.054" in kind or "camt.053" in kind):
        raise _bad(f"camt.054가 아닙니다: {kind}", f"not camt.054: {kind}")
    found = [movement for entry in _all(root, "Ntry") for movement in _movements(entry)]
    if len(found) > MOVEMENTS_MAX:
        raise _bad(f"거래가 {MOVEMENTS_MAX:,}건을 넘습니다", f"over {MOVEMENTS_MAX:,} movements")
    return found


def _bad(ko: str, en: str) -> InvalidCamtError:
    return InvalidCamtError(
        ko=f"은행 거래 파일: {ko}. 은행에서 camt.054로 다시 받으세요.",
        en=f"The bank's file: {en}. Get it from the bank again, as camt.054.",
    )


def _all(element: etree._Element, *names: str) -> list[etree._Element]:
    steps = "//".join(f"*[local-name()='{name}']" for name in names)
    found: list[etree._Element] = element.xpath(f".//{steps}")
    return found


def _text(element: etree._Element, *names: str) -> str | None:
    """Return the text at a path of children, or None."""
    steps = "/".join(f"*[local-name()='{name}']" for name in names)
    found = element.xpath(f"./{steps}")
    text = (found[0].text or "").strip() if found else ""
    return text or None


def _movements(entry: etree._Element) -> Iterator[Movement]:
    details = _all(entry, "TxDtls") or [entry]
    for place, one in enumerate(details):
        amount = _amount(one) if one is not entry else None
        if amount is None:
            if len(details) > 1:
                raise _bad("묶음 거래에 건별 금액이 없습니다", "a batch without single amounts")
            amount = _amount(entry)
        if amount is None:
            raise _bad("금액이 없는 거래가 있습니다", "a movement has no amount")
        yield _movement(entry, one, place, amount)


def _amount(element: etree._Element) -> tuple[str, str] | None:
    for path in (("Amt",), ("AmtDtls", "TxAmt", "Amt")):
        steps = "/".join(f"*[local-name()='{name}']" for name in path)
        for found in element.xpath(f"./{steps}"):
            return (found.text or "").strip(), str(found.get("Ccy") or "")
    return None


def _movement(
    entry: etree._Element, one: etree._Element, place: int, amount: tuple[str, str]
) -> Movement:
    direction = _text(one, "CdtDbtInd") or _text(entry, "CdtDbtInd")
    if direction not in {"CRDT", "DBIT"}:
        raise _bad("입금인지 출금인지 없는 거래가 있습니다", "a movement is neither in nor out")
    end_to_end_id = _text(one, "Refs", "EndToEndId")
    own = _text(one, "Refs", "AcctSvcrRef")
    shared = _text(entry, "AcctSvcrRef") or _text(entry, "NtryRef")
    reference = own or (f"{shared}/{place}" if shared and place else shared)
    if reference is None:  # then what is said must tell it from others
        said = (*amount, direction, end_to_end_id, _text(entry, "BookgDt", "Dt"), place)
        reference = "h-" + hashlib.sha256(repr(said).encode()).hexdigest()[:32]
    status = _text(entry, "Sts", "Cd") or _text(entry, "Sts") or "BOOK"
    return Movement(
        reference=reference[:70],
        is_credit=direction == "CRDT",
        is_booked=status == "BOOK",
        amount=amount[0][:AMOUNT_CHARS_MAX],
        currency=amount[1][:3],
        end_to_end_id=None if end_to_end_id in {None, "NOTPROVIDED"} else end_to_end_id,
        remittance=" ".join((each.text or "") for each in _all(one, "RmtInf", "Ustrd")),
        debtor_account=_first(_all(one, "DbtrAcct", "Id", "Id") or _all(one, "DbtrAcct", "IBAN")),
        debtor_bank=_bank_code(one),
        debtor_name=_first(_all(one, "Dbtr", "Nm")),
    )


def _first(found: list[etree._Element]) -> str | None:
    return ((found[0].text or "").strip() or None) if found else None


def _bank_code(one: etree._Element) -> str | None:
    """Return the debtor's bank; members are named by three digits, or by seven with the branch."""
    for path in (("DbtrAgt", "MmbId"), ("DbtrAgt", "Othr", "Id")):
        if found := re.fullmatch(r"([0-9]{3})([0-9]{4})?", _first(_all(one, *path)) or ""):
            return found[1]
    return None
