"""Engine copies answer as their files do, and are passed over where they are not of their file."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pytest
from structlog.testing import capture_logs

from connector.dataplane import copy, copying, worker
from connector.dataplane.copying import CopyKeeper
from connector.dataplane.pool import Limits, QueryFailedError, QueryPool
from connector.dataplane.scan import reads_every_row_once
from connector.publish.arrow_file import sha256_of, write_partial
from tests.support.connectors import Registry, connector
from tests.support.processes import wait_for
from tests.support.use import contract, put_file

LIMITS: Final = Limits(
    seconds=30, rows=500_000, bytes=2**26, memory_bytes=1_250_000_000, workers=1, waiting=1
)
ROWS: Final = 150_000
HEADERS_BYTES: Final = 12_288  # of the engine's format
MEMORY_BYTES: Final = 2**31
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
QUERIES: Final = """
SELECT * FROM asset
SELECT * FROM asset LIMIT 10
SELECT count(*) FROM asset
SELECT sum(kwh), avg(kwh), min(price), max(taken_at) FROM asset
SELECT count(DISTINCT lot) FROM asset
SELECT * FROM asset WHERE kwh > 110
SELECT taken_at, lot FROM asset WHERE taken_at >= TIMESTAMPTZ '2026-01-02 00:00:00+00' AND n < 20000
SELECT lot, day, sum(kwh), avg(price), count(note) FROM asset GROUP BY ALL
SELECT * FROM asset ORDER BY kwh DESC, n LIMIT 100
SELECT lot, quantile_cont(kwh, 0.9), stddev(kwh) FROM asset GROUP BY lot
SELECT n, avg(kwh) OVER (PARTITION BY lot ORDER BY n ROWS 9 PRECEDING) FROM asset
WITH b AS (SELECT lot, avg(n) AS m FROM asset GROUP BY 1) SELECT n - m FROM b JOIN asset USING (lot)
SELECT note, count(*) FROM asset WHERE note LIKE '%가%' OR note IS NULL GROUP BY note
SELECT ok, "공정", sum(price) FROM asset GROUP BY ALL ORDER BY 1, 2
""".strip().splitlines()


def table_of(rows: int) -> pa.Table:
    """Return rows of all column types, with nulls, NaN and texts outside of ASCII."""
    chance = random.Random(5)
    days = [date(2026, 1, 1) + timedelta(days=n // 40_000) for n in range(rows)]
    return pa.table(
        {
            "n": pa.array(range(rows), pa.int64()),
            "taken_at": pa.array(
                [START + timedelta(seconds=n) for n in range(rows)], pa.timestamp("us", "UTC")
            ),
            "day": pa.array(days, pa.date32()),
            "lot": [f"L-{n // 5_000}" for n in range(rows)],
            "공정": [chance.choice(("제강", "압연", "열연")) for _ in range(rows)],
            "kwh": [
                math.nan if n % 9_999 == 0 else round(chance.gauss(50, 20), 3) for n in range(rows)
            ],
            "price": pa.array([Decimal(n % 977) / 100 for n in range(rows)], pa.decimal128(38, 9)),
            "ok": pa.array([None if n % 5 == 0 else n % 2 == 0 for n in range(rows)], pa.bool_()),
            "note": [
                None if n % 3 else chance.choice(("", "가나", "'", "x\\y")) for n in range(rows)
            ],
        }
    )


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("it's data")  # a quote, as a supplier's folder may have
    partial = folder / "partial"
    write_partial(table_of(ROWS), partial)
    return partial.rename(folder / f"{sha256_of(partial)}.arrow")


@pytest.fixture
def pool() -> Iterator[QueryPool]:
    with closing(QueryPool(LIMITS)) as running:
        yield running


def without_copy(file: Path) -> Path:
    """Return the same file in a folder of its own, where no copy lies."""
    folder = file.parent / "alone"
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(file, folder))


def make_in_child(file: Path, memory_bytes: int = MEMORY_BYTES) -> int:
    job = json.dumps({"file": str(file), "memory_bytes": memory_bytes})
    command = [sys.executable, "-m", "connector.dataplane.copy", job]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode


def test_a_copy_answers_as_its_file_does_to_the_byte(file: Path, pool: QueryPool) -> None:
    alone = without_copy(file)
    assert make_in_child(file) == 0
    assert copy.is_bound(file)
    assert not list(file.parent.glob("*.partial*"))
    for sql in QUERIES:
        of_copy = pool.run(file, process_id="a", dataset="asset", sql=sql)
        of_file = pool.run(alone, process_id="b", dataset="asset", sql=sql)
        assert of_copy.sha256 == of_file.sha256, sql


def databases() -> worker._Databases:
    return worker._Databases({"memory_bytes": LIMITS.memory_bytes, "seconds": LIMITS.seconds})


def place(file: Path, process_id: str = "first") -> dict[str, str]:
    return {"process_id": process_id, "dataset": "asset", "file": str(file)}


def test_a_database_over_a_copy_is_as_shut_as_any(file: Path) -> None:
    copy.make(file, memory_bytes=MEMORY_BYTES)
    opened = databases()
    engine = opened.of_copy(**place(file))
    assert engine is not None
    for sql in (
        f"SELECT * FROM read_text('{__file__}')",
        f"ATTACH '{file.parent}/other.duckdb'",
        "SET enable_external_access = true",
        "SET memory_limit = '1TB'",
        "DELETE FROM copied.main.relation",
        "CREATE TABLE copied.main.more AS SELECT 1",
        "INSTALL httpfs",
    ):
        with pytest.raises(duckdb.Error):
            engine.execute(sql)
    engine.execute("CREATE TABLE left_behind AS SELECT 1")  # no gate: as if it had been passed
    second = opened.of_copy(**place(file, "second"))
    assert second is not None
    with pytest.raises(duckdb.CatalogException):
        second.execute("FROM left_behind")
    with pytest.raises(duckdb.ConnectionException):
        engine.execute("SELECT 1")


@pytest.mark.parametrize("damage", ["another file's", "cut off", "noise", "another engine's"])
def test_a_copy_that_is_not_of_its_file_is_passed_over_and_made_anew(
    tmp_path: Path, pool: QueryPool, damage: str
) -> None:
    files = []
    for rows in (1_000, 2_000):
        partial = tmp_path / "partial"
        write_partial(table_of(rows), partial)
        files.append(partial.rename(tmp_path / f"{sha256_of(partial)}.arrow"))
        assert copy.make(files[-1], memory_bytes=MEMORY_BYTES)
    file, other = files
    bad = copy.copy_of(file)
    if damage == "another file's":
        shutil.copy(copy.copy_of(other), bad)
    elif damage == "cut off":
        bad.write_bytes(bad.read_bytes()[:20_000])
    elif damage == "noise":
        bad.write_bytes(random.Random(1).randbytes(50_000))
    else:
        with duckdb.connect(str(bad)) as engine:
            engine.execute("UPDATE origin SET engine = '1.0.0'")
    assert not copy.is_bound(file)
    answer = pool.run(file, process_id="a", dataset="asset", sql="SELECT n FROM asset WHERE n > 5")
    assert answer.rows_count == 994
    assert make_in_child(file) == 0
    assert copy.is_bound(file)


def damage(file: Path, kind: str) -> None:
    """Change the copy of a file where it lies, as a bad disk or a hand would."""
    bad = copy.copy_of(file)
    if kind == "removed":
        bad.unlink()
        return
    with bad.open("r+b") as opened:
        size = bad.stat().st_size
        if kind == "cut off":
            opened.truncate(size // 3)
            return
        for at in range(HEADERS_BYTES, size, 4_096):
            opened.seek(at)
            opened.write(b"\xff\x00\xff")


@pytest.mark.parametrize("worker_is", ["warm", "cold"])
@pytest.mark.parametrize("kind", ["cut off", "bytes changed", "removed"])
def test_a_copy_that_is_damaged_or_gone_breaks_no_query(
    tmp_path: Path, file: Path, kind: str, worker_is: str
) -> None:
    mine = Path(shutil.copy(file, tmp_path))
    assert copy.make(mine, memory_bytes=MEMORY_BYTES)
    reported: list[tuple[Path, int]] = []
    sqls = ("SELECT * FROM asset", "SELECT lot, sum(price), min(note) FROM asset GROUP BY lot")
    with closing(
        QueryPool(LIMITS, on_bad_copy=lambda path, number: reported.append((path, number)))
    ) as pool:
        alone = without_copy(mine)
        right = [pool.run(alone, process_id="a", dataset="asset", sql=sql) for sql in sqls]
        if worker_is == "warm":
            pool.run(mine, process_id="b", dataset="asset", sql="SELECT max(n) FROM asset WHERE ok")
            assert not copy.remove(mine), "no worker has the copy open"
        number = copy.number_of(mine)
        damage(mine, kind)
        for sql, expected in zip(sqls, right, strict=True):
            answer = pool.run(mine, process_id="b", dataset="asset", sql=sql)
            assert answer.sha256 == expected.sha256
        assert reported == ([] if kind == "removed" else [(mine, number)])
        assert pool.run(
            mine, process_id="c", dataset="asset", sql="SELECT count(*) FROM asset WHERE n > 0"
        )
        copy.copy_of(mine).unlink(missing_ok=True)
        assert copy.make(mine, memory_bytes=MEMORY_BYTES)
        before = len(reported)
        again = pool.run(mine, process_id="d", dataset="asset", sql=sqls[0])
        assert (again.sha256, len(reported)) == (right[0].sha256, before)
        assert not copy.remove(mine), "the new copy is not used"


def test_a_query_whose_copy_is_damaged_does_not_meet_another_one(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Path(shutil.copy(file, tmp_path))
    assert copy.make(mine, memory_bytes=MEMORY_BYTES)
    with copy.copy_of(mine).open("r+b") as opened:  # among rows: it is attached as if it were good
        opened.seek(2**19)
        opened.write(b"\xff\x00\xff")
    another = shutil.copy(copy.copy_of(mine), tmp_path / "another")
    ask = QueryPool._ask

    def ask_and_replace(*args: Any) -> Any:
        try:
            return ask(*args)
        finally:
            if Path(another).exists():  # as if it had been made anew meanwhile
                Path(another).replace(copy.copy_of(mine))

    monkeypatch.setattr(QueryPool, "_ask", ask_and_replace)
    with closing(QueryPool(LIMITS)) as pool:
        answer = pool.run(mine, process_id="a", dataset="asset", sql="SELECT * FROM asset")
    assert answer.rows_count == ROWS


def test_a_statement_that_fails_over_copy_and_file_does_not_blame_the_copy(
    file: Path, tmp_path: Path
) -> None:
    mine = Path(shutil.copy(file, tmp_path))
    assert copy.make(mine, memory_bytes=MEMORY_BYTES)
    reported: list[int] = []
    with closing(QueryPool(LIMITS, on_bad_copy=lambda _, number: reported.append(number))) as pool:
        for sql in (
            "SELECT CAST(lot AS INTEGER) FROM asset",
            "SELECT CASE WHEN n < 140000 THEN 1 ELSE CAST(lot AS INTEGER) END FROM asset",
            "SELECT strptime(lot, '%Y') FROM asset",
        ):
            with pytest.raises(QueryFailedError):
                pool.run(mine, process_id="a", dataset="asset", sql=sql)
    assert reported == []
    assert copy.is_bound(mine)


def test_a_damaged_copy_is_told_of_in_the_log_and_made_anew(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "COPIED_BYTES_MIN", 2**20)
    with (
        connector(tmp_path / "supplier", registry, "supplier") as supplier,
        connector(tmp_path / "buyer", registry, "buyer") as buyer,
        capture_logs() as logs,
    ):
        published = put_file(supplier)
        [file] = supplier.runtime.data_folder.glob("*.arrow")
        supplier.runtime.copies.give()
        made = contract(buyer, supplier, published)
        for times in (1, 2):
            wait_for(lambda: copy.copy_of(file).exists() or None, what="the copy")
            damage(file, "bytes changed")
            answer = made.query(f"SELECT sum(kwh) FROM $data WHERE kwh > {times}")
            assert answer.status_code == 200, answer.text
            wait_for(lambda: copy.is_bound(file) or None, what="a good copy")
        said = [entry for entry in logs if entry["event"] == "copy_bad"]
        assert [entry["times"] for entry in said] == [1, 2]
        damage(file, "bytes changed")
        assert made.query("SELECT sum(kwh) FROM $data WHERE kwh > 3").status_code == 200
        supplier.runtime.copies.give()
        assert made.query("SELECT sum(kwh) FROM $data WHERE kwh > 4").status_code == 200
        assert not copy.copy_of(file).exists(), "copies are made for a disk that spoils them"


def test_a_copy_goes_with_its_dataset_and_not_while_it_is_needed(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "COPIED_BYTES_MIN", 2**20)
    with (
        connector(tmp_path / "supplier", registry, "supplier") as supplier,
        connector(tmp_path / "buyer", registry, "buyer") as buyer,
    ):
        published = put_file(supplier)
        folder = supplier.runtime.data_folder
        [file] = folder.glob("*.arrow")
        made = contract(buyer, supplier, published)
        left = folder / f"{'1' * 64}.duckdb.partial.wal"  # of a crash
        nobodys = folder / f"{'2' * 64}.duckdb"
        for path in (left, nobodys):
            path.write_bytes(b"x")

        listing = f"/publications/{published.dataset.id}"
        assert supplier.manage("DELETE", listing).status_code == 200
        wait_for(lambda: (not (left.exists() or nobodys.exists())) or None, what="the sweeping")
        wait_for(lambda: copy.copy_of(file).exists() or None, what="the copy, for the agreement")
        query = "SELECT sum(kwh) FROM $data WHERE kwh > 1"
        assert made.query(query).status_code == 200
        end = {"code": "other", "reason": "끝"}
        ended = supplier.manage("POST", f"/agreements/{made.agreement_id}/termination", json=end)
        assert ended.status_code == 200, ended.text
        keeper = CopyKeeper(supplier.runtime)
        keeper._look()
        assert copy.copy_of(file).exists(), "it went while a worker had it open"
        supplier.app.state.query_pool._idle[0].kill()
        keeper._look()
        assert not copy.copy_of(file).exists()
        assert supplier.manage("POST", f"{listing}/restoration").status_code == 200
        wait_for(lambda: copy.copy_of(file).exists() or None, what="the copy, for the offer")


def test_bytes_that_do_not_have_the_hash_of_the_name_are_not_copied(tmp_path: Path) -> None:
    file = tmp_path / f"{'0' * 64}.arrow"
    write_partial(table_of(10), file)
    assert make_in_child(file) == 1
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_a_copy_that_needs_too_much_memory_leaves_nothing(file: Path) -> None:
    alone = without_copy(file)
    assert make_in_child(alone, memory_bytes=60_000_000) != 0
    assert [path.name for path in alone.parent.iterdir()] == [alone.name]


def test_a_published_file_gets_its_copy_and_a_small_one_none(
    tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "COPIED_BYTES_MIN", 2**20)
    with connector(tmp_path, registry, "supplier") as supplier:
        published = put_file(supplier)
        [file] = supplier.runtime.data_folder.glob("*.arrow")
        keeper = CopyKeeper(supplier.runtime)
        keeper.start()
        wait_for(lambda: copy.copy_of(file).exists() or None, what="the copy")
        keeper.stop()
        assert copy.is_bound(file)
        with connector(tmp_path / "buyer", registry, "buyer") as buyer:
            made = contract(buyer, supplier, published)
            assert made.query("SELECT count(*) FROM $data WHERE kwh >= 0").status_code == 200
        monkeypatch.setattr(copying, "COPIED_BYTES_MIN", 2**40)
        copy.copy_of(file).unlink()
        keeper = CopyKeeper(supplier.runtime)
        keeper.start()
        keeper.stop()
        assert not copy.copy_of(file).exists()


@pytest.mark.parametrize(
    ("sql", "is_plain"),
    [
        ("SELECT sum(kwh), avg(kwh) * 2, count(*) FROM asset", True),
        ("SELECT sum(kwh) FROM asset WHERE n > 1", False),
        ("SELECT count(DISTINCT lot) FROM asset", False),
        ("SELECT lot, sum(kwh) FROM asset GROUP BY lot", False),
        ("SELECT median(kwh) FROM asset", False),
        ("SELECT sum(kwh) FILTER (n > 1) FROM asset", False),
        ("SELECT sum(a.kwh) FROM asset a, asset b", False),
        ("SELECT sum(kwh) FROM asset ORDER BY 1", False),
        ("SELECT sum(kwh) FROM (FROM asset)", False),
        ("SELECT 1 UNION SELECT 2", False),
    ],
)
def test_only_plain_aggregates_of_whole_columns_stay_with_the_file(
    sql: str,
    is_plain: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    with duckdb.connect() as parser:
        tree = worker.check_sql(parser, sql, dataset="asset")
    assert reads_every_row_once(tree) is is_plain
