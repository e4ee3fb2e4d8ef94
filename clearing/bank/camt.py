"""Reading ISO 20022 camt.054 (also camt.053 entries), any version from .02 on.

Names are compared without their namespace, since versions differ in it only for what is read
here. No DTD, no entity, nothing from outside.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lxml import etree

from schemas.problem import InvalidRequestError
from schemas.wire import Text

MOVEMENTS_MAX: Final = 50_000  # of one file
AMOUNT_CHARS_MAX: Final = 30
REFERENCE_MAX: Final = 65  # a deposit's id may have 80, and a conflict adds to it
_WHOLE: Final = 10**15  # won; more is no amount of ours


class InvalidCamtError(InvalidRequestError):
    """A file that is no camt.054, or that does not say what it must; nothing was taken from it."""

    slug = "invalid-camt"
    title = Text(ko="은행 거래 파일을 읽을 수 없습니다", en="The bank's file cannot be read")


@dataclass(frozen=True, slots=True)
class Movement:
    """One movement as the bank wrote it.

    ``reference`` is the same whenever the bank reports the movement again in the same report. A
    movement without a reference of the bank's has a ``likeness``, the start of its reference: what
    has the same in another report may be the same movement or one that is just alike.
    """

    reference: str
    likeness: str | None
    is_notified: bool  # in a camt.054: a camt.053 repeats under other numbers what that notified
    is_credit: bool
    is_booked: bool
    amount: str
    currency: str
    end_to_end_id: str | None
    remittance: str
    debtor_account: str | None
    debtor_bank: str | None  # the three digits of its 금융기관 공동코드
    debtor_name: str | None
    is_status: bool = False  # a bank's word on a payment (pain.002), and no movement of money
    is_return: bool = False  # what the bank says is the return of a payment
    reason: str = ""  # why it came back, by an ISO 20022 external code
    charges: int | None = None  # what the bank says it kept, in won

    @property
    def won(self) -> int | None:
        """Whole won, or None if it is no such amount."""
        whole, _, rest = self.amount.partition(".")
        if self.currency != "KRW" or not whole.isascii() or not whole.isdigit() or rest.strip("0"):
            return None
        return int(whole) if 0 < int(whole) < _WHOLE else None


def read_root(content: bytes) -> etree._Element:
    """Return the document of a file.

    Raises:
        InvalidCamtError: Not XML, or with a DTD.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise bad_file(f"XML이 아닙니다: {error}", f"not XML: {error}") from None
    if root.getroottree().docinfo.doctype:
        raise bad_file("DTD가 있습니다", "it has a DTD")
    return root


def read_camt(root: etree._Element) -> list[Movement]:
    """Return the movements of a document, in its order.

    Raises:
        InvalidCamtError: Not camt.054 or camt.053, or it does not say what it must.
    """
    kind = etree.QName(root).namespace or ""
    if not ("camt.054" in kind or "camt.053" in kind):
        raise bad_file(f"camt.054가 아닙니다: {kind}", f"not camt.054: {kind}")
    is_notified, counts = "camt.054" in kind, Counter[str]()
    found = [
        movement
        for report in all_of(root, "Ntfctn") or all_of(root, "Stmt")
        for entry in all_of(report, "Ntry")
        for movement in _movements(_Entry(report, entry, is_notified), counts)
    ]
    if len(found) > MOVEMENTS_MAX:
        raise too_many()
    return found


def bad_file(ko: str, en: str) -> InvalidCamtError:
    """Return the error for a bank's file."""
    return InvalidCamtError(
        ko=f"은행 거래 파일: {ko}. 은행에서 camt.054로 다시 받으세요.",
        en=f"The bank's file: {en}. Get it from the bank again, as camt.054.",
    )


def too_many() -> InvalidCamtError:
    """Return the error for a file that says more than is taken at once."""
    return bad_file(f"거래가 {MOVEMENTS_MAX:,}건을 넘습니다", f"over {MOVEMENTS_MAX:,} movements")


def all_of(element: etree._Element, *names: str) -> list[etree._Element]:
    """Return the elements below one another by these names, anywhere in an element."""
    steps = "//".join(f"*[local-name()='{name}']" for name in names)
    found: list[etree._Element] = element.xpath(f".//{steps}")
    return found


def text_of(element: etree._Element, *names: str) -> str | None:
    """Return the text at a path of children, or None."""
    steps = "/".join(f"*[local-name()='{name}']" for name in names)
    found = element.xpath(f"./{steps}")
    text = (found[0].text or "").strip() if found else ""
    return text or None


@dataclass(frozen=True, slots=True)
class _Entry:
    report: etree._Element  # the notification or statement that it is in
    entry: etree._Element
    is_notified: bool

    @property
    def shared(self) -> str | None:
        """The bank's reference for all that is in the entry.

        NtryRef counts within a report only, so it stands with account, report and day.
        """
        if reference := text_of(self.entry, "AcctSvcrRef"):
            return reference
        if reference := text_of(self.entry, "NtryRef"):
            return f"n-{_hash(*self.scope, self.day, reference)}"
        return None

    @property
    def scope(self) -> tuple[str | None, str | None]:
        """Account and number of the report."""
        account = all_of(self.report, "Acct", "Id", "Id") or all_of(self.report, "Acct", "IBAN")
        return _first(account), text_of(self.report, "Id")

    @property
    def day(self) -> str | None:
        """When it was booked."""
        return text_of(self.entry, "BookgDt", "Dt") or text_of(self.entry, "BookgDt", "DtTm")


