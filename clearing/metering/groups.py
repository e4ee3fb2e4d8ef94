"""A batch by agreement: checked against what was agreed, and counted, all columns at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from clearing.agreements.model import Agreement
from clearing.rating.rate import Run, month_of, runs_of
from schemas.ids import AgreementId, ParticipantId
from schemas.slices import Slice
from schemas.usage import UsageRecord, records_of
from schemas.wire import format_time

_SUM_MAX: Final = 2**63 - 1
_KEYS: Final = ["agreement_id", "consumer_id", "dataset_id"]
_QUANTITIES: Final = ("queries_count", "rows_count", "bytes_count", "compute_ms")
_SUMMARY: Final = [
    *((name, "sum") for name in _QUANTITIES),
    *((name, "max") for name in _QUANTITIES),
    ("occurred_at", "min"),
    ("occurred_at", "max"),
    ("seq", "min"),
    ("seq", "count"),
]


@dataclass(frozen=True, slots=True)
class Unmeterable:
    """A record whose agreement is not confirmed yet."""

    seq: int
    agreement_id: AgreementId


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that contradicts its agreement or the clock, and why."""

    seq: int
    ko: str
    en: str


@dataclass(frozen=True, slots=True)
class Group:
    """One agreement's records in a batch, and what they come to.

    ``parties`` are all pairs of consumer and dataset that they name: one, if they are right.
    """

    part: Slice
    first_seq: int
    parties: frozenset[tuple[str, str]]
    earliest: datetime
    latest: datetime
    runs: tuple[Run, ...]

    @property
    def agreement_id(self) -> AgreementId:
        """Whose records they are."""
        return self.part.agreement_id

    def records(self) -> list[UsageRecord]:
        """Return the records."""
        return records_of(self.part.rows)


def groups_of(slices: Iterable[Slice]) -> tuple[Group, ...]:
    """Count a batch, by agreement, in the order of their ids."""
    parts = {part.agreement_id: part for part in slices}
    table = pa.Table.from_batches([part.rows for part in parts.values()])
    found: dict[str, list[dict[str, Any]]] = {}
    for row in table.group_by(_KEYS, use_threads=False).aggregate(_SUMMARY).to_pylist():
        found.setdefault(row["agreement_id"], []).append(row)
    return tuple(_group(part, found[id_]) for id_, part in parts.items())


def _group(part: Slice, rows: list[dict[str, Any]]) -> Group:
    earliest = min(row["occurred_at_min"] for row in rows)
    latest = max(row["occurred_at_max"] for row in rows)
    return Group(
        part=part,
        first_seq=min(row["seq_min"] for row in rows),
        parties=frozenset((row["consumer_id"], row["dataset_id"]) for row in rows),
        earliest=earliest,
        latest=latest,
        runs=_runs(part, rows, month_of(earliest), month_of(latest)),
    )


def _runs(part: Slice, rows: list[dict[str, Any]], first: str, last: str) -> tuple[Run, ...]:
    """Return runs of acts within one calendar month in Seoul."""
    if first != last or len(rows) != 1:
        return tuple(runs_of(records_of(part.rows)))
    (row,) = rows
    count = row["seq_count"]
    if any(row[f"{name}_max"] * count > _SUM_MAX for name in _QUANTITIES):  # Arrow would wrap
        return tuple(runs_of(records_of(part.rows)))
    return (Run(first, count, *(row[f"{name}_sum"] for name in _QUANTITIES)),)


def faults(
    groups: Iterable[Group],
    agreements: Mapping[AgreementId, Agreement],
    provider_id: ParticipantId,
    *,
    ahead: datetime,
    behind: Mapping[AgreementId, datetime],
) -> Iterator[Unmeterable | Refusal]:
    """Give what is wrong with each agreement's records, at most one of each.

    Args:
        groups: A batch by agreement.
        agreements: Those of them that are known.
        provider_id: Whose stream it is.
        ahead: The latest moment that an act may have.
        behind: The earliest moment that an act of each agreement may have.
    """
    for group in groups:
        id_, seq = group.agreement_id, group.first_seq
        agreement = agreements.get(id_)
        if agreement is not None and agreement.record.provider_id != provider_id:
            yield Refusal(seq, "다른 공급기업의 합의입니다", "another supplier's agreement")
        elif agreement is None or not agreement.is_meterable:
            yield Unmeterable(seq, id_)
        elif not _is_as_agreed(group, agreement, behind[id_], ahead):
            yield _named(group, agreement, behind[id_], ahead)


def _is_as_agreed(group: Group, agreement: Agreement, since: datetime, until: datetime) -> bool:
    told = agreement.record
    if group.parties != {(told.consumer_id, told.dataset_id)}:
        return False
    return since <= group.earliest and group.latest <= until


def _named(group: Group, agreement: Agreement, since: datetime, until: datetime) -> Refusal:
    """Find the first record that is not as agreed."""
    told = agreement.record
    for record in group.records():
        if (record.consumer_id, record.dataset_id) != (told.consumer_id, told.dataset_id):
            ko, en = "수요기업이나 데이터셋이 합의와 다릅니다", "not as the agreement says"
            return Refusal(record.seq, ko, en)
        if not since <= record.occurred_at <= until:
            moment = format_time(record.occurred_at)
            return Refusal(
                record.seq,
                f"{moment}은 합의 전이거나 미래입니다",
                f"{moment} is before the agreement or in the future",
            )
    raise AssertionError("one of the records is not as agreed")
