"""The process in which buyers' SQL runs; the parent kills it when time is up.

It holds no secret and no socket. Limits of the operating system come first, then the
engine's own settings, then the gate; each stands without the others. A database holds the
licensed file, mapped and shown as one view, and serves one transfer process: whatever its
queries leave behind, no other consumer meets it.

Frames in both directions: kind (1 byte), length (8 bytes, big-endian), payload.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Final

import duckdb
import pyarrow as pa

from connector.dataplane.brake import COMPUTE_LIMIT, Brake, OverComputeError
from connector.dataplane.copy import attach, number_of, show
from connector.dataplane.frames import Kind, read_frame, write_frame
from connector.dataplane.gate import SQL_BYTES_MAX, GateError, check
from connector.dataplane.scan import reads_every_row_once
from connector.statistics.request import REQUEST_KEY, Scope, atoms_sql, read_request

OPEN_FILES_MAX: Final = 64
FILES_MAPPED: Final = 16
PREPARED_MAX: Final = 32  # statements of the transfer process served last
BATCH_ROWS: Final = 65_536
EXPRESSION_DEPTH_MAX: Final = 250
ENGINE_SHARE: Final = 0.5  # of the process's memory; the rest is for what the engine cannot count

NO_COPY: Final = 0
_DAMAGES: Final = (  # besides plain errors, of which class a wrong checksum is
    duckdb.IOException,
    duckdb.InternalException,
    duckdb.FatalException,
    duckdb.SerializationException,
)
_DAMAGE_WORDS: Final = ("Data Corruption ", "IO ", "INTERNAL ", "FATAL ", "Serialization ")
_CODES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (duckdb.BinderException, "unknown_name"),
    (duckdb.CatalogException, "unknown_name"),
    (duckdb.ParserException, "syntax"),
    (duckdb.ConversionException, "conversion"),
    (duckdb.OutOfRangeException, "out_of_range"),
    (duckdb.InterruptException, "timeout"),
    (duckdb.OutOfMemoryException, "out_of_memory"),
    (MemoryError, "out_of_memory"),
    (OverComputeError, COMPUTE_LIMIT),
)


class _CopyError(Exception):
    """The engine copy failed while it was read; nothing says yet whether it is to blame."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main() -> None:
    """Serve jobs from standard input until it ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    limits = json.loads(read_frame(source)[1])
    _limit_process(int(limits["memory_bytes"]))
    databases = _Databases(limits)
    write_frame(sink, Kind.READY)
    while True:
        databases.empty()  # opened while no one waits
        try:
            _, payload = read_frame(source)
        except EOFError:
            return
        try:
            job = json.loads(payload)
            with Brake(job.get("compute_ms_max"), databases.interrupt) as brake:
                _run(job, databases, sink, brake)
        except GateError as error:
            write_frame(sink, Kind.REFUSED, error.construct.encode())
        except _CopyError as error:
            databases.drop()
            write_frame(sink, Kind.COPY_FAILED, str(error.number).encode())
        except BaseException as error:  # noqa: BLE001 - no engine text may leave, whatever it is
            databases.drop()
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


@dataclass(frozen=True, slots=True)
class _Query:
    """A statement that has passed the gate and is bound; ``request`` is of statistics."""

    relation: duckdb.DuckDBPyRelation
    request: bytes
    copy: int = NO_COPY  # the number of the engine copy that it reads


class _Databases:
    """Those of the transfer process served last, and an empty one for another.

    Of the former there are two where the published file has an engine copy. What was prepared
    for a transfer process goes with its databases.
    """

    def __init__(self, limits: dict[str, Any]) -> None:
        self._limits = limits
        self._key: tuple[str, ...] = ()
        self._used: duckdb.DuckDBPyConnection | None = None
        self._empty: duckdb.DuckDBPyConnection | None = None
        self._copied: duckdb.DuckDBPyConnection | None = None
        self.copy = NO_COPY  # the number of the one that is attached
        self.bad_copy = NO_COPY  # one that was found not to be of its file, until it is told
        self._passed_over = NO_COPY  # one that is not used: not of its file, or damaged
        self._prepared: dict[tuple[str, ...], _Query] = {}

    def empty(self) -> duckdb.DuckDBPyConnection:
        """Return a locked database without data, which has served nobody."""
        if self._empty is None:
            self._empty = duckdb.connect()
            self._lock(self._empty)
        return self._empty

    def _lock(self, connection: duckdb.DuckDBPyConnection) -> None:
        _lock(
            connection,
            memory_bytes=int(self._limits["memory_bytes"]),
            seconds=float(self._limits["seconds"]),
        )

    def of(self, *, process_id: str, dataset: str, file: str) -> duckdb.DuckDBPyConnection:
        """Return the database of a transfer process, with its dataset."""
        key = (process_id, dataset, file)
        if self._used is None or self._key != key:
            self.drop()
            self.empty().register(dataset, _table(file))
            self._key, self._used, self._empty = key, self._empty, None
        assert self._used is not None
        return self._used

    def of_copy(
        self, *, process_id: str, dataset: str, file: str
    ) -> duckdb.DuckDBPyConnection | None:
        """Return the database over the file's engine copy; None where there is none."""
        self.of(process_id=process_id, dataset=dataset, file=file)
        number = number_of(Path(file))
        if self._copied is None and number not in {NO_COPY, self._passed_over}:
            engine = duckdb.connect()
            if attach(engine, Path(file)):
                show(engine, dataset)
                self._lock(engine)
                self._copied, self.copy = engine, number
            else:
                engine.close()
                self._passed_over = self.bad_copy = number
        return self._copied

    def pass_over(self, number: int, *, process_id: str, dataset: str, file: str) -> None:
        """Use the file, unless another copy than this one lies beside it."""
        self.of(process_id=process_id, dataset=dataset, file=file)
        self._passed_over = number

    def prepared(self, key: tuple[str, ...], asked: tuple[str, ...]) -> _Query | None:
        """Return a statement that the transfer process served last has sent before."""
        return self._prepared.get(asked) if self._key == key else None

    def keep(self, key: tuple[str, ...], asked: tuple[str, ...], query: _Query) -> _Query:
        """Keep a statement for its next time; ``of`` was called with the same key."""
        assert self._key == key
        if len(self._prepared) >= PREPARED_MAX:
            self._prepared.pop(next(iter(self._prepared)))
        self._prepared[asked] = query
        return query

    def interrupt(self) -> None:
        """Stop what runs; called from another thread."""
        for database in (self._used, self._copied):
            if database is not None:
                database.interrupt()

    def drop(self) -> None:
        """Close the database of the transfer process served last."""
        self._prepared.clear()
        self._key = ()
        for database in (self._used, self._copied):
            if database is not None:
                database.close()
        self._used = self._copied = None
        self.copy = self.bad_copy = self._passed_over = NO_COPY


