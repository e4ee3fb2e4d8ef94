"""The connector's side of the SQL workers: a bounded queue, a clock, and the kill.

A worker serves one job at a time and is used again. One that overran its time, broke the
frame protocol or died is killed and replaced by the next job.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import structlog

from connector.dataplane.brake import COMPUTE_LIMIT, OverComputeError
from connector.dataplane.frames import Kind, read_frame, write_frame
from connector.dataplane.kept import KEPT_SECONDS, KeptResults
from connector.dataplane.watchdog import Watchdog
from schemas.problem import ProblemError
from schemas.wire import Text

END_OF_STREAM: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
GRACE_SECONDS: Final = 0.5  # after the engine's own limit, before the kill
START_SECONDS_MAX: Final = 30.0
PIPE_BYTES: Final = 2**20
log = structlog.get_logger()


class QueryRefusedError(ProblemError):
    """The SQL holds something that may not run at the supplier."""

    slug = "query-refused"
    title = Text(ko="허용되지 않는 질의입니다", en="The query is not allowed")
    status = 422


class QueryFailedError(ProblemError):
    """The engine could not run the query; its own words stay inside."""

    slug = "query-failed"
    title = Text(ko="질의를 실행할 수 없습니다", en="The query cannot be run")
    status = 422


class QueryTimeoutError(ProblemError):
    """The query ran longer than the supplier permits."""

    slug = "query-timeout"
    title = Text(ko="질의가 너무 오래 걸립니다", en="The query takes too long")
    status = 408


class ResultTooLargeError(ProblemError):
    """The result is larger than the supplier permits in one answer."""

    slug = "result-too-large"
    title = Text(ko="결과가 너무 큽니다", en="The result is too large")
    status = 413


class QueryBusyError(ProblemError):
    """As many queries run and wait as the supplier permits."""

    slug = "query-busy"
    title = Text(ko="질의가 밀려 있습니다", en="Too many queries at once")
    status = 503


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may take."""

    seconds: float
    rows: int
    bytes: int
    memory_bytes: int
    workers: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Result:
    """A complete answer: an Arrow IPC stream in pieces, and what is metered of it.

    ``compute_ms`` is the worker's processor time, in whole milliseconds.
    """

    pieces: tuple[bytes, ...]
    rows_count: int
    bytes_count: int
    sha256: str
    compute_ms: int = 0


def result_of(table: pa.Table) -> Result:
    """Return a table that was made here as a complete answer."""
    pieces = [bytes(table.schema.serialize())]
    bytes_ = 0
    for batch in table.to_batches():
        piece = bytes(batch.serialize())
        bytes_ += pa.ipc.read_message(piece).body.size
        pieces.append(piece)
    pieces.append(END_OF_STREAM)
    sha256 = hashlib.sha256(b"".join(pieces)).hexdigest()
    return Result(tuple(pieces), table.num_rows, bytes_, sha256)


class _CopyFailedError(Exception):
    """The worker could not read the engine copy of this number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class _DeadWorkerError(Exception):
    """The worker ended or does not speak the protocol."""


class _Worker:
    process_id = ""  # the transfer process served last

    def __init__(self, limits: Limits, watchdog: Watchdog) -> None:
        self._watchdog = watchdog
        environment = {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "connector.dataplane.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,
            pipesize=PIPE_BYTES,
        )
        try:
            self._start(limits)
        except BaseException:
            self.kill()
            raise

    def _start(self, limits: Limits) -> None:
        start: dict[str, object] = {"memory_bytes": limits.memory_bytes, "seconds": limits.seconds}
        with self.deadline(START_SECONDS_MAX):
            self.send(start)
            if self.receive()[0] is not Kind.READY:
                raise _DeadWorkerError

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def deadline(self, seconds: float) -> AbstractContextManager[threading.Event]:
        """Kill the worker unless the block ends in time; the event says that it was killed."""
        return self._watchdog.deadline(seconds, self._process.kill)

    def send(self, job: dict[str, object]) -> None:
        assert self._process.stdin is not None
        try:
            write_frame(self._process.stdin, Kind.JOB, json.dumps(job).encode())
        except OSError:
            raise _DeadWorkerError from None

    def receive(self) -> tuple[Kind, bytes]:
        assert self._process.stdout is not None
        try:
            return read_frame(self._process.stdout)
        except (EOFError, OSError, ValueError):
            raise _DeadWorkerError from None

    def kill(self) -> None:
        """End the process and wait for it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # what was buffered for a dead process
                continue


def _number(payload: bytes) -> int:
    if not payload.isdigit():
        raise _DeadWorkerError
    return int(payload)


