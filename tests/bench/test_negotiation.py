"""From the buyer's request to FINALIZED, between two connectors in processes of their own."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from schemas.management import NegotiationView
from tests.support.figures import Figure, Figures
from tests.support.market import Market, connect
from tests.support.processes import wait_for

WARM_UP: Final = 5
NEGOTIATIONS: Final = 100
CONTRACTS: Final = 50
CROWD: Final = 1_000
CROWD_SECONDS_MAX: Final = 1_200.0
RETRY_SECONDS: Final = 0.005
MESSAGES: Final = 5  # the buyer's own call, and four of DSP: each is answered, each is durable


def negotiate(market: Market) -> float:
    """Negotiate once; return the milliseconds until the buyer sees FINALIZED."""
    body = market.request("shift").to_json()
    began = time.perf_counter()
    agree(market, body)
    return 1000 * (time.perf_counter() - began)


def floor(connection: HTTPConnection, database: sqlite3.Connection) -> float:
    """Return the milliseconds that the messages alone take: an answer and a commit for each."""
    began = time.perf_counter()
    for number in range(MESSAGES):
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        database.execute("INSERT INTO message VALUES (?)", [f"{number} " * 500])
        database.commit()
    return 1000 * (time.perf_counter() - began)


def open_durable(path: Path) -> sqlite3.Connection:
    """Open SQLite as the connectors do: written ahead, and on the disk at every commit."""
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE message (body TEXT)")
    return database


def agree(market: Market, body: dict[str, Any]) -> str:
    """Ask, and wait until the agreement is final; return its id."""
    api = market.town.api("buyer")
    view = NegotiationView.model_validate(api.post("/management/negotiations", body))
    shown = api.get(f"/management/negotiations/{view.pid}", wait_seconds=30)
    assert shown["state"] == "FINALIZED", shown
    return str(shown["agreement_id"])


def read_first(market: Market, connection: HTTPConnection, agreement_id: str) -> float:
    """Read the data; return when the first byte was there."""
    path = f"/management/agreements/{agreement_id}/data"
    response = _first_answer(connection, path, market.town["buyer"].token)
    assert len(response.read(1)) == 1
    ended = time.perf_counter()
    response.read()
    return ended


def first_byte(market: Market, connection: HTTPConnection) -> tuple[float, float, float]:
    """Negotiate, transfer and read; return the milliseconds to each of the three."""
    api = market.town.api("buyer")
    began = time.perf_counter()
    agreement_id = agree(market, market.request("shift").to_json())
    finalized = time.perf_counter()
    asked = api.post("/management/transfers", {"agreement_id": agreement_id})
    started = api.get(f"/management/transfers/{asked['pid']}", wait_seconds=30)
    at_start = time.perf_counter()
    assert started["state"] == "STARTED", started
    ended = read_first(market, connection, agreement_id)
    return 1000 * (finalized - began), 1000 * (at_start - began), 1000 * (ended - began)


def first_byte_at_once(market: Market, connection: HTTPConnection) -> tuple[float, float]:
    """Have the transfer begin with the agreement, and read; return the milliseconds to both."""
    body = {**market.request("shift").to_json(), "starts_transfer": True}
    began = time.perf_counter()
    agreement_id = agree(market, body)
    finalized = time.perf_counter()
    ended = read_first(market, connection, agreement_id)
    return 1000 * (finalized - began), 1000 * (ended - began)


def _first_answer(connection: HTTPConnection, path: str, token: str) -> HTTPResponse:
    """Ask until both parties' reports have reached clearing: it holds the money only then."""

    def ask() -> HTTPResponse | None:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
            response.read()
            return None
        assert response.status == HTTPStatus.OK, response.read()
        return response

    return wait_for(ask, what="a grant", poll_seconds=RETRY_SECONDS)


@pytest.mark.benchmark
def test_to_the_first_byte(market: Market, figures: Figures) -> None:
    with closing(connect(market.town["buyer"].port)) as connection:
        for _ in range(WARM_UP):
            first_byte(market, connection)
        taken = [first_byte(market, connection) for _ in range(CONTRACTS)]
        at_once = [first_byte_at_once(market, connection)[1] for _ in range(CONTRACTS)]
    names = ("FINALIZED", "STARTED", "the first byte of data")
    for name, values in zip(names, zip(*taken, strict=True), strict=True):
        figures.add(Figure("Negotiation", f"request to {name}, in one go", "ms", values))
    name = "request to the first byte of data, the transfer begun with the agreement"
    figures.add(Figure("Negotiation", name, "ms", at_once))


async def negotiate_all(market: Market, count: int) -> list[float]:
    """Negotiate so many times at once; return the seconds that each took."""
    body = market.request("shift").to_json()
    buyer = market.town["buyer"]
    headers = {"Authorization": f"Bearer {buyer.token}"}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)

    async def one(http: httpx.AsyncClient) -> float:
        began = time.perf_counter()
        answer = await http.post("/management/negotiations", json=body)
        assert answer.status_code == HTTPStatus.CREATED, answer.text
        path = f"/management/negotiations/{answer.json()['pid']}"
        state = ""
        while state not in {"FINALIZED", "TERMINATED"}:
            answer = await http.get(path, params={"wait_seconds": 60})
            assert answer.status_code == HTTPStatus.OK, answer.text
            state = answer.json()["state"]
        assert state == "FINALIZED", answer.text
        return time.perf_counter() - began

    async with httpx.AsyncClient(
        base_url=buyer.url, headers=headers, timeout=CROWD_SECONDS_MAX, limits=limits
    ) as http:
        return await asyncio.gather(*[one(http) for _ in range(count)])


@pytest.mark.benchmark
def test_a_crowd(market: Market, figures: Figures) -> None:
    negotiate(market)
    began = time.perf_counter()
    taken = asyncio.run(negotiate_all(market, CROWD))
    seconds = time.perf_counter() - began
    assert seconds < CROWD_SECONDS_MAX
    name = f"{CROWD:,} at once with one supplier"
    figures.add(Figure("Negotiation", f"{name}: each", "s", taken))
    figures.add(Figure("Negotiation", name, "negotiations/s", [CROWD / seconds], is_rate=True))


@pytest.mark.benchmark
def test_negotiation(market: Market, figures: Figures, disk: Path) -> None:
    taken, limits = [], []
    with (
        closing(connect(market.town["supplier"].port)) as connection,
        closing(open_durable(disk / "floor.db")) as database,
    ):
        for _ in range(WARM_UP):
            negotiate(market)
        for _ in range(NEGOTIATIONS):
            limits.append(floor(connection, database))
            taken.append(negotiate(market))
    limit = f"{MESSAGES} empty answers and {MESSAGES} commits"
    figures.add(Figure("Negotiation", "request to FINALIZED", "ms", taken, limit, limits))
