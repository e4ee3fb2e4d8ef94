"""The passbook in the browser: a month a page, with the balance after each line, and as files."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import httpx
import pytest

from databank.kit.clock import system_clock
from tests.support.connectors import Running
from tests.support.desk import Person, signed_in
from tests.support.use import ADMIN, contract, put_file, wait_until

SEOUL = timezone(timedelta(hours=9))


@pytest.fixture
def joined(buyer: Running, supplier: Running, clearing: str) -> Running:
    """A buyer that clearing knows, and a deposit whose memo is somebody's text."""
    contract(buyer, supplier, put_file(supplier))
    body = {
        "deposit_id": "bank-1",
        "participant_id": buyer.runtime.did,
        "amount_won": "2200000",
        "memo": "<b>누리</b> 11월",
    }
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = httpx.post(f"{clearing}/deposits", json=body, headers=headers)
    assert answer.is_success, answer.text
    return buyer


def test_the_desk_shows_a_month_of_the_passbook_and_gives_it_as_files(joined: Running) -> None:
    month = f"{system_clock().astimezone(SEOUL):%Y-%m}"
    with signed_in(joined) as person:
        shown = person.look("/passbook")
        for words in (
            "통장",
            "잔액 ₩2,200,000",
            "쓸 수 있는 돈",
            month,
            "입금",
            "은행",
            "<b>누리</b> 11월",
        ):
            assert words in shown.text
        assert "<b>" not in shown.html
        assert "이어서 보기" not in shown.text
        assert ("href", f"/desk/passbook/{month}.csv") in shown.attributes
        english = person.look(f"/passbook?period={month}&lang=en").text
        for words in ("Passbook", "Balance", "deposit", "Fee taken"):
            assert words in english
        empty = person.look("/passbook?period=2020-01&lang=ko")
        assert "이 달에는 움직인 돈이 없습니다" in empty.text
        assert ("href", "/desk/passbook?period=2019-12") in empty.attributes
        assert ("href", "/desk/passbook?period=2020-02") in empty.attributes
        table = person.http.get(f"/desk/passbook/{month}.csv")
        assert "입금" in table.content.decode("utf-8-sig")
        assert f'filename="passbook-{month}.csv"' in table.headers["content-disposition"]
        assert person.http.get(f"/desk/passbook/{month}.pdf").content.startswith(b"%PDF-")


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/passbook?period=2026-13", 422, "2026-11처럼"),
        ("/passbook?cursor=x", 502, "next_cursor"),  # it is clearing that refuses
        ("/passbook/2026-1.csv", 422, "2026-11처럼"),
    ],
)
def test_what_is_no_month_and_no_page_is_said_on_a_page(
    joined: Running, path: str, status: int, words: str
) -> None:
    with signed_in(joined) as person:
        page = person.look(path)
    assert page.status == status
    assert words in page.text


def test_nobody_reads_a_passbook_without_signing_in(joined: Running) -> None:
    with Person(joined) as stranger:
        for path in ("/passbook", "/passbook/2026-11.csv"):
            page = stranger.look(path)
            assert "관리 토큰" in page.text
            assert "₩" not in page.text


def test_a_month_of_the_passbook_is_asked_for_by_api(joined: Running) -> None:
    month = f"{system_clock().astimezone(SEOUL):%Y-%m}"

    def lines(**params: Any) -> list[dict[str, Any]]:
        answer = joined.manage("GET", "/passbook", params=params)
        assert answer.is_success, answer.text
        return list(answer.json()["lines"])

    wait_until(lambda: bool(lines()), "the deposit in the passbook")
    assert lines(period=month) == lines()
    assert lines(period="2020-01") == []
    assert joined.manage("GET", "/passbook", params={"period": "2020"}).status_code == 422