class QueryPool:
    """Runs queries in at most ``limits.workers`` processes, started when first needed.

    ``warm`` starts the first one before a query comes; a query that comes meanwhile gets it.
    ``on_bad_copy`` is told of a file, and the number of its engine copy, if the file answered
    what the copy could not.
    """

    def __init__(
        self, limits: Limits, *, on_bad_copy: Callable[[Path, int], None] | None = None
    ) -> None:
        self._limits = limits
        self._on_bad_copy = on_bad_copy
        self._watchdog = Watchdog()
        self._kept = KeptResults()
        self._idle: list[_Worker] = []
        self._in_use = 0
        self._lock = threading.Lock()
        self._warming: threading.Thread | None = None
        self._is_closed = False
        self._running = threading.BoundedSemaphore(limits.workers)
        self._admitted = threading.BoundedSemaphore(limits.workers + limits.waiting)

    def run(
        self,
        path: Path,
        *,
        process_id: str,
        dataset: str,
        sql: str,
        statistics: dict[str, Any] | None = None,
        is_quote: bool = False,
        compute_ms_max: int | None = None,
    ) -> Result:
        """Return the complete answer to ``sql`` over one Arrow IPC file.

        ``process_id`` is the transfer process that asks: none meets what another has left.
        With ``statistics``, a scope, the answer holds contributions that are still to be audited.
        The answer to a quote is kept for a moment, for the query that is likely to follow.

        Raises:
            OverComputeError: It takes more processor time than ``compute_ms_max``.
            QueryRefusedError: The gate does not let it pass.
            QueryFailedError: The engine cannot run it.
            QueryTimeoutError: It takes too long.
            ResultTooLargeError: Its result is too large.
            QueryBusyError: Too many queries at once.
        """
        job: dict[str, object] = {"file": str(path), "process_id": process_id}
        job |= {"dataset": dataset, "sql": sql, "statistics": statistics}
        job["compute_ms_max"] = compute_ms_max
        key = (str(path), dataset, sql, json.dumps(statistics))
        kept = self._kept.take(process_id, key)
        if kept is None:
            kept = self._run(path, process_id, job), time.monotonic() + KEPT_SECONDS
        result, ends_at = kept
        if is_quote:
            self._kept.put(process_id, key, result, ends_at=ends_at)
        return result

    def _run(self, path: Path, process_id: str, job: dict[str, object]) -> Result:
        with self._place():
            worker = self._take(process_id)
            worker.process_id = process_id
            try:
                result = self._answer(worker, job, path)
            except (QueryRefusedError, QueryFailedError, OverComputeError):
                self._give_back(worker)
                raise
            except BaseException:
                self._discard(worker)
                raise
            self._give_back(worker)
            return result

    def warm(self) -> None:
        """See to it that a worker is running soon; returns at once."""
        with self._lock:
            if self._is_closed or self._warming is not None or self._in_use:
                return
            if any(worker.is_alive for worker in self._idle):
                return
            self._warming = threading.Thread(
                target=self._start_first, name="query-warm", daemon=True
            )
            self._warming.start()

    def _start_first(self) -> None:
        worker: _Worker | None = None
        try:
            worker = _Worker(self._limits, self._watchdog)
        except Exception:  # the next query tries again, and says so to who asks
            log.exception("query_worker_not_started")
        with self._lock:
            self._warming = None
            if worker is not None and not self._is_closed:
                self._idle.append(worker)
                return
        if worker is not None:
            worker.kill()

    def close(self) -> None:
        """End all idle workers; call when no query runs."""
        with self._lock:
            self._is_closed = True
            warming = self._warming
        if warming is not None:
            warming.join()
        with self._lock:
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.kill()
        self._kept.close()
        self._watchdog.close()

    @contextmanager
    def _place(self) -> Iterator[None]:
        if not self._admitted.acquire(blocking=False):
            raise _busy()
        try:
            if not self._running.acquire(timeout=self._limits.seconds):
                raise _busy()
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._admitted.release()

    def _take(self, process_id: str) -> _Worker:
        worker = self._idle_one(process_id)
        if worker is None and (warming := self._warming) is not None:
            warming.join()
            worker = self._idle_one(process_id)
        if worker is not None:
            return worker
        try:
            worker = _Worker(self._limits, self._watchdog)
        except _DeadWorkerError:
            raise _failed("worker_died") from None
        with self._lock:
            self._in_use += 1
        return worker

    def _idle_one(self, process_id: str) -> _Worker | None:
        with self._lock:
            self._idle.sort(key=lambda worker: worker.process_id == process_id)
            while self._idle:
                worker = self._idle.pop()  # one that has the data at hand comes last
                if worker.is_alive:
                    self._in_use += 1
                    return worker
                worker.kill()
        return None

    def _give_back(self, worker: _Worker) -> None:
        if not worker.is_alive:
            self._discard(worker)
            return
        with self._lock:
            self._in_use -= 1
            self._idle.append(worker)

    def _discard(self, worker: _Worker) -> None:
        with self._lock:
            self._in_use -= 1
        worker.kill()
        self.warm()  # whoever comes next should not have to wait for a new one

    def _answer(self, worker: _Worker, job: dict[str, object], path: Path) -> Result:
        """Ask; where the engine copy cannot be read, once more over the file."""
        try:
            result, bad = self._ask(worker, job)
        except _CopyFailedError as error:
            bad = error.number
            result, _ = self._ask(worker, job | {"copy_passed_over": bad})
        if bad and self._on_bad_copy is not None:
            self._on_bad_copy(path, bad)
        return result

    def _ask(self, worker: _Worker, job: dict[str, object]) -> tuple[Result, int]:
        with worker.deadline(self._limits.seconds + GRACE_SECONDS) as is_late:
            try:
                worker.send(job)
                return self._collect(worker)
            except _DeadWorkerError:
                if is_late.is_set():
                    raise _timeout(self._limits.seconds) from None
                log.warning("query_worker_died")
                worker.kill()
                raise _dead() from None

    def _collect(self, worker: _Worker) -> tuple[Result, int]:
        """Return the answer, and the number of an engine copy that was passed over, or 0."""
        kind, payload = worker.receive()
        self._raise_for(kind, payload)
        if kind is not Kind.SCHEMA:
            raise _DeadWorkerError
        pieces, rows, bytes_ = [payload], 0, 0
        digest = hashlib.sha256(payload)
        try:
            schema = pa.ipc.read_schema(pa.py_buffer(payload))
            while True:
                kind, payload = worker.receive()
                self._raise_for(kind, payload)
                if kind is Kind.END:
                    break
                message = pa.ipc.read_message(payload)
                rows += pa.ipc.read_record_batch(message, schema).num_rows
                bytes_ += message.body.size
                if rows > self._limits.rows or bytes_ > self._limits.bytes:
                    raise _too_large(self._limits)
                pieces.append(payload)
                digest.update(payload)
        except pa.ArrowException:
            raise _DeadWorkerError from None
        pieces.append(END_OF_STREAM)
        digest.update(END_OF_STREAM)
        compute, _, bad = payload.partition(b" ")
        result = Result(tuple(pieces), rows, bytes_, digest.hexdigest(), _number(compute))
        return result, _number(bad)

    def _raise_for(self, kind: Kind, payload: bytes) -> None:
        if kind is Kind.REFUSED:
            construct = payload.decode(errors="replace")
            raise QueryRefusedError(
                ko=f"공급기업에서 실행할 수 없는 부분이 있습니다: {construct}. SELECT와 허용된 "
                "함수만 쓸 수 있고, 데이터셋은 그 이름으로만 부릅니다.",
                en=f"This may not run at the supplier: {construct}. Use SELECT and the permitted "
                "functions, and call the dataset by its name.",
                construct=construct,
            )
        if kind is Kind.COPY_FAILED:
            raise _CopyFailedError(_number(payload))
        if kind is Kind.FAILED:
            code = payload.decode(errors="replace")
            if code == COMPUTE_LIMIT:
                raise OverComputeError
            raise _timeout(self._limits.seconds) if code == "timeout" else _failed(code)


