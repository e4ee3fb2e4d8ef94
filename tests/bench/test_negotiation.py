"""From the buyer's request to FINALIZED, between two connectors in processes of their own."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Final

import pytest

from schemas.management import NegotiationView
from tests.support.figures import Figure, Figures
from tests.support.market import Market, connect

WARM_UP: Final = 5
NEGOTIATIONS: Final = 100
MESSAGES: Final = 5  # the buyer's own call, and four of DSP: each is answered, each is durable


def negotiate(market: Market) -> float:
    """Negotiate once; return the milliseconds until the buyer sees FINALIZED."""
    body = market.request("shift").to_json()
    api = market.town.api("buyer")
    began = time.perf_counter()
    view = NegotiationView.model_validate(api.post("/management/negotiations", body))
    shown = api.get(f"/management/negotiations/{view.pid}", wait_seconds=30)
    taken = 1000 * (time.perf_counter() - began)
    assert shown["state"] == "FINALIZED", shown
    return taken


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
