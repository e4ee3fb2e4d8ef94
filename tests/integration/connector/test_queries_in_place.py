"""SQL in place: hostile text is refused, honest text runs, and time is kept."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import duckdb
import psutil
import pyarrow as pa
import pytest

from connector.dataplane import worker
from connector.dataplane.pool import (
    Limits,
    QueryFailedError,
    QueryPool,
    QueryRefusedError,
    QueryTimeoutError,
    Result,
    ResultTooLargeError,
)
from connector.publish.arrow_file import write_partial
from tests.support.processes import wait_for
from tests.support.shared import shared

LIMITS: Final = Limits(
    seconds=3, rows=50_000, bytes=2**24, memory_bytes=1_250_000_000, workers=1, waiting=1
)
SECRET: Final = "CANARY-7f3a9c"
HONEST: Final = """
SELECT count(*) FROM asset
SELECT plant, sum(kwh) AS s, avg(kwh), min(kwh), max(kwh) FROM asset GROUP BY plant ORDER BY s DESC
SELECT plant, count(*) FROM asset GROUP BY plant HAVING count(*) > 1 ORDER BY 1 LIMIT 3
WITH c AS (SELECT plant, sum(kwh) AS s FROM asset GROUP BY plant) SELECT * FROM c WHERE s > 1
WITH c AS (SELECT kwh FROM asset), d AS (SELECT max(kwh) AS m FROM c) SELECT m FROM d
SELECT x.kwh FROM asset x JOIN asset y ON x.n = y.n AND x.n < 10
SELECT x.n FROM asset x LEFT JOIN asset y USING (n) WHERE y.n IS NULL
SELECT plant, row_number() OVER (PARTITION BY plant ORDER BY kwh) AS r FROM asset QUALIFY r = 1
SELECT n, lag(kwh) OVER (ORDER BY n) FROM asset
SELECT n, sum(kwh) OVER (ORDER BY n ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) FROM asset
SELECT CASE WHEN kwh > 50 THEN '많음' ELSE '적음' END AS "구분", count(*) FROM asset GROUP BY 1
SELECT "공정" FROM asset WHERE "공정" = '제강'
SELECT 공정, avg(kwh) FROM asset WHERE 공정 LIKE '제%' GROUP BY 공정
SELECT date_trunc('day', taken_at) AS d, sum(kwh) FROM asset GROUP BY d ORDER BY d
SELECT extract(hour FROM taken_at), avg(kwh) FROM asset GROUP BY 1
SELECT year(taken_at), month(taken_at), dayofweek(taken_at) FROM asset LIMIT 1
SELECT taken_at + INTERVAL 3 DAY FROM asset LIMIT 1
SELECT strftime(taken_at, '%Y-%m') FROM asset LIMIT 1
SELECT date_diff('hour', min(taken_at), max(taken_at)) FROM asset
SELECT count(*) FROM asset WHERE taken_at >= TIMESTAMPTZ '2026-01-01 00:00:00+00'
SELECT taken_at AT TIME ZONE 'Asia/Seoul' FROM asset LIMIT 1
SELECT lower(plant), upper(plant), length(plant), trim(plant) FROM asset LIMIT 1
SELECT substring(plant, 1, 2), replace(plant, 'a', 'b'), plant || '-' || n FROM asset LIMIT 1
SELECT split_part(plant, '-', 1), position('a' IN plant) FROM asset LIMIT 1
SELECT cast(kwh AS INTEGER), kwh::DECIMAL(10, 2), try_cast(plant AS DATE) FROM asset LIMIT 1
SELECT round(kwh, 1), abs(-kwh), sqrt(kwh), kwh % 7, kwh // 2 FROM asset LIMIT 1
SELECT coalesce(kwh, 0), nullif(n, 1), greatest(n, 2), kwh BETWEEN 1 AND 2 FROM asset LIMIT 1
SELECT median(kwh), quantile_cont(kwh, 0.9), stddev(kwh), count(DISTINCT plant) FROM asset
SELECT count(*) FILTER (WHERE kwh > 10), string_agg(DISTINCT plant, ',' ORDER BY plant) FROM asset
SELECT plant, sum(kwh) FROM asset GROUP BY ROLLUP (plant)
SELECT plant FROM asset UNION SELECT 공정 FROM asset
SELECT plant FROM asset EXCEPT SELECT 공정 FROM asset
SELECT DISTINCT plant FROM asset ORDER BY plant NULLS LAST LIMIT 10 OFFSET 1
SELECT (SELECT max(kwh) FROM asset), EXISTS (SELECT 1 FROM asset), n IN (1, 2) FROM asset LIMIT 1
SELECT a.n FROM asset a WHERE a.kwh > (SELECT avg(b.kwh) FROM asset b WHERE b.plant = a.plant)
SELECT * EXCLUDE (plant) FROM asset LIMIT 2
SELECT f.factor * kwh FROM asset JOIN (VALUES ('p-1', 0.4)) f(plant, factor) USING (plant)
FROM asset SELECT n LIMIT 1
""".strip().splitlines()


@pytest.fixture(scope="module")
def asset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = range(1000)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    table = pa.table(
        {
            "n": pa.array(rows, pa.int64()),
            "plant": [f"p-{n % 7}" for n in rows],
            "공정": ["제강" if n % 2 else "압연" for n in rows],
            "kwh": [float(n % 101) for n in rows],
            "taken_at": pa.array(
                [start + timedelta(hours=n) for n in rows], pa.timestamp("us", "UTC")
            ),
        }
    )
    path = tmp_path_factory.mktemp("data") / "asset.arrow"
    write_partial(table, path)
    return path


@pytest.fixture(scope="module")
def pool() -> Iterator[QueryPool]:
    with closing(QueryPool(LIMITS)) as running:
        yield running


def ask(pool: QueryPool, asset: Path, sql: str, *, process_id: str = "urn:process:1") -> Result:
    return pool.run(asset, process_id=process_id, dataset="asset", sql=sql)


def read(result: Result) -> pa.Table:
    table = pa.ipc.open_stream(b"".join(result.pieces)).read_all()
    table.validate(full=True)
    return table


@pytest.mark.parametrize("sql", HONEST)
def test_an_honest_query_runs_and_is_counted(pool: QueryPool, asset: Path, sql: str) -> None:
    result = ask(pool, asset, sql)
    assert read(result).num_rows == result.rows_count


def hostile(folder: Path) -> dict[str, str]:
    text = shared("security", "escape_corpus.sql").read_text(encoding="utf-8")
    cases = {}
    for case in re.split(r"^-- @id ", text, flags=re.MULTILINE)[1:]:
        head, _, body = case.partition("\n")
        filled = body.strip().replace("{{CANARY}}", str(folder))
        cases[head.split()[0]] = re.sub(r"\{\{REPEAT:.*?\}\}", "x" * 1000, filled)
    return cases


def test_every_escape_attempt_is_refused(pool: QueryPool, asset: Path, tmp_path: Path) -> None:
    for name in ("secret.csv", "secret.txt", "secret.json"):
        (tmp_path / name).write_text(SECRET)
    before = sorted(tmp_path.iterdir())
    cases = hostile(tmp_path)
    assert len(cases) >= 236
    for name, sql in cases.items():
        with pytest.raises((QueryRefusedError, QueryFailedError)) as refused:
            ask(pool, asset, sql)
        assert SECRET not in str(refused.value.to_json()), name
    assert sorted(tmp_path.iterdir()) == before
    assert ask(pool, asset, "SELECT 1 FROM asset LIMIT 1").rows_count == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT (WITH duckdb_views AS (SELECT 1) SELECT 1) FROM duckdb_views",
        "WITH asset AS (SELECT 1 AS n) SELECT * FROM asset",
        "SELECT * FROM main.asset",
        "SELECT * FROM asset; SELECT * FROM asset",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
        "SELECT * FROM asset TABLESAMPLE 3",
        "SELECT * FROM asset WHERE n = $1",
        "SELECT COLUMNS('n') FROM asset",
        "DESCRIBE asset",
        "PIVOT asset ON plant USING sum(kwh)",
        "SELECT " + "1 + " * 2500 + "1 FROM asset",
        "SELECT '" + "x" * 70_000 + "' FROM asset",
        "SELECT n FROM asset WHERE n IN (" + ",".join(map(str, range(5000))) + ")",
        "",
    ],
)
def test_a_forbidden_construct_is_refused_and_named(pool: QueryPool, asset: Path, sql: str) -> None:
    with pytest.raises(QueryRefusedError) as refused:
        ask(pool, asset, sql)
    assert refused.value.members["construct"]


def test_the_engines_words_do_not_leave(pool: QueryPool, asset: Path) -> None:
    with pytest.raises(QueryFailedError) as failed:
        ask(pool, asset, "SELECT no_such_column_xyz FROM asset")
    assert failed.value.members["code"] == "unknown_name"
    assert "xyz" not in str(failed.value.to_json())


def test_a_query_out_of_time_is_killed_and_the_next_one_works(asset: Path) -> None:
    # a billion rows to look at, a million to remember: time runs out before memory does
    slow = "SELECT sum(sin(a.n * b.n + c.n)) FROM asset a, asset b, asset c"
    limits = Limits(1, 10**6, 2**24, 1_250_000_000, workers=1, waiting=0)
    with closing(QueryPool(limits)) as pool:
        started = time.monotonic()
        with pytest.raises(QueryTimeoutError):
            ask(pool, asset, slow)
        assert time.monotonic() - started < 10
        assert ask(pool, asset, "SELECT n FROM asset").rows_count == 1000


def test_a_query_out_of_memory_fails_and_the_worker_goes_on(asset: Path) -> None:
    limits = Limits(30, 10**6, 2**24, 1_250_000_000, workers=1, waiting=0)
    large = "SELECT count(*) FROM " + ", ".join(f"asset a{n}" for n in range(6))
    with closing(QueryPool(limits)) as pool:
        with pytest.raises(QueryFailedError) as failed:
            ask(pool, asset, large)
        assert failed.value.members["code"] == "out_of_memory"
        assert ask(pool, asset, "SELECT n FROM asset").rows_count == 1000


def test_a_result_over_the_limit_is_cut_off(asset: Path, pool: QueryPool) -> None:
    with pytest.raises(ResultTooLargeError):
        ask(pool, asset, "SELECT a.n FROM asset a, asset b")


def test_the_settings_alone_keep_files_shut(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text(SECRET)
    connection = duckdb.connect()
    worker._lock(connection, memory_bytes=10**9, seconds=3)
    for sql in (
        f"SELECT * FROM '{tmp_path}/secret.csv'",
        f"COPY (SELECT 1) TO '{tmp_path}/out.csv'",
        "SET enable_external_access=true",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(sql)


def test_no_transfer_process_meets_what_another_has_left(asset: Path) -> None:
    databases = worker._Databases({"memory_bytes": LIMITS.memory_bytes, "seconds": LIMITS.seconds})
    first = databases.of(process_id="first", dataset="asset", file=str(asset))
    first.execute("CREATE TABLE left_behind AS SELECT 1")  # no gate: as if it had been passed
    first.execute("CREATE MACRO sum(x) AS 0")
    second = databases.of(process_id="second", dataset="asset", file=str(asset))
    with pytest.raises(duckdb.CatalogException):
        second.execute("FROM left_behind")
    [[total]] = second.execute("SELECT sum(n) FROM asset").fetchall()
    assert total == sum(range(1000))
    with pytest.raises(duckdb.ConnectionException):
        first.execute("SELECT 1")


def test_a_statement_is_prepared_for_its_transfer_process_only(asset: Path) -> None:
    databases = worker._Databases({"memory_bytes": LIMITS.memory_bytes, "seconds": LIMITS.seconds})
    asked = ("SELECT sum(n) FROM asset", "null")

    def prepare(process_id: str, file: Path = asset) -> tuple[str, ...]:
        job = {"process_id": process_id, "dataset": "asset", "file": str(file), "sql": asked[0]}
        key = (process_id, "asset", str(file))
        databases.keep(key, asked, worker._prepare(job, databases))
        return key

    first = prepare("first")
    kept = databases.prepared(first, asked)
    assert kept is not None
    assert databases.prepared(("second", *first[1:]), asked) is None
    assert databases.prepared((*first[:2], "/another.arrow"), asked) is None
    prepare("second")
    assert databases.prepared(first, asked) is None
    with pytest.raises(duckdb.ConnectionException):  # its database is closed
        kept.relation.fetchall()
    for number in range(2 * worker.PREPARED_MAX):
        again = (f"SELECT {number} FROM asset", "null")
        databases.keep(("second", *first[1:]), again, kept)
    assert len(databases._prepared) == worker.PREPARED_MAX
    databases.drop()
    assert databases.prepared(("second", *first[1:]), again) is None


def test_the_same_text_again_is_answered_anew(pool: QueryPool, asset: Path) -> None:
    answers = [ask(pool, asset, "SELECT now() AS at, count(*) AS n FROM asset") for _ in range(3)]
    tables = [read(answer) for answer in answers]
    assert [table["n"][0].as_py() for table in tables] == [1000] * 3
    times = [table["at"][0].as_py() for table in tables]
    assert times == sorted(set(times))
    with pytest.raises(QueryRefusedError):  # what was refused is refused however often it comes
        ask(pool, asset, "DROP TABLE asset")
    with pytest.raises(QueryRefusedError):
        ask(pool, asset, "DROP TABLE asset")


def test_a_worker_serves_several_transfer_processes_and_datasets(
    pool: QueryPool, asset: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.arrow"
    write_partial(pa.table({"n": [7]}), other)
    for process_id, file, rows in (("a", asset, 1000), ("b", other, 1), ("a", other, 1)) * 2:
        answer = ask(pool, file, "SELECT n FROM asset", process_id=process_id)
        assert answer.rows_count == rows


def test_a_worker_goes_on_after_queries_that_do_not_run(asset: Path) -> None:
    limits = Limits(30, 10**6, 2**24, 1_250_000_000, workers=1, waiting=0)
    with closing(QueryPool(limits)) as pool:
        for _ in range(2):
            assert ask(pool, asset, "SELECT n FROM asset").rows_count == 1000
            with pytest.raises(QueryRefusedError):
                ask(pool, asset, "DROP TABLE asset")
            with pytest.raises(QueryFailedError):
                ask(pool, asset, "SELECT no_such FROM asset")
            with pytest.raises(QueryFailedError):
                ask(pool, asset, "SELECT cast(plant AS INTEGER) FROM asset")


def has_ended(process: psutil.Process) -> bool:
    """Whether a killed process is over; its first thread is a zombie before the others end."""
    threads = list(Path(f"/proc/{process.pid}/task").iterdir())
    return process.status() == psutil.STATUS_ZOMBIE and len(threads) == 1


def test_a_warm_pool_keeps_a_worker_ready_whatever_becomes_of_it(asset: Path) -> None:
    def workers() -> set[int]:
        return {child.pid for child in psutil.Process().children() if child.is_running()}

    with closing(QueryPool(LIMITS)) as pool:
        before = workers()
        pool.warm()
        pool.warm()
        ask(pool, asset, "SELECT count(*) FROM asset")  # gets the one that is being started
        [first] = workers() - before
        process = psutil.Process(first)
        process.kill()
        wait_for(lambda: has_ended(process) or None, what="its end")
        pool.warm()
        ask(pool, asset, "SELECT count(*) FROM asset")
        [second] = workers() - before - {first}
        assert second != first
    assert workers() == before