@lru_cache(maxsize=FILES_MAPPED)
def _table(file: str) -> pa.Table:
    """Map a published file, which never changes: what one job pages in, the next one finds."""
    return pa.ipc.open_file(pa.memory_map(file)).read_all()


def _run(job: dict[str, Any], databases: _Databases, sink: IO[bytes], brake: Brake) -> None:
    key = tuple(str(job[name]) for name in ("process_id", "dataset", "file"))
    asked = (str(job["sql"]), json.dumps(job.get("statistics")))
    query = databases.prepared(key, asked)
    if query is None:
        query = databases.keep(key, asked, _prepare(job, databases))
    with _blaming(query.copy):
        reader = query.relation.to_arrow_reader(BATCH_ROWS)
        schema = reader.schema
        if query.request:
            schema = schema.with_metadata({REQUEST_KEY: query.request})
        write_frame(sink, Kind.SCHEMA, schema.serialize(), is_last=False)
        for batch in reader:
            write_frame(sink, Kind.BATCH, batch.serialize(), is_last=False)
    brake.check()
    bad, databases.bad_copy = databases.bad_copy, NO_COPY
    write_frame(sink, Kind.END, f"{brake.ms} {bad}".encode())


@contextmanager
def _blaming(copy: int) -> Iterator[None]:
    """Tell what a damaged copy may have caused from all other failures.

    Raises:
        _CopyError: A query over the copy failed as one over damaged data does.
    """
    try:
        yield
    except Exception as error:
        if copy == NO_COPY or not _is_damage(error):
            raise
        raise _CopyError(copy) from None


def _is_damage(error: Exception) -> bool:
    if type(error) is duckdb.Error or isinstance(error, _DAMAGES):
        return True
    # in the midst of a stream, Arrow passes the engine's words on under a class of its own
    is_passed_on = isinstance(error, OSError | pa.ArrowException)
    return is_passed_on and str(error).startswith(_DAMAGE_WORDS)


def _prepare(job: dict[str, Any], databases: _Databases) -> _Query:
    """Let a statement pass the gate, then bind it to the data of the transfer process."""
    sql, dataset = str(job["sql"]), str(job["dataset"])
    tree = check_sql(databases.empty(), sql, dataset=dataset)
    request = b""
    if job.get("statistics"):  # the text is read and never run: what runs is our own
        scope = Scope.from_json(job["statistics"])
        request, sql = read_request(tree, scope).to_json().encode(), atoms_sql(scope, dataset)
    place = {"process_id": str(job["process_id"]), "dataset": dataset, "file": str(job["file"])}
    is_again = bool(job.get("copy_passed_over"))
    if is_again:
        databases.pass_over(int(job["copy_passed_over"]), **place)
    copied = None if is_again or reads_every_row_once(tree) else databases.of_copy(**place)
    if copied is None:
        return _Query(databases.of(**place).sql(sql), request)
    with _blaming(databases.copy):
        return _Query(copied.sql(sql), request, databases.copy)


def check_sql(parser: duckdb.DuckDBPyConnection, sql: str, *, dataset: str) -> str:
    """Let a statement pass the gate, parsed by an engine that has no data yet.

    Returns:
        Its parse tree, as the engine's JSON.

    Raises:
        GateError: It may not run, or cannot be judged.
    """
    if len(sql.encode(errors="replace")) > SQL_BYTES_MAX:
        raise GateError("longer than 64 KiB")
    try:
        # all rows: the engine takes nothing else on while a result is unfinished
        [[tree]] = parser.execute("SELECT json_serialize_sql(?::VARCHAR)", [sql]).fetchall()
        check(str(tree), dataset=dataset)
        return str(tree)
    except GateError:
        raise
    except Exception:  # noqa: BLE001 - what cannot be judged is refused
        raise GateError("cannot be judged") from None


if __name__ == "__main__":
    main()
