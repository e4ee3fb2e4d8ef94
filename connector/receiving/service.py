"""What a query brought us, noted once; it is signed and sent to clearing by the shipper."""

from __future__ import annotations

from connector.agreement import store as agreements
from connector.receiving import store
from connector.runtime import Runtime
from schemas.arrow_count import Received
from schemas.ids import AgreementId, ProcessId
from schemas.usage import Act, UsageRecord


def note_query(
    runtime: Runtime,
    agreement_id: AgreementId,
    process_id: ProcessId,
    query_id: str,
    received: Received,
) -> None:
    """Append a query's answer, as we counted it, to our stream; the same query again is nothing."""
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
        )
        store.append(uow, record)
        uow.after_commit(runtime.received.give)
