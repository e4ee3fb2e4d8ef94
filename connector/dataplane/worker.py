"""The process in which buyers' SQL runs; the parent kills it when time is up.

It holds no secret and no socket. Limits of the operating system come first, then the
engine's own settings, then the gate; each stands without the others. One database per job:
the licensed file, mapped and shown as one view.

Frames in both directions: kind (1 byte), length (8 bytes, big-endian), payload.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

import duckdb
import pyarrow as pa

from connector.dataplane.frames import Kind, read_frame, write_frame
from connector.dataplane.gate import SQL_BYTES_MAX, GateError, check

OPEN_FILES_MAX: Final = 64
BATCH_ROWS: Final = 65_536
EXPRESSION_DEPTH_MAX: Final = 250
ENGINE_SHARE: Final = 0.5  # of the process's memory; the rest is for what the engine cannot count

_CODES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (duckdb.BinderException, "unknown_name"),
    (duckdb.CatalogException, "unknown_name"),
    (duckdb.ParserException, "syntax"),
    (duckdb.ConversionException, "conversion"),
    (duckdb.OutOfRangeException, "out_of_range"),
    (duckdb.InterruptException, "timeout"),
    (duckdb.OutOfMemoryException, "out_of_memory"),
    (MemoryError, "out_of_memory"),
)


def main() -> None:
    """Serve jobs from standard input until it ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    limits = json.loads(read_frame(source)[1])
    _limit_process(int(limits["memory_bytes"]))
    parser = duckdb.connect()
    _lock(parser, memory_bytes=int(limits["memory_bytes"]), seconds=float(limits["seconds"]))
    write_frame(sink, Kind.READY)
    while True:
        try:
            _, payload = read_frame(source)
        except EOFError:
            return
        job = json.loads(payload)
        try:
            _run(job, parser, limits, sink)
        except GateError as error:
            write_frame(sink, Kind.REFUSED, error.construct.encode())
        except BaseException as error:  # noqa: BLE001 - no engine text may leave, whatever it is
            write_frame(sink, Kind.FAILED, _code(error).encode())


def _code(error: BaseException) -> str:
    return next((code for kind, code in _CODES if isinstance(error, kind)), "failed")


def _limit_process(memory_bytes: int) -> None:
    for limit, value in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES_MAX),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _lock(connection: duckdb.DuckDBPyConnection, *, memory_bytes: int, seconds: float) -> None:
    """Turn everything off that reaches outside, then the turning on."""
    settings = (
        ("temp_directory", "''"),
        ("max_temp_directory_size", "'0B'"),
        ("memory_limit", f"'{int(memory_bytes * ENGINE_SHARE)}B'"),
        ("threads", "1"),
        ("max_execution_time", str(int(seconds * 1000))),
        ("max_expression_depth", str(EXPRESSION_DEPTH_MAX)),
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
        ("allow_community_extensions", "false"),
        ("allow_persistent_secrets", "false"),
        ("python_enable_replacements", "false"),
        ("TimeZone", "'UTC'"),
        ("enable_external_access", "false"),
        ("lock_configuration", "true"),
    )
    for name, value in settings:
        connection.execute(f"SET {name}={value}")


@contextmanager
def _database(job: dict[str, Any], limits: dict[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
    with pa.memory_map(job["file"]) as source, duckdb.connect() as connection:
        connection.register(job["dataset"], pa.ipc.open_file(source).read_all())
        _lock(
            connection,
            memory_bytes=int(limits["memory_bytes"]),
            seconds=float(limits["seconds"]),
        )
        yield connection


def _run(
    job: dict[str, Any],
    parser: duckdb.DuckDBPyConnection,
    limits: dict[str, Any],
    sink: IO[bytes],
) -> None:
    sql = str(job["sql"])
    check_sql(parser, sql, dataset=str(job["dataset"]))
    with _database(job, limits) as connection:
        reader = connection.sql(sql).to_arrow_reader(BATCH_ROWS)
        write_frame(sink, Kind.SCHEMA, reader.schema.serialize())
        for batch in reader:
            write_frame(sink, Kind.BATCH, batch.serialize())
    write_frame(sink, Kind.END)


def check_sql(parser: duckdb.DuckDBPyConnection, sql: str, *, dataset: str) -> None:
    """Let a statement pass the gate, parsed by an engine without data.

    Raises:
        GateError: It may not run, or cannot be judged.
    """
    if len(sql.encode(errors="replace")) > SQL_BYTES_MAX:
        raise GateError("longer than 64 KiB")
    try:
        row = parser.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchone()
        assert row is not None
        check(str(row[0]), dataset=dataset)
    except GateError:
        raise
    except Exception:  # noqa: BLE001 - what cannot be judged is refused
        raise GateError("cannot be judged") from None


if __name__ == "__main__":
    main()
