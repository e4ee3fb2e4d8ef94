"""The operator's commands against a running clearing service, from the close to the bank."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from databank.cli.program import run
from schemas.payout import officer_key_id
from schemas.signature import SigningKey
from schemas.usage import HEADER, MEDIA_TYPE
from tests.support.bank import (
    ADMIN,
    NOON,
    OFFICERS,
    Bank,
    Company,
    Meter,
    Receiver,
    agreement,
    company,
    plan,
)
from tests.support.camt import Moved, camt

Command = Callable[..., Any]


@pytest.fixture
def operator(bank: Bank, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run a command and return its JSON, or its text with ``is_text``."""
    environment = {"DATABANK_CLEARING_URL": bank.url, "DATABANK_CLEARING_TOKEN": ADMIN}

    def command(*words: str, code: int = 0, is_text: bool = False) -> Any:
        options = ["--lang", "ko"] if is_text else ["--json"]
        assert run([*options, "operator", *words], environment) == code
        said = capsys.readouterr()
        if code:
            return said.err
        return said.out if is_text else json.loads(said.out)

    return command


@pytest.fixture
def used(bank: Bank, steel: Company, curator: Company) -> Bank:
    told, meter = agreement(steel, curator, plan(per_row=1)), Meter(steel)
    bank.agree(told, steel, curator)
    bank.deposit(curator, 50_000)
    assert bank.send(steel, meter.batch([meter.record(told, rows=10_000, at=NOON)])).is_success
    account = {"bank": "004", "number": "123456789012", "holder": "회사"}
    for params in ({"participant_id": bank.did}, {"participant_id": steel.id}):
        body = {"account": account}
        assert bank.admin("POST", "/admin/billing-profile", params=params, json=body).is_success
    return bank


@pytest.mark.usefixtures("used")
def test_a_month_is_closed_and_paid_by_commands(
    operator: Command, steel: Company, tmp_path: Path
) -> None:
    assert "쓰지 않았습니다" in operator("close", "2026-11", "--dry-run", is_text=True)
    closed = operator("close", "2026-11")
    assert closed["is_closed"]
    assert "마감되었습니다" in operator("close", "2026-11", is_text=True)

    payout = operator("payout", "draft")
    assert payout["total_won"] == "10450"
    for officer in ("kim", "lee"):
        key = tmp_path / f"{officer}.json"
        key.write_text(json.dumps(OFFICERS[officer].private_jwk))
        words = ("payout", "approve", "P000001", "--officer", officer, "--key", str(key), "--yes")
        assert "검토한 파일이 아닙니다" in operator(*words, "--sha256", "0" * 64, code=1)
        payout = operator(*words, "--sha256", payout["sha256"])
    assert payout["status"] == "released"
    file = tmp_path / "pain.xml"
    operator("payout", "file", "P000001", "--output", str(file))
    assert b"<EndToEndId>P000001-0001</EndToEndId>" in file.read_bytes()
    report = tmp_path / "camt.xml"
    report.write_bytes(camt(Moved("B1", "10450", end_to_end_id="P000001-0001"), Moved("B2", "1")))
    assert "지급됨" in operator("bank-report", str(report), is_text=True)
    (waiting,) = operator("bank-report")["movements"]
    assert (waiting["reference"], waiting["outcome"]) == ("B2", "unknown")
    assert "지급됨" in operator("payout", "show", "P000001", is_text=True)
    assert "₩10,450" in operator("payout", "list", is_text=True)

    payment = "P000001-0001"
    back = Moved("B3", "9950", is_credit=True, end_to_end_id=payment, reason="AC04")
    report.write_bytes(camt(back))
    assert "반송됨" in operator("bank-report", str(report), is_text=True)
    signing = ("--officer", "kim", "--key", str(tmp_path / "kim.json"), "--yes")
    assert "payee" in operator("payout", "fee", payment, "bank", *signing, code=1)
    operator("payout", "fee", payment, "operator", *signing)
    shown = operator("payout", "show", "P000001")["payments"][0]["came_back"]
    assert (shown["fee_won"], shown["said"]) == ("500", {"kim": "operator"})
    assert "bearer" not in shown, "one officer is not enough"
    other = ("--officer", "lee", "--key", str(tmp_path / "lee.json"), "--yes")
    shown = operator("payout", "fee", payment, "operator", *other, is_text=True)
    assert all(words in "".join(shown.split()) for words in ("AC04", "수수료₩500", "운영기관부담"))
    assert "송금할 금액이 없습니다" in operator("payout", "draft", code=1)
    assert operator("payout", "draft", "--again", steel.id)["total_won"] == "10450"


