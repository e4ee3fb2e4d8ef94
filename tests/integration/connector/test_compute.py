"""Processor time of queries: measured in the worker, bounded, and not what the clock says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final

import psutil
import pyarrow as pa
import pytest

from connector.dataplane.brake import OverComputeError
from connector.dataplane.pool import Limits, QueryPool, Result
from connector.publish.arrow_file import write_partial
from tests.support.use import wait_until

LIMITS: Final = Limits(
    seconds=20, rows=50_000, bytes=2**24, memory_bytes=1_250_000_000, workers=1, waiting=1
)
SHORT: Final = "SELECT count(*) FROM asset"
LONG: Final = (
    "SELECT count(*) FROM asset a JOIN asset b ON (a.n * b.n) % 7 = 3 JOIN asset c ON c.n < 60"
)
ROWS: Final = "SELECT a.n, b.n FROM asset a JOIN asset b ON (a.n * b.n) % 65000 = 3"


@pytest.fixture(scope="module")
def asset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "asset.arrow"
    write_partial(pa.table({"n": pa.array(range(4000), pa.int64())}), path)
    return path


@pytest.fixture(scope="module")
def pool() -> Iterator[QueryPool]:
    with closing(QueryPool(LIMITS)) as running:
        yield running


def ask(pool: QueryPool, asset: Path, sql: str, ms_max: int | None = None) -> Result:
    return pool.run(
        asset, process_id="urn:process:1", dataset="asset", sql=sql, compute_ms_max=ms_max
    )


def test_what_computes_longer_takes_more_and_never_more_than_has_passed(
    pool: QueryPool, asset: Path
) -> None:
    ask(pool, asset, SHORT)  # the worker has started and mapped the file
    started = time.monotonic()
    long = ask(pool, asset, LONG)
    passed_ms = (time.monotonic() - started) * 1000
    assert 50 < long.compute_ms <= passed_ms
    assert ask(pool, asset, SHORT).compute_ms < long.compute_ms / 2


def worker_of(pool: QueryPool) -> psutil.Process:
    """Return the process of the one worker."""
    (worker,) = pool._idle
    return psutil.Process(worker.pid)


def spent_ms(worker: psutil.Process) -> float:
    times = worker.cpu_times()
    return float(times.user + times.system) * 1000


def test_time_in_which_the_worker_does_not_run_is_not_counted(pool: QueryPool, asset: Path) -> None:
    usual = ask(pool, asset, LONG).compute_ms
    worker = worker_of(pool)
    with ThreadPoolExecutor(1) as threads:
        started, before = time.monotonic(), spent_ms(worker)
        asked = threads.submit(ask, pool, asset, LONG)
        wait_until(lambda: spent_ms(worker) > before, "the worker begins")
        worker.suspend()
        wait_until(lambda: time.monotonic() > started + usual / 200, "time goes by")
        worker.resume()
        found = asked.result()
    passed_ms = (time.monotonic() - started) * 1000
    assert passed_ms > usual * 4
    assert found.compute_ms < usual * 2


@pytest.mark.parametrize("sql", [LONG, ROWS])
def test_a_query_is_stopped_when_its_processor_time_is_used_up(
    pool: QueryPool, asset: Path, sql: str
) -> None:
    whole = ask(pool, asset, sql)
    before = spent_ms(worker_of(pool))
    with pytest.raises(OverComputeError):
        ask(pool, asset, sql, whole.compute_ms // 8)
    assert spent_ms(worker_of(pool)) - before < whole.compute_ms * 0.75
    again = ask(pool, asset, sql, whole.compute_ms * 20)
    assert again.sha256 == whole.sha256  # the worker goes on with the next
    assert ask(pool, asset, SHORT, 10_000).rows_count == 1