_FAILURES: Final = {
    "unknown_name": Text(
        ko="열이나 함수의 이름 또는 형식이 맞지 않습니다. 데이터셋의 열 목록을 확인하세요.",
        en="A column or function does not exist or its type does not fit. Look at the columns.",
    ),
    "syntax": Text(ko="SQL 문법이 맞지 않습니다.", en="The SQL is not well-formed."),
    "conversion": Text(
        ko="값을 그 형식으로 바꿀 수 없습니다. TRY_CAST를 써 보세요.",
        en="A value cannot be converted. Try TRY_CAST.",
    ),
    "out_of_range": Text(
        ko="계산 결과가 형식의 범위를 벗어났습니다.", en="A value is out of its type's range."
    ),
    "out_of_memory": Text(
        ko="질의에 쓸 수 있는 메모리를 넘었습니다. 범위를 좁히세요.",
        en="The query needs more memory than permitted. Narrow it down.",
    ),
}
_OTHER: Final = Text(
    ko="질의를 실행하지 못했습니다. 더 간단한 질의로 나눠 보세요.",
    en="The query could not be run. Try a simpler one.",
)


def _failed(code: str) -> QueryFailedError:
    said = _FAILURES.get(code, _OTHER)
    return QueryFailedError(ko=said.ko, en=said.en, code=code if code in _FAILURES else "failed")


def _dead() -> QueryFailedError:
    return _failed("worker_died")


def _timeout(seconds: float) -> QueryTimeoutError:
    return QueryTimeoutError(
        ko=f"질의가 {seconds:g}초를 넘어 멈췄습니다. 범위를 좁히세요.",
        en=f"The query ran over {seconds:g} seconds and was stopped. Narrow it down.",
    )


def _too_large(limits: Limits) -> ResultTooLargeError:
    return ResultTooLargeError(
        ko=f"결과는 {limits.rows:,}행, {limits.bytes:,}바이트까지입니다. 범위를 좁히세요.",
        en=f"A result has at most {limits.rows:,} rows and {limits.bytes:,} bytes. Narrow it down.",
    )


def _busy() -> QueryBusyError:
    return QueryBusyError(
        ko="다른 질의가 많습니다. 잠시 뒤 다시 시도하세요.",
        en="Many other queries are running. Try again in a moment.",
        retryable=True,
    )
