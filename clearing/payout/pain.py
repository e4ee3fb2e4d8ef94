"""A payout as ISO 20022 pain.001.001.09, valid against its schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from lxml import etree

from clearing.payout.model import Payment
from schemas.billing import BankAccount
from schemas.money import CURRENCY

NAMESPACE: Final = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
SEOUL: Final = timezone(timedelta(hours=9), "KST")
REMITTANCE: Final = "산업데이터은행 정산"
BANK_SCHEME: Final = "KR-BANK-CODE"  # no ISO code list holds Korean bank codes
NAME_MAX: Final = 70  # as banks accept it; the schema would take 140


def payout_xml(
    payout_id: str,
    payments: Sequence[Payment],
    *,
    payer: str,
    account: BankAccount,
    now: datetime,
) -> bytes:
    """Return the file that the bank is given; the same payout gives the same bytes."""
    root = etree.Element(f"{{{NAMESPACE}}}Document", nsmap={None: NAMESPACE})
    initiation = _add(root, "CstmrCdtTrfInitn")
    total, count = str(sum(each.amount for each in payments)), str(len(payments))
    header = _add(initiation, "GrpHdr")
    _add(header, "MsgId", payout_id)
    _add(header, "CreDtTm", f"{now.astimezone(SEOUL):%Y-%m-%dT%H:%M:%S+09:00}")
    _add(header, "NbOfTxs", count)
    _add(header, "CtrlSum", total)
    _add(_add(header, "InitgPty"), "Nm", payer[:NAME_MAX])
    instruction = _add(initiation, "PmtInf")
    _add(instruction, "PmtInfId", payout_id)
    _add(instruction, "PmtMtd", "TRF")
    _add(instruction, "NbOfTxs", count)
    _add(instruction, "CtrlSum", total)
    _add(_add(instruction, "ReqdExctnDt"), "Dt", f"{now.astimezone(SEOUL):%Y-%m-%d}")
    _add(_add(instruction, "Dbtr"), "Nm", payer[:NAME_MAX])
    _account(_add(instruction, "DbtrAcct"), account)
    _agent(_add(instruction, "DbtrAgt"), account)
    for each in payments:
        _payment(_add(instruction, "CdtTrfTxInf"), each)
    content: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return content


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    element.text = text
    return element


def _payment(parent: etree._Element, payment: Payment) -> None:
    _add(_add(parent, "PmtId"), "EndToEndId", payment.end_to_end_id)
    amount = _add(_add(parent, "Amt"), "InstdAmt", str(payment.amount))
    amount.set("Ccy", CURRENCY)
    _agent(_add(parent, "CdtrAgt"), payment.account)
    _add(_add(parent, "Cdtr"), "Nm", payment.name[:NAME_MAX])
    _account(_add(parent, "CdtrAcct"), payment.account)
    _add(_add(parent, "RmtInf"), "Ustrd", f"{REMITTANCE} {payment.end_to_end_id}")


def _account(parent: etree._Element, account: BankAccount) -> None:
    _add(_add(_add(parent, "Id"), "Othr"), "Id", account.number)
    _add(parent, "Nm", account.holder)


def _agent(parent: etree._Element, account: BankAccount) -> None:
    other = _add(_add(parent, "FinInstnId"), "Othr")
    _add(other, "Id", account.bank)
    _add(_add(other, "SchmeNm"), "Prtry", BANK_SCHEME)


@dataclass(frozen=True, slots=True)
class Line:
    """One payment as a file says it."""

    end_to_end_id: str
    name: str
    bank: str
    number: str
    holder: str
    amount_won: int


class BadPainError(ValueError):
    """Not a payout file as it is made here; the message says what is wrong."""


def read_payout(content: bytes) -> list[Line]:
    """Return what a file pays, from the file alone.

    Raises:
        BadPainError: It says anything that is not expected, or does not add up.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
        if root.tag != f"{{{NAMESPACE}}}Document" or root.getroottree().docinfo.doctype:
            raise BadPainError("not a pain.001.001.09")
        found = root.findall(f".//{{{NAMESPACE}}}CdtTrfTxInf")
        if len(root.findall(f".//{{{NAMESPACE}}}InstdAmt")) != len(found):
            raise BadPainError("an amount stands outside a payment")
        lines = [_line(each) for each in found]
        sums = [_said(root, "CtrlSum", at) for at in (0, 1)]
        counts = [_said(root, "NbOfTxs", at) for at in (0, 1)]
    except (etree.XMLSyntaxError, ValueError, IndexError) as error:
        raise BadPainError(str(error)) from None
    if {*sums} != {str(sum(each.amount_won for each in lines))} or {*counts} != {str(len(lines))}:
        raise BadPainError("its sums are not those of its payments")
    return lines


def _said(element: etree._Element, path: str, at: int = 0) -> str:
    steps = "/".join(f"{{{NAMESPACE}}}{name}" for name in path.split("/"))
    return (element.findall(f".//{steps}")[at].text or "").strip()


def _line(element: etree._Element) -> Line:
    amount = element.findall(f".//{{{NAMESPACE}}}InstdAmt")
    text = amount[0].text or ""
    if len(amount) != 1 or amount[0].get("Ccy") != CURRENCY or not text.isascii():
        raise BadPainError("a payment without one amount in won")
    if not text.isdigit():
        raise BadPainError("an amount that is no whole won")
    return Line(
        end_to_end_id=_said(element, "PmtId/EndToEndId"),
        name=_said(element, "Cdtr/Nm"),
        bank=_said(element, "CdtrAgt/FinInstnId/Othr/Id"),
        number=_said(element, "CdtrAcct/Id/Othr/Id"),
        holder=_said(element, "CdtrAcct/Nm"),
        amount_won=int(text),
    )
