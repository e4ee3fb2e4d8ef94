"""What a query brought us, noted once; it is signed and sent to clearing by the shipper."""

from __future__ import annotations

import structlog

from connector.agreement import store as agreements
from connector.receiving import store
from connector.runtime import Runtime
from schemas.arrow_count import Received
from schemas.ids import AgreementId, ProcessId
from schemas.usage import Act, UsageRecord

log = structlog.get_logger()


def note_query(
    runtime: Runtime,
    agreement_id: AgreementId,
    process_id: ProcessId,
    query_id: str,
    received: Received,
    *,
    sql: str = "",
    said_ms: int = 0,
) -> None:
    """Append a query's answer, as we counted it, to our stream; the same query again is nothing.

    ``said_ms``: the processor time that the supplier says it took (`connector.receiving.waited`).
    """
    with runtime.database.unit_of_work() as uow:
        position = store.stream(uow)
        agreement = agreements.get(uow, agreement_id)
        if agreement is None or store.is_known(uow, agreement_id, query_id):
            return
        record = UsageRecord(
            seq=position.next_seq,
            act_id=query_id,
            act=Act.QUERY,
            agreement_id=agreement_id,
            process_id=process_id,
            consumer_id=agreement.consumer_id,
            dataset_id=agreement.dataset_id,
            rows_count=received.rows_count,
            bytes_count=received.bytes_count,
            queries_count=1,
            result_sha256=received.sha256,
            occurred_at=runtime.clock(),
            compute_ms=_believed(runtime, agreement_id, query_id, sql, said_ms),
        )
        store.append(uow, record)
        uow.after_commit(runtime.received.give)


def _believed(
    runtime: Runtime, agreement_id: AgreementId, query_id: str, sql: str, said_ms: int
) -> int:
    if not said_ms:
        return 0
    believed = runtime.waited.believed(agreement_id, sql, said_ms)
    if believed < said_ms:
        log.warning(
            "compute_time_not_believed", query_id=query_id, said_ms=said_ms, waited_ms=believed
        )
    return believed
