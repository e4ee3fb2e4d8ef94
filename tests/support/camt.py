"""Files as a bank would send them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"


@dataclass(frozen=True)
class Moved:
    """One entry of a camt.054; ``reference`` may be empty, and ``entry`` is its NtryRef."""

    reference: str
    amount: str
    is_credit: bool = False
    end_to_end_id: str | None = None
    remittance: str = ""
    debtor_account: str = ""
    debtor_bank: str = ""
    debtor_name: str = ""
    currency: str = "KRW"
    status: str = "BOOK"
    entry: str = ""
    reason: str = ""  # then it is a return, with this reason
    charges: str = ""


def camt(*moved: Moved, namespace: str = NAMESPACE, number: str = "1") -> bytes:
    """Return a camt.054 with one entry for each movement; ``number`` is the notification's."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="{namespace}"><BkToCstmrDbtCdtNtfctn>
<GrpHdr><MsgId>bank-1</MsgId><CreDtTm>2026-12-03T10:00:00+09:00</CreDtTm></GrpHdr>
<Ntfctn><Id>{number}</Id><Acct><Id><Othr><Id>99912345678</Id></Othr></Id></Acct>
{"".join(map(_entry, moved))}
</Ntfctn></BkToCstmrDbtCdtNtfctn></Document>""".encode()


def _entry(moved: Moved) -> str:
    direction = "CRDT" if moved.is_credit else "DBIT"
    end_to_end = f"<EndToEndId>{moved.end_to_end_id}</EndToEndId>" if moved.end_to_end_id else ""
    name = f"<Dbtr><Pty><Nm>{moved.debtor_name}</Nm></Pty></Dbtr>" if moved.debtor_name else ""
    debtor = (
        f"<RltdPties>{name}<DbtrAcct><Id><Othr><Id>{moved.debtor_account}</Id></Othr></Id>"
        "</DbtrAcct></RltdPties>"
        if moved.debtor_account
        else ""
    )
    if moved.debtor_bank:
        debtor += (
            "<RltdAgts><DbtrAgt><FinInstnId><ClrSysMmbId>"
            f"<MmbId>{moved.debtor_bank}</MmbId></ClrSysMmbId></FinInstnId></DbtrAgt></RltdAgts>"
        )
    said = f"<RmtInf><Ustrd>{moved.remittance}</Ustrd></RmtInf>" if moved.remittance else ""
    back = f"<RtrInf><Rsn><Cd>{moved.reason}</Cd></Rsn></RtrInf>" if moved.reason else ""
    charges = (
        f'<Chrgs><TtlChrgsAndTaxAmt Ccy="KRW">{moved.charges}</TtlChrgsAndTaxAmt></Chrgs>'
        if moved.charges
        else ""
    )
    own = f"<AcctSvcrRef>{moved.reference}</AcctSvcrRef>" if moved.reference else ""
    of_entry = f"<NtryRef>{moved.entry}</NtryRef>" if moved.entry else ""
    return f"""<Ntry>{of_entry}<Amt Ccy="{moved.currency}">{moved.amount}</Amt>
<CdtDbtInd>{direction}</CdtDbtInd><Sts><Cd>{moved.status}</Cd></Sts>
<BookgDt><Dt>2026-12-03</Dt></BookgDt><BkTxCd><Prtry><Cd>T</Cd></Prtry></BkTxCd>
<NtryDtls><TxDtls><Refs>{own}{end_to_end}</Refs>
<Amt Ccy="{moved.currency}">{moved.amount}</Amt><CdtDbtInd>{direction}</CdtDbtInd>{charges}{debtor}
{said}{back}</TxDtls></NtryDtls></Ntry>"""


def rejection(
    payout_id: str, *payments: tuple[str, str], whole: str = "", number: str = "1"
) -> bytes:
    """Return a pain.002 that rejects payments (EndToEndId, reason), or the ``whole`` file."""
    group = (
        f"<GrpSts>RJCT</GrpSts><StsRsnInf><Rsn><Cd>{whole}</Cd></Rsn></StsRsnInf>" if whole else ""
    )
    rejected = "".join(
        f"<TxInfAndSts><OrgnlEndToEndId>{id_}</OrgnlEndToEndId><TxSts>RJCT</TxSts>"
        f"<StsRsnInf><Rsn><Cd>{reason}</Cd></Rsn></StsRsnInf></TxInfAndSts>"
        for id_, reason in payments
    )
    instruction = (
        f"<OrgnlPmtInfAndSts><OrgnlPmtInfId>{payout_id}</OrgnlPmtInfId>{rejected}"
        "</OrgnlPmtInfAndSts>"
        if rejected
        else ""
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"><CstmrPmtStsRpt>
<GrpHdr><MsgId>bank-{number}</MsgId><CreDtTm>2026-12-03T10:00:00+09:00</CreDtTm></GrpHdr>
<OrgnlGrpInfAndSts><OrgnlMsgId>{payout_id}</OrgnlMsgId><OrgnlMsgNmId>pain.001.001.09</OrgnlMsgNmId>
{group}</OrgnlGrpInfAndSts>{instruction}</CstmrPmtStsRpt></Document>""".encode()


def statement(*moved: Moved) -> bytes:
    """Return the same movements as a camt.053."""
    return (
        camt(*moved)
        .replace(b"camt.054", b"camt.053")
        .replace(b"BkToCstmrDbtCdtNtfctn", b"BkToCstmrStmt")
        .replace(b"Ntfctn>", b"Stmt>")
    )


def outcomes(report: dict[str, list[dict[str, str]]]) -> Sequence[str]:
    """Return what was made of each movement of a report."""
    return [each["outcome"] for each in report["movements"]]
