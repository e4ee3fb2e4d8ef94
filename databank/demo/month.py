"""The month's end: documents for everybody, and a payout that two officers release."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from databank.cli.surface import Surface
from databank.client.api import expect_success
from databank.demo.cast import Cast
from databank.demo.story import Company, Story
from schemas.bank import Statement
from schemas.billing import BankAccount, BillingProfile
from schemas.ids import did_web
from schemas.invoice import InvoiceList
from schemas.money import in_won
from schemas.participant import Participant
from schemas.payout import PayoutStatus, PayoutView, officer_key_id, sign_approval
from schemas.signature import SigningKey, generate_key

BANK: Final = "004"
ADDRESS: Final = "서울특별시 중구 가상로 1"
REPRESENTATIVE: Final = "홍길동"


def make_officers() -> dict[str, SigningKey]:
    """Make the keys of two officers; clearing is told the public halves."""
    return {
        name: SigningKey(officer_key_id(name), generate_key(f"officer:{name}").private_jwk)
        for name in ("kim", "lee")
    }


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """What happens once a month's statements are issued; ``files`` keeps the documents."""

    surface: Surface
    story: Story
    cast: Cast
    participants: Mapping[str, Participant]
    officers: Mapping[str, SigningKey]
    files: Path | None

    def finish(self, period: str, statements: Sequence[Statement]) -> list[str]:
        """Print documents, pay out, and return every sum that does not hold."""
        self._tell_billing()
        faults = self._documents(period, statements)
        payout = self._pay_out()
        earned = sum(statement.sales_total_won for statement in statements)
        if payout.total_won != earned:
            faults.append(f"payout = sales: {payout.total_won} ≠ {earned}")
        if payout.status is not PayoutStatus.RELEASED:
            faults.append(f"payout: {payout.status}")
        return faults

    def _companies(self) -> list[Company]:
        return [*(offering.company for offering in self.story.offerings), self.story.curator]

    def _tell_billing(self) -> None:
        """Each company tells what invoices and payouts need; the operator tells its account."""
        for number, company in enumerate(self._companies(), 1):
            profile = _profile(self.participants[company.handle].name, number)
            management = self.cast.session(company).management
            management.post("/management/billing-profile", profile.to_json())
        clearing = self.cast.clearing
        answer = clearing.send(
            "POST",
            "/admin/billing-profile",
            params={"participant_id": did_web(clearing.url)},
            json=_profile("산업데이터은행", 0).to_json(),
        )
        expect_success(answer)

    def _documents(self, period: str, statements: Sequence[Statement]) -> list[str]:
        """Fetch PDF statements, passbooks and invoices, and add the invoices up."""
        readers = self._companies() if self.files is not None else [self.story.curator]
        for company in readers:
            session = self.cast.session(company)
            self._keep(f"{company.handle}-{period}.pdf", session.statement_pdf(period))
            self._keep(f"{company.handle}-passbook.csv", session.passbook_file("csv"))
        count = len(readers)
        drafts = InvoiceList.model_validate(self.cast.clearing.get(f"/admin/invoices/{period}"))
        invoiced = sum(each.total_won for each in drafts.invoices)
        self._tell(
            f"명세서 PDF와 통장 CSV {count}건씩, 세금계산서 초안 {len(drafts.invoices)}건 "
            f"(합계 {in_won(invoiced)})",
            f"{count} statements as PDF, {count} passbooks as CSV, {len(drafts.invoices)} invoice "
            f"drafts ({in_won(invoiced)} in all)",
        )
        lines = [line for statement in statements for line in statement.sales]
        stated = sum(line.supply_won + line.vat_won for line in lines)
        stated += sum(line.fee_won + line.fee_vat_won for line in lines)
        faults = [] if invoiced == stated else [f"invoices = statements: {invoiced} ≠ {stated}"]
        return faults + [
            f"invoice {i.invoice_id} misses a field" for i in drafts.invoices if i.missing
        ]

    def _pay_out(self) -> PayoutView:
        """Draft a payout, and let both officers sign the file that they fetched."""
        clearing = self.cast.clearing
        payout = PayoutView.model_validate(clearing.post("/payouts"))
        path = f"/payouts/{payout.payout_id}"
        for officer, key in self.officers.items():
            content = expect_success(clearing.send_repeatedly("GET", f"{path}/file")).content
            sha256 = hashlib.sha256(content).hexdigest()
            body = {"officer": officer, "approval": sign_approval(payout.payout_id, sha256, key)}
            payout = PayoutView.model_validate(clearing.post(f"{path}/approvals", body))
            self._keep(f"{payout.payout_id}.xml", content)
        officers = ", ".join(payout.approved_by)
        self._tell(
            f"송금 {payout.payout_id}: {len(payout.payments)}곳에 {in_won(payout.total_won)}, "
            f"승인 {officers} · pain.001 {payout.sha256[:16]}…",
            f"Payout {payout.payout_id}: {in_won(payout.total_won)} to {len(payout.payments)}, "
            f"approved by {officers} · pain.001 {payout.sha256[:16]}…",
        )
        return payout

    def _keep(self, name: str, content: bytes) -> None:
        if self.files is not None:
            self.files.mkdir(parents=True, exist_ok=True)
            (self.files / name).write_bytes(content)

    def _tell(self, ko: str, en: str) -> None:
        self.surface.note(f"   {self.surface.say(ko, en)}")


def _profile(name: str, number: int) -> BillingProfile:
    account = BankAccount(bank=BANK, number=f"1234567890{number:02d}", holder=name)
    return BillingProfile(representative=REPRESENTATIVE, address=ADDRESS, account=account)