def test_a_difference_is_held_decided_and_credited_by_commands(
    bank: Bank, used: Bank, curator: Company, operator: Command
) -> None:
    receiver = Receiver(curator)
    told = agreement(company("steel", "광양제철"), curator, plan(per_row=1))
    jws, body = receiver.batch([receiver.record(told, rows=9_000, at=NOON)])
    headers = {HEADER: jws, "Content-Type": MEDIA_TYPE}
    answer = used.call(curator, "POST", "/usage/acknowledgements", content=body, headers=headers)
    assert answer.is_success, answer.text
    assert "양쪽이 다르게 센 1건, ₩1,000" in operator("close", "2026-11", "--dry-run", is_text=True)
    operator("close", "2026-11")
    (held,) = operator("dispute", "list")["disputes"]
    assert (held["claimed_won"], held["status"]) == ("1000", "open")
    id_ = held["dispute_id"]
    assert "판정할 수 있습니다" in operator(
        "dispute", "decide", id_, "400", "--reason", "이르다", code=1
    )
    bank.clock.advance(days=11)
    assert "찾을 수 없습니다" in operator("dispute", "show", "D0", code=4)
    assert "운영기관" in operator("dispute", "show", id_, is_text=True)
    decided = operator("dispute", "decide", id_, "400", "--reason", "둘 다 절반만 보였다")
    assert (decided["status"], decided["refunded_won"]) == ("decided", "400")
    operator("close", "2026-12")
    said = operator("statements", "2026-12", is_text=True)
    assert "매입 감액" in said
    assert "-₩400" in said
    drafts = bank.admin("GET", "/admin/invoices/2026-12").json()["invoices"]
    assert {each["amendment_code"] for each in drafts} == {"02"}
    original = "2026-11-steel-1-steel-curator"
    assert original in {each["original_invoice_id"] for each in drafts}


@pytest.mark.usefixtures("used")
def test_an_officer_sees_what_the_file_pays_before_signing(
    operator: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operator("close", "2026-11")
    operator("payout", "draft")
    key = tmp_path / "kim.json"
    key.write_text(json.dumps(OFFICERS["kim"].private_jwk))
    words = ("payout", "approve", "P000001", "--officer", "kim", "--key", str(key))
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    said = operator(*words, code=1)
    for part in ("광양제철", "123456789012", "004", "₩10,450"):
        assert part in said
    assert operator("payout", "show", "P000001")["approved_by"] == []
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert operator(*words)["approved_by"] == ["kim"]


def test_an_officers_key_is_made_once_and_only_its_public_half_is_told(
    operator: Command, tmp_path: Path
) -> None:
    path = tmp_path / "choi.json"
    told = operator("officer-key", "choi", "--output", str(path))
    key = SigningKey(officer_key_id("choi"), json.loads(path.read_text()))
    assert told["officers"] == {"choi": key.public.jwk["x"]}
    assert key.private_jwk["d"] not in json.dumps(told)
    assert path.stat().st_mode & 0o077 == 0
    assert "choi.json" in operator("officer-key", "choi", "--output", str(path), code=1)


@pytest.mark.usefixtures("used")
def test_what_cannot_be_is_said_in_words(operator: Command, tmp_path: Path) -> None:
    assert "2026-11" in operator("close", "soon", code=1)
    assert "P9" in operator("payout", "show", "P9", code=4)
    assert "officer-key" in operator(
        "payout", "approve", "P1", "--officer", "kim", "--key", str(tmp_path / "none"), code=1
    )
    assert "none.xml" in operator("bank-report", str(tmp_path / "none.xml"), code=1)
    operator("close", "2026-11")
    operator("payout", "draft")
    assert operator("payout", "void", "P000001", "--reason", "확인")["status"] == "void"
