"""What clearing says of us, asked as ourselves."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

import httpx

from connector.management.joining import check_joined
from connector.runtime import Runtime
from databank.kit.http import ServiceClient, expect_json
from schemas.close import PERIOD
from schemas.ids import did_web
from schemas.problem import InvalidRequestError


def check_period(period: str) -> None:
    """Let a period pass that is a calendar month.

    Raises:
        InvalidRequestError: It is not written ``YYYY-MM``.
    """
    if not re.fullmatch(PERIOD, period):
        raise InvalidRequestError(
            ko=f"정산 기간은 2026-11처럼 씁니다: {period}",
            en=f"A period is written like 2026-11, not {period}.",
        )


def ask_clearing(runtime: Runtime, path: str, params: dict[str, str]) -> dict[str, Any]:
    """Return what clearing answers to a question of ours.

    Raises:
        NotJoinedError: Clearing does not know us, since we have not joined.
        RemoteRefusedError: It refuses for another reason.
    """
    return expect_json(_answer(runtime, path, params))


def ask_clearing_for_bytes(runtime: Runtime, path: str, params: dict[str, str]) -> bytes:
    """Return clearing's answer as it came, for what is signed or hashed.

    Raises:
        NotJoinedError: Clearing does not know us, since we have not joined.
        RemoteRefusedError: It refuses for another reason.
    """
    answer = _answer(runtime, path, params)
    if not answer.is_success:
        expect_json(answer)
    return answer.content


def passbook_page(
    runtime: Runtime, *, cursor: str | None, limit: int, period: str | None
) -> dict[str, Any]:
    """Return a page of our passbook, all of it or one month (`schemas.bank.Passbook`).

    Raises:
        InvalidRequestError: No month, or the cursor is not one of clearing's.
        NotJoinedError: Clearing does not know us, since we have not joined.
    """
    params = {"limit": str(limit), "cursor": cursor, "period": period}
    if period is not None:
        check_period(period)
    given = {name: value for name, value in params.items() if value}
    return ask_clearing(runtime, "/passbook", given)


def passbook_bytes(runtime: Runtime, form: str, period: str | None) -> bytes:
    """Return our passbook as a file, all of it or one month.

    Raises:
        InvalidRequestError: No month.
        NotJoinedError: Clearing does not know us, since we have not joined.
    """
    if period is not None:
        check_period(period)
    params = {} if period is None else {"period": period}
    return ask_clearing_for_bytes(runtime, f"/passbook/{form}", params)


def tell_clearing(runtime: Runtime, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Tell clearing something of ours, and return what it answers.

    Raises:
        NotJoinedError: Clearing does not know us, since we have not joined.
        RemoteRefusedError: It refuses for another reason.
    """
    clearing = runtime.settings.clearing_url.rstrip("/")
    client: ServiceClient = runtime.client
    answer = client.call("POST", f"{clearing}{path}", audience=did_web(clearing), json=body)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        check_joined(runtime)
    return expect_json(answer)


def _answer(runtime: Runtime, path: str, params: dict[str, str]) -> httpx.Response:
    clearing = runtime.settings.clearing_url.rstrip("/")
    client: ServiceClient = runtime.client
    answer = client.call("GET", f"{clearing}{path}", audience=did_web(clearing), params=params)
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        check_joined(runtime)  # says it in our own words, if that is why
    return answer
