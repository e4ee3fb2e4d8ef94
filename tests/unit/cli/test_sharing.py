"""Edges of a split plan as they are written on the command line."""

from __future__ import annotations

from typing import Any

import pytest

from databank.cli.account import show_statement
from databank.cli.bad_answer import BadAnswerError
from databank.cli.sharing import read_edge
from databank.cli.surface import Surface
from schemas.bank import Statement
from schemas.ids import DatasetId, ParticipantId
from schemas.shares import EdgeRole, RoyaltyLine, SplitEdge
from tests.support.bank import NOON

ID = "urn:uuid:1"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{ID} gross=5%", {"basis": "pct_of_gross", "share": "50000"}),
        (f"{ID} net=30%", {"basis": "pct_of_net", "share": "300000"}),
        (f"{ID} net=0.0001%", {"basis": "pct_of_net", "share": "1"}),
        (f"{ID} net=100%", {"basis": "pct_of_net", "share": "1000000"}),
        (f"{ID} row=0.5", {"basis": "per_unit_royalty", "share": "500000", "unit": "row"}),
        (f"{ID} query=10", {"basis": "per_unit_royalty", "share": "10000000", "unit": "query"}),
        (f"{ID} megabyte=1", {"basis": "per_unit_royalty", "share": "1000000", "unit": "megabyte"}),
        (f"{ID} month=50,000", {"basis": "fixed_per_period", "share": "50000000000"}),
        (
            f"{ID} gross=5%/floor=1000/cap=2000.5/agent",
            {
                "basis": "pct_of_gross", "share": "50000", "role": "agent",
                "floor_micro": "1000000000", "cap_micro": "2000500000",
            },
        ),
    ],
)  # fmt: skip
def test_an_edge_is_read_as_it_is_written(text: str, told: dict[str, Any]) -> None:
    found = read_edge(text)
    assert found == {"agreement_id": ID, **told}
    SplitEdge.model_validate(found)


@pytest.mark.parametrize(
    "text",
    ["", ID, f"{ID} 30%", f"{ID} net=30", f"{ID} net=0.00001%", f"{ID} row=x", f"{ID} barter=1",
     f"{ID} net=30%/foot=1", f"{ID} net=30%/floor=", f"{ID} net=-1%", f"{ID} month=-5"],
)  # fmt: skip
def test_what_is_no_edge_is_told_with_an_example(text: str) -> None:
    with pytest.raises(BadAnswerError, match="net=30%"):
        read_edge(text)


@pytest.mark.parametrize(("language", "word"), [("ko", "받은 로열티"), ("en", "royalty received")])
def test_a_statement_shows_its_royalties(
    language: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line = RoyaltyLine(
        number=1,
        plan_sha256="0" * 64,
        income_id="1",
        product_id=DatasetId("p"),
        product_title="불량과 탄소",
        upstream_id=DatasetId("u"),
        upstream_title="압연",
        role=EdgeRole.PRINCIPAL,
        counterparty_id=ParticipantId("did:web:curator.example"),
        counterparty_name="큐레이터",
        supply_won=285,
        vat_won=28,
        fee_won=0,
        fee_vat_won=0,
        net_won=313,
    )
    empty = Statement(
        statement_id="s", participant_id=ParticipantId("did:web:a.example"), participant_name="가",
        brn="1000000009", period="2026-11", issued_at=NOON, purchases=(), sales=(),
        royalties_received=(line,), purchases_total_won=0, sales_total_won=0, vat_paid_won=0,
        vat_collected_won=0, fee_total_won=0,
    )  # fmt: skip
    show_statement(
        empty.model_copy(update=empty.sums()), Surface(environment={}, language=language)
    )
    said = capsys.readouterr().out
    assert word in said
    assert "₩313" in said