def _hash(*said: object) -> str:
    return hashlib.sha256(repr(said).encode()).hexdigest()[:32]


def _movements(within: _Entry, counts: Counter[str]) -> Iterator[Movement]:
    entry = within.entry
    details = all_of(entry, "TxDtls") or [entry]
    own = Counter(text_of(one, "Refs", "AcctSvcrRef") for one in details)
    for place, one in enumerate(details):
        amount = _amount(one) if one is not entry else None
        if amount is None:
            if len(details) > 1:
                raise bad_file("묶음 거래에 건별 금액이 없습니다", "a batch without single amounts")
            amount = _amount(entry)
        if amount is None:
            raise bad_file("금액이 없는 거래가 있습니다", "a movement has no amount")
        reference = text_of(one, "Refs", "AcctSvcrRef")
        if reference is None or own[reference] > 1:  # then it is not this movement's alone
            shared = reference or within.shared
            reference = f"{shared}/{place}" if shared and len(details) > 1 else shared
        charges = _charges(one)
        if charges is None and len(details) == 1:  # else they are of all movements together
            charges = _charges(entry)
        yield _movement(within, one, reference, amount, counts, charges=charges)


def _amount(element: etree._Element) -> tuple[str, str] | None:
    for path in (("Amt",), ("AmtDtls", "TxAmt", "Amt")):
        steps = "/".join(f"*[local-name()='{name}']" for name in path)
        for found in element.xpath(f"./{steps}"):
            return (found.text or "").strip(), str(found.get("Ccy") or "")
    return None


def _movement(
    within: _Entry,
    one: etree._Element,
    reference: str | None,
    amount: tuple[str, str],
    counts: Counter[str],
    *,
    charges: int | None,
) -> Movement:
    entry = within.entry
    direction = text_of(one, "CdtDbtInd") or text_of(entry, "CdtDbtInd")
    if direction not in {"CRDT", "DBIT"}:
        raise bad_file("입금인지 출금인지 없는 거래가 있습니다", "a movement is neither in nor out")
    end_to_end_id = text_of(one, "Refs", "EndToEndId")
    remittance = " ".join((each.text or "") for each in all_of(one, "RmtInf", "Ustrd"))
    account = _first(all_of(one, "DbtrAcct", "Id", "Id") or all_of(one, "DbtrAcct", "IBAN"))
    debtor = (account, _bank_code(one), _first(all_of(one, "Dbtr", "Nm")))
    likeness = None
    if reference is None:
        said = (*amount, direction, end_to_end_id, within.day, remittance, *debtor)
        likeness = f"h-{_hash(*said)}-"
        scope = f"{likeness}{_hash(*within.scope)[:16]}"
        reference = f"{scope}-{counts[scope]}"  # alike ones in one report are several movements
        counts[scope] += 1
    status = text_of(entry, "Sts", "Cd") or text_of(entry, "Sts") or "BOOK"
    return Movement(
        reference=reference if len(reference) <= REFERENCE_MAX else f"x-{_hash(reference)}",
        likeness=likeness,
        is_notified=within.is_notified,
        is_credit=direction == "CRDT",
        is_booked=status == "BOOK",
        amount=amount[0][:AMOUNT_CHARS_MAX],
        currency=amount[1][:3],
        end_to_end_id=None if end_to_end_id in {None, "NOTPROVIDED"} else end_to_end_id,
        remittance=remittance,
        debtor_account=account,
        debtor_bank=debtor[1],
        debtor_name=debtor[2],
        is_return=bool(all_of(one, "RtrInf")),
        reason=_return_reason(one),
        charges=charges,
    )


def _return_reason(one: etree._Element) -> str:
    for information in all_of(one, "RtrInf"):
        for name in ("Cd", "Prtry"):
            if found := text_of(information, "Rsn", name):
                return found[:35]
    return ""


def _charges(element: etree._Element) -> int | None:
    """Return what is said to be kept, in whole won; None if nothing is, or no such amount."""
    stated = [
        *element.xpath("./*[local-name()='Chrgs']/*[local-name()='TtlChrgsAndTaxAmt']"),
    ] or element.xpath("./*[local-name()='Chrgs']/*[local-name()='Rcrd']/*[local-name()='Amt']")
    amounts = [(each.text or "").strip().partition(".") for each in stated]
    if not amounts or any(not w.isdecimal() or rest.strip("0") for w, _, rest in amounts):
        return None
    return sum(int(whole[:AMOUNT_CHARS_MAX]) for whole, _, _ in amounts)


def _first(found: list[etree._Element]) -> str | None:
    return ((found[0].text or "").strip() or None) if found else None


def _bank_code(one: etree._Element) -> str | None:
    """Return the debtor's bank; members are named by three digits, or by seven with the branch."""
    for path in (("DbtrAgt", "MmbId"), ("DbtrAgt", "Othr", "Id")):
        if found := re.fullmatch(r"([0-9]{3})([0-9]{4})?", _first(all_of(one, *path)) or ""):
            return found[1]
    return None
