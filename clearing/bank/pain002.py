"""Reading ISO 20022 pain.002: what the bank says of a payout file before money moves.

Only rejections matter here: of single payments, or of a whole file or instruction, which then
stands for each payment in it. What the bank accepts is told by camt.054 once it is booked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from lxml import etree

from clearing.bank.camt import MOVEMENTS_MAX, Movement, all_of, bad_file, text_of, too_many

REJECTED: Final = "RJCT"


def read_pain002(
    root: etree._Element, payments_of: Callable[[str], Iterable[str]]
) -> list[Movement]:
    """Return the payments that a report rejects.

    Args:
        root: The document.
        payments_of: Returns the EndToEndIds of the payments in a file of ours, by its MsgId.

    Raises:
        InvalidCamtError: It says of no file of ours what it must, or it is too long.
    """
    message = text_of(root, "CstmrPmtStsRpt", "GrpHdr", "MsgId") or ""
    group = next(iter(all_of(root, "OrgnlGrpInfAndSts")), None)
    if group is None:
        raise bad_file("OrgnlGrpInfAndSts가 없습니다", "it has no OrgnlGrpInfAndSts")
    found = list(_rejected(root, group, payments_of))
    if len(found) > MOVEMENTS_MAX:
        raise too_many()
    return [_movement(message, *each) for each in found]


def _rejected(
    root: etree._Element, group: etree._Element, payments_of: Callable[[str], Iterable[str]]
) -> Iterator[tuple[str, str]]:
    """Yield EndToEndId and reason: of payments that are named, else of all in the file."""
    instructions = all_of(root, "OrgnlPmtInfAndSts")
    wholes = [(group, "GrpSts"), *((each, "PmtInfSts") for each in instructions)]
    named = set[str]()
    for each in all_of(root, "TxInfAndSts"):
        id_, status = text_of(each, "OrgnlEndToEndId"), text_of(each, "TxSts")
        if id_ is None or status is None:
            continue
        named.add(id_)
        if status == REJECTED:
            yield id_, _reason(each)
    for element, name in wholes:
        if text_of(element, name) == REJECTED:
            for id_ in payments_of(text_of(group, "OrgnlMsgId") or ""):
                if id_ not in named:
                    named.add(id_)
                    yield id_, _reason(element)


def _reason(element: etree._Element) -> str:
    """Return the code of a status reason, or an empty text."""
    for name in ("Cd", "Prtry"):
        if found := text_of(element, "StsRsnInf", "Rsn", name):
            return found[:35]
    return ""


def _movement(message: str, end_to_end_id: str, reason: str) -> Movement:
    said = repr((message, end_to_end_id)).encode()
    return Movement(
        reference=f"s-{hashlib.sha256(said).hexdigest()[:32]}",
        likeness=None,
        is_notified=True,
        is_credit=False,
        is_booked=True,
        amount="",
        currency="",
        end_to_end_id=end_to_end_id[:35],
        remittance="",
        debtor_account=None,
        debtor_bank=None,
        debtor_name=None,
        is_status=True,
        reason=reason,
    )
