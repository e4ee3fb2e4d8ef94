"""The threads that ship records to clearing as signed batches: what we metered, and received.

A batch is sealed in the database before it is sent, so that it is the same bytes after any
crash; clearing's signed receipt moves the watermark.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from connector.metering import store as metering_store
from connector.metering.store import Stream
from connector.receiving import store as receiving_store
from connector.runtime import Runtime, Signal
from databank.kit.db import UnitOfWork
from databank.kit.http import expect_json
from schemas.ids import did_web
from schemas.problem import ProblemError
from schemas.signature import BadSignatureError
from schemas.slices import seal_batch
from schemas.usage import (
    ACKNOWLEDGEMENT_TYPE,
    BATCH_TYPE,
    HEADER,
    MEDIA_TYPE,
    BatchHeader,
    ReceiptAnswer,
    StreamPosition,
    UsageRecord,
    sign_header,
    verify_receipt,
)
from schemas.wire import Text

RECORDS_MAX: Final = 1000
GATHER_SECONDS: Final = 0.25
BACKOFF_SECONDS_MAX: Final = 30.0
CONFLICT: Final = 409
log = structlog.get_logger()


class StreamConflictError(ProblemError):
    """Clearing holds other records under our numbers."""

    slug = "usage-streams-differ"
    title = Text(ko="사용 기록이 서로 다릅니다", en="The usage streams differ")
    status = 409


class UntrustedReceiptError(Exception):
    """The answer to a batch is not clearing's receipt for it."""


class StreamStore(Protocol):
    """The rows of a stream: `connector.metering.store` or `connector.receiving.store`."""

    def stream(self, uow: UnitOfWork) -> Stream:
        """Return where the stream stands, locked."""

    def seal(self, uow: UnitOfWork, last_seq: int) -> None:
        """Fix where the next batch ends."""

    def records(self, uow: UnitOfWork, first_seq: int, last_seq: int) -> list[UsageRecord]:
        """Return records in order."""

    def acknowledge(self, uow: UnitOfWork, last_seq: int, body_sha256: str) -> None:
        """Move the watermark."""


@dataclass(frozen=True, slots=True)
class Source:
    """A stream of ours: its rows, who says that there are new ones, and where it goes."""

    store: StreamStore
    news: Signal
    path: str
    position_path: str
    typ: str


def metered(runtime: Runtime) -> Source:
    """What we metered as a supplier."""
    return Source(metering_store, runtime.usage, "/usage/batches", "/usage/stream", BATCH_TYPE)


def received(runtime: Runtime) -> Source:
    """What we received as a buyer."""
    path = "/usage/acknowledgements"
    return Source(receiving_store, runtime.received, path, f"{path}/stream", ACKNOWLEDGEMENT_TYPE)


class Shipper:
    """Ships one stream of a connector until stopped."""

    def __init__(self, runtime: Runtime, source: Source | None = None) -> None:
        self._runtime = runtime
        self._source = source or metered(runtime)
        self._url = runtime.settings.clearing_url.rstrip("/")
        self._clearing = did_web(self._url)
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"ship{self._source.path}", daemon=True
        )

    def start(self) -> None:
        """Begin shipping."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the call under way, then return."""
        self._stop.set()
        self._source.news.give()
        self._thread.join()

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            seen = self._source.news.count
            try:
                has_shipped = self.ship_once()
                failures = 0
            except Exception as error:  # noqa: BLE001 - whatever it is, the records stay and wait
                failures += 1
                wait = min(GATHER_SECONDS * 2**failures, BACKOFF_SECONDS_MAX)
                log.warning("usage_not_shipped", error=type(error).__name__, retry_seconds=wait)
                self._stop.wait(wait)
                continue
            if not has_shipped:
                self._source.news.wait(seen, BACKOFF_SECONDS_MAX)
            self._stop.wait(GATHER_SECONDS)  # acts come in bursts: gather them

    def ship_once(self) -> bool:
        """Ship the sealed batch, or seal and ship the next; False if there is none.

        Raises:
            ProblemError: Clearing does not take it now.
            UntrustedReceiptError: The answer is not clearing's.
        """
        batch = self._next_batch()
        if batch is None:
            return False
        header, body = batch
        signed = sign_header(header, self._runtime.identity.key, typ=self._source.typ)
        response = self._runtime.client.call(
            "POST",
            self._url + self._source.path,
            audience=self._clearing,
            content=body,
            headers={HEADER: signed, "Content-Type": MEDIA_TYPE},
        )
        if response.status_code == CONFLICT:
            self._realign(header)
            return True
        answer = ReceiptAnswer.model_validate(expect_json(response))
        self._check_receipt(answer.receipt, header, signed)
        last_seq = header.first_seq + header.records_count - 1
        with self._runtime.database.unit_of_work() as uow:
            self._source.store.acknowledge(uow, last_seq, header.body_sha256)
        return True

    def _next_batch(self) -> tuple[BatchHeader, bytes] | None:
        with self._runtime.database.unit_of_work() as uow:
            stream = self._source.store.stream(uow)
            last_seq = stream.sealed_seq or min(stream.next_seq - 1, stream.acked_seq + RECORDS_MAX)
            if last_seq <= stream.acked_seq:
                return None
            self._source.store.seal(uow, last_seq)
            records = self._source.store.records(uow, stream.acked_seq + 1, last_seq)
        return seal_batch(
            records,
            provider_id=self._runtime.did,
            epoch=stream.epoch,
            previous_sha256=stream.last_body_sha256,
        )

    def _check_receipt(self, token: str, header: BatchHeader, signed: str) -> None:
        clearing = self._runtime.directory.find(self._clearing)
        if clearing is None:
            raise UntrustedReceiptError("clearing is not registered")
        try:
            receipt = verify_receipt(token, clearing.key)
        except (BadSignatureError, ValueError) as error:
            raise UntrustedReceiptError(str(error)) from None
        said = (receipt.provider_id, receipt.epoch, receipt.body_sha256, receipt.next_seq)
        due = header.first_seq + header.records_count
        if receipt.header_sha256 != hashlib.sha256(signed.encode()).hexdigest():
            raise UntrustedReceiptError("a receipt for another header")
        if said != (header.provider_id, header.epoch, header.body_sha256, due):
            raise UntrustedReceiptError("a receipt for another batch")

    def _realign(self, header: BatchHeader) -> None:
        """Take over clearing's position if it lies within what we have recorded."""
        answer = self._runtime.client.call_json(
            "GET",
            self._url + self._source.position_path,
            audience=self._clearing,
            params={"epoch": str(header.epoch)},
        )
        position = StreamPosition.model_validate(answer)
        with self._runtime.database.unit_of_work() as uow:
            stream = self._source.store.stream(uow)
            same = (position.next_seq - 1, position.last_body_sha256)
            if position.next_seq > stream.next_seq or same == (
                stream.acked_seq,
                stream.last_body_sha256,
            ):
                log.error("usage_streams_differ", ours=stream.next_seq, theirs=position.next_seq)
                raise StreamConflictError(
                    ko="청산소가 가진 사용 기록과 우리 기록이 다릅니다. 운영자에게 알리세요.",
                    en="Clearing's usage records differ from ours. Tell the operator.",
                )
            self._source.store.acknowledge(uow, position.next_seq - 1, position.last_body_sha256)
