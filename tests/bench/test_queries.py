"""SQL in place at the supplier, against plain DuckDB in this process on the same file.

Both use one thread and end with an Arrow table in the buyer's memory. In place means the
whole way: signed request, policy, grant, SQL worker, durable usage record, answer over HTTP.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from typing import Final

import duckdb
import psutil
import pyarrow as pa
import pytest

from connector.dataplane.copy import copy_of
from connector.dataplane.worker import BATCH_ROWS
from databank.kit.clock import new_urn
from schemas.ids import AgreementId
from tests.support.figures import Figure, Figures
from tests.support.market import DataClient, Market, connect
from tests.support.processes import Service, wait_for

GROUP: Final = "Queries in place"
ROUNDS: Final = 9
SHORT_ROUNDS: Final = 100
CROWDS: Final = (1, 8, 32)
CROWD_QUERIES: Final = 200
HEALTH_PAUSE_SECONDS: Final = 0.01
COLD_ROUNDS: Final = 9
WARM_UP: Final = 3
PLAIN: Final = "DuckDB in process"
HOUR: Final = (
    "ts >= TIMESTAMPTZ '2026-01-01 10:00:00+00' AND ts < TIMESTAMPTZ '2026-01-01 11:00:00+00'"
)
LONG: Final = {
    "count": "SELECT count(*) FROM machine_log",
    "aggregate": "SELECT sum(kwh), avg(temp), max(pressure), min(flow) FROM machine_log",
    "distinct": "SELECT count(DISTINCT lot) FROM machine_log",
    "filter, 1 % of the rows": "SELECT * FROM machine_log WHERE temp > 85",
    "filter, 20 MB": "SELECT ts, machine, kwh, temp FROM machine_log WHERE status = 'run'",
    "group by machine and hour": (
        "SELECT machine, date_trunc('hour', ts) AS hour, sum(kwh), avg(temp) FROM machine_log "
        "GROUP BY ALL"
    ),
    "top 100": "SELECT * FROM machine_log ORDER BY kwh DESC, ts, machine LIMIT 100",
    "join with itself": (
        "SELECT a.machine, count(*), avg(a.kwh - b.mean) FROM machine_log a JOIN "
        "(SELECT lot, avg(kwh) AS mean FROM machine_log GROUP BY lot) b USING (lot) "
        "GROUP BY a.machine"
    ),
    "window": (
        "SELECT machine, max(moving) FROM (SELECT machine, avg(kwh) OVER (PARTITION BY machine "
        "ORDER BY ts ROWS 59 PRECEDING) AS moving FROM machine_log WHERE status = 'run') "
        "GROUP BY machine"
    ),
    "quantile": "SELECT machine, quantile_cont(kwh, 0.99) FROM machine_log GROUP BY machine",
    "sum of one column": "SELECT sum(kwh) FROM machine_log",
    "one hour, 4 columns": f"SELECT ts, machine, kwh, temp FROM machine_log WHERE {HOUR}",
    "one hour, all columns": f"SELECT * FROM machine_log WHERE {HOUR}",
    "text filter": "SELECT count(*), avg(kwh) FROM machine_log WHERE lot LIKE 'L-1%'",
    "join with factors": (
        "SELECT status, sum(kwh * factor) FROM machine_log JOIN (VALUES ('run', 0.47), "
        "('idle', 0.46), ('alarm', 0.48)) f(status, factor) USING (status) GROUP BY status"
    ),
}
SHORT: Final = {
    "shift": "SELECT machine, sum(kwh) AS kwh FROM shift GROUP BY machine ORDER BY kwh LIMIT 10",
    "machine_log": "SELECT * FROM machine_log LIMIT 10",
}


@contextmanager
def plain(market: Market, dataset: str) -> Iterator[Callable[[str], pa.Table]]:
    """Open DuckDB here, warm, with one thread as a worker has."""
    with pa.memory_map(str(market.file(dataset))) as source, duckdb.connect() as connection:
        connection.execute("SET threads = 1")
        connection.execute("SET TimeZone = 'UTC'")
        connection.register(dataset, pa.ipc.open_file(source).read_all())
        yield lambda sql: connection.sql(sql).to_arrow_reader(BATCH_ROWS).read_all()


def milliseconds(run: Callable[[str], pa.Table], sql: str) -> float:
    began = time.perf_counter()
    run(sql)
    return 1000 * (time.perf_counter() - began)


def rows_of(table: pa.Table) -> list[str]:
    return sorted(map(str, table.to_pylist()))


@pytest.mark.benchmark
@pytest.mark.parametrize("over", ["the engine copy", "the Arrow file"])
def test_long_queries(market: Market, figures: Figures, over: str) -> None:
    copy = copy_of(market.file("machine_log"))
    wait_for(lambda: copy.exists() or None, what="the engine copy")
    aside = copy.with_suffix(".aside")
    if over == "the Arrow file":
        copy.rename(aside)  # a transfer process that begins now finds none
    try:
        with (
            market.client(market.agree("machine_log")) as client,
            plain(market, "machine_log") as here,
        ):
            for name, sql in LONG.items():
                assert here(sql).num_rows == client.query(sql).num_rows
                taken: list[float] = []
                limits: list[float] = []
                for _ in range(ROUNDS):
                    limits.append(milliseconds(here, sql))
                    taken.append(milliseconds(client.query, sql))
                figures.add(Figure(f"{GROUP}, over {over}", name, "ms", taken, PLAIN, limits))
    finally:
        if aside.exists():
            aside.rename(copy)


@pytest.mark.benchmark
@pytest.mark.parametrize("dataset", SHORT)
def test_short_queries(market: Market, figures: Figures, dataset: str) -> None:
    sql, agreement_id = SHORT[dataset], market.agree(dataset)
    api = market.town.api("buyer")

    def through(text: str) -> pa.Table:
        path, body = f"/management/agreements/{agreement_id}/query", {"query_id": new_urn()}
        answer = api.send("POST", path, json={**body, "sql": text})
        assert answer.is_success, answer.text
        return pa.ipc.open_stream(answer.content).read_all()

    with market.client(agreement_id) as client, plain(market, dataset) as here:
        for run in (here, client.query, through):
            for _ in range(WARM_UP):
                assert rows_of(run(sql)) == rows_of(here(sql))
        limits = [milliseconds(here, sql) for _ in range(SHORT_ROUNDS)]
        taken = [milliseconds(client.query, sql) for _ in range(SHORT_ROUNDS)]
        led = [milliseconds(through, sql) for _ in range(SHORT_ROUNDS)]
        cold = [_cold(market.town["supplier"], client, sql) for _ in range(COLD_ROUNDS)]
    name = f"short on {dataset}"
    _add_short(figures, f"{name}, warm worker", taken, limits)
    _add_short(figures, f"{name}, through the buyer's connector", led, limits)
    _add_short(figures, f"{name}, no worker running", cold, limits[:COLD_ROUNDS])


@pytest.mark.benchmark
@pytest.mark.parametrize("dataset", SHORT)
def test_short_queries_of_new_texts(market: Market, figures: Figures, dataset: str) -> None:
    """Measure statements that the worker has not prepared: each differs from all before."""
    texts = (f"{SHORT[dataset].rpartition(' ')[0]} {number}" for number in count(11))
    with market.client(market.agree(dataset)) as client, plain(market, dataset) as here:
        for _ in range(WARM_UP):
            client.query(next(texts))
            here(next(texts))
        limits = [milliseconds(here, next(texts)) for _ in range(SHORT_ROUNDS)]
        taken = [milliseconds(client.query, next(texts)) for _ in range(SHORT_ROUNDS)]
    _add_short(figures, f"short on {dataset}, a new text each time", taken, limits)


@pytest.mark.benchmark
@pytest.mark.parametrize("buyers", CROWDS)
def test_many_buyers_at_once(market: Market, figures: Figures, buyers: int) -> None:
    """Measure each buyer's queries while others ask too, and what ``/healthz`` takes meanwhile."""
    agreements = [market.agree("shift") for _ in range(buyers)]
    each_rounds = max(CROWD_QUERIES // buyers, 3)
    health, is_over = [], threading.Event()

    def ask(agreement_id: AgreementId) -> list[float]:
        with market.client(agreement_id) as client:
            client.query(SHORT["shift"])
            return [milliseconds(client.query, SHORT["shift"]) for _ in range(each_rounds)]

    def look() -> None:
        with closing(connect(market.town["supplier"].port)) as connection:
            while not is_over.wait(HEALTH_PAUSE_SECONDS):
                began = time.perf_counter()
                connection.request("GET", "/healthz")
                assert connection.getresponse().read()
                health.append(1000 * (time.perf_counter() - began))

    watcher = threading.Thread(target=look)
    watcher.start()
    began = time.perf_counter()
    with ThreadPoolExecutor(buyers) as threads:
        taken = [each for list_ in threads.map(ask, agreements) for each in list_]
    seconds = time.perf_counter() - began
    is_over.set()
    watcher.join()
    name = f"{buyers} buyer{'s' if buyers > 1 else ''} at once"
    figures.add(Figure(GROUP, f"{name}: each query", "ms", taken))
    rate = buyers * (each_rounds + 1) / seconds
    figures.add(Figure(GROUP, f"{name}: all", "queries/s", [rate], is_rate=True))
    figures.add(Figure(GROUP, f"{name}: /healthz meanwhile", "ms", health))


def _add_short(figures: Figures, name: str, taken: list[float], limits: list[float]) -> None:
    figures.add(Figure(GROUP, name, "ms", taken, PLAIN, limits))
    base = statistics.median(limits)
    figures.add(Figure(GROUP, f"{name}: overhead", "ms", [each - base for each in taken]))


def _cold(service: Service, client: DataClient, sql: str) -> float:
    """Time a query whose SQL worker has to be started first."""
    assert service.process is not None
    children = psutil.Process(service.process.pid).children()
    for child in children:
        child.kill()
    wait_for(lambda: all(map(_is_dead, children)) or None, what="the end of the workers")
    client.connection.close()  # it may have been idle for too long; the next call opens it anew
    return milliseconds(client.query, sql)


def _is_dead(process: psutil.Process) -> bool:
    """Whether nothing of it runs; its parent learns of the end after its last thread's."""
    if not process.is_running():
        return True
    return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() == 1
