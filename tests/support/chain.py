"""A small chain of derived products at the bank, to share what they are sold for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import httpx

from clearing.payout.store import payables
from databank.kit.db import Database
from schemas.bank import AgreementRecord, Statement
from schemas.close import CloseReport
from schemas.dispute import DisputeView
from schemas.shares import PlanView, RoyaltyList
from tests.support.bank import NOON, Bank, Company, Meter, agreement, company, plan

PERIOD = "2026-11"
WON = 1_000_000


class Chain:
    """B uses A's dataset, C uses A's and B's, and Y buys C's product: the digest's example."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.a, self.b, self.c, self.y = (
            company(handle, name)
            for handle, name in [
                ("steel", "광양제철"), ("carbon", "탄소"),
                ("curator", "큐레이터"), ("buyer", "구매사"),
            ]
        )  # fmt: skip
        bank.join(self.a, self.b, self.c, self.y)
        self.b_of_a = self.told(self.a, self.b, "ab")
        self.c_of_a = self.told(self.a, self.c, "ac")
        self.c_of_b = self.told(self.b, self.c, "b")
        self.sale = self.told(self.c, self.y, "product", plan(per_query=1000))
        self.meters = {each.id: Meter(each) for each in (self.a, self.b, self.c)}

    def told(
        self, seller: Company, buyer: Company, name: str, tariff: Any = None
    ) -> AgreementRecord:
        record = agreement(seller, buyer, tariff or plan(), name=name)
        self.bank.agree(record, seller, buyer)
        return record

    def register(self, who: Company, record: AgreementRecord, *edges: dict[str, Any],
                 request_id: str = "r1", from_period: str = PERIOD) -> httpx.Response:  # fmt: skip
        body = {
            "request_id": request_id,
            "product_id": record.dataset_id,
            "product_title": record.dataset_title,
            "from_period": from_period,
            "edges": list(edges),
        }
        return self.bank.call(who, "POST", "/shares/plans", json=body)

    def register_example(self) -> tuple[PlanView, PlanView]:
        lower = self.register(self.b, self.c_of_b, edge(self.b_of_a, "pct_of_gross", 100_000))
        upper = self.register(
            self.c,
            self.sale,
            edge(self.c_of_a, "pct_of_net", 300_000),
            edge(self.c_of_b, "pct_of_net", 200_000),
        )
        assert lower.status_code == upper.status_code == 200, upper.text
        return tuple(PlanView.model_validate(each.json()) for each in (lower, upper))  # type: ignore[return-value]

    def sell(self, queries: int, *, at: datetime = NOON) -> None:
        meter = self.meters[self.c.id]
        batch = meter.batch([meter.record(self.sale, rows=1, at=at) for _ in range(queries)])
        answer = self.bank.send(self.c, batch)
        assert answer.status_code == 200, answer.text

    def close(self, period: str = PERIOD) -> CloseReport:
        answer = self.bank.admin("POST", f"/periods/{period}/close")
        assert answer.status_code == 200, answer.text
        return CloseReport.model_validate(answer.json())

    def statements(self, who: Company, period: str = PERIOD) -> list[Statement]:
        query = {"participant_id": who.id}
        found = self.bank.admin("GET", f"/admin/statements/{period}", params=query).json()
        return [Statement.model_validate(each) for each in found["statements"]]

    def payable(self, database_url: str) -> dict[str, int]:
        """Return what a payout would pay now, by name."""
        database = Database(database_url)
        with database.unit_of_work() as uow:
            found = {id_: each.amount for id_, each in payables(uow).items() if each.amount}
        database.close()
        names = {each.id: each.participant.name for each in (self.a, self.b, self.c)}
        return {names[id_]: amount for id_, amount in found.items()}

    def refund(self, won: int | None = None) -> None:
        """Let Y contest the month, and the operator give back supply of it, or all."""
        body = {"agreement_id": self.sale.agreement_id, "period": PERIOD, "reason": "quality",
                "text": "값이 비어 있습니다"}  # fmt: skip
        opened = self.bank.call(self.y, "POST", "/disputes", json=body)
        assert opened.status_code == 200, opened.text
        view = DisputeView.model_validate(opened.json())
        self.bank.clock.advance(days=11)  # the time for evidence is over, and it is December
        amount = view.claimed_won if won is None else won
        decided = self.bank.admin(
            "POST",
            f"/admin/disputes/{view.dispute_id}/decision",
            json={"amount_won": str(amount), "text": "그만큼 쓸 수 없었다"},
        )
        assert decided.status_code == 200, decided.text

    def royalties(self, who: Company, period: str = PERIOD) -> dict[tuple[str, str], int]:
        answer = self.bank.call(who, "GET", "/shares/royalties", params={"period": period})
        found = RoyaltyList.model_validate(answer.json())
        return {(r.curator_name, r.party_name): r.due_micro for r in found.royalties}


def edge(record: AgreementRecord, basis: str, share: int, **further: Any) -> dict[str, Any]:
    return {"agreement_id": record.agreement_id, "basis": basis, "share": str(share), **further}
